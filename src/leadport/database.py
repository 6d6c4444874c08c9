"""The database that the settings name, or the embedded one."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from application.errors import StorageUnavailable
from infrastructure.embedded_postgres import EmbeddedPostgres
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
    embedded = EmbeddedPostgres(settings.data_dir / "postgres")
    try:
        os.environ["DATABASE_URL"] = settings.database_url or embedded.start()
        if not settings.is_production:
            _migrate_if_it_answers(settings)
        yield
    finally:
        embedded.stop()


def _migrate_if_it_answers(settings: Settings) -> None:
    """Serve without a database of somebody else's too: deliveries wait in the spool."""
    try:
        migrate(os.environ["DATABASE_URL"])
    except StorageUnavailable as error:
        if settings.database_url is None:
            raise
        log.warning("database_away", extra={"reason": str(error), "then": "leadport migrate"})
