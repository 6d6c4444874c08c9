"""The database that the settings name, or the embedded one."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from application.errors import StorageUnavailable
from infrastructure.postgres.migrations import migrate
from leadport.settings import Settings

log = logging.getLogger(__name__)


@contextmanager
def database(settings: Settings) -> Iterator[None]:
    """Have DATABASE_URL name a database for this process and those it starts.

    In development it is migrated too; in production only `leadport migrate` does that.
    """
    if settings.storage == "memory":
        yield
        return
    url = nullcontext(settings.database_url) if settings.database_url else _run_embedded(settings)
    with url as os.environ["DATABASE_URL"]:
        if not settings.is_production:
            _migrate_if_it_answers(settings)
        yield


@contextmanager
def _run_embedded(settings: Settings) -> Iterator[str]:
    """Start the embedded server, or join the one that runs, and yield its URL.

    Raises EmbeddedPostgresError where `leadport[embedded]` is not installed or does not start.
    """
    # Production sets DATABASE_URL, never needs this module and may lack the package behind it.
    from infrastructure.embedded_postgres import EmbeddedPostgres

    server = EmbeddedPostgres(settings.data_dir / "postgres")
    try:
        yield server.start()
    finally:
        server.stop()


def _migrate_if_it_answers(settings: Settings) -> None:
    """Serve without a database of somebody else's too: deliveries wait in the spool."""
    try:
        migrate(os.environ["DATABASE_URL"])
    except StorageUnavailable as error:
        if settings.database_url is None:
            raise
        log.warning("database_away", extra={"reason": str(error), "then": "leadport migrate"})
