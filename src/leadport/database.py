"""Provides the PostgreSQL database: the one of DATABASE_URL, or the embedded server."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from application.errors import StorageUnavailable
from infrastructure.postgres.migrations import migrate
from leadport.settings import Settings, export_for_workers

log = logging.getLogger(__name__)


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """Yield the database's URL, with DATABASE_URL set to it for this process and its workers.

    Development upgrades the schema; in production only `leadport migrate` does. Without
    DATABASE_URL the embedded server runs until the block ends.

    Raises EmbeddedPostgresError where the embedded server cannot be started.
    """
    if settings.database_url:
        export_for_workers(DATABASE_URL=settings.database_url)
        if not settings.is_production:
            _migrate_if_available(settings.database_url)
        yield settings.database_url
    else:
        with _run_embedded_server(settings) as url:
            export_for_workers(DATABASE_URL=url)
            migrate(url)
            yield url


@contextmanager
def _run_embedded_server(settings: Settings) -> Iterator[str]:
    """Start the embedded server, or join the one that runs in the data folder; yield its URL."""
    # Imported only here: production sets DATABASE_URL and may lack the package behind it.
    from infrastructure.embedded_postgres import EmbeddedPostgres

    server = EmbeddedPostgres(settings.data_dir / "postgres")
    try:
        yield server.start()
    finally:
        server.stop()


def _migrate_if_available(database_url: str) -> None:
    """Upgrade the schema, or log that it was not possible.

    The service starts without its database too, and keeps deliveries in the spool.
    """
    try:
        migrate(database_url)
    except StorageUnavailable as error:
        log.warning("database_away", extra={"reason": str(error), "then": "leadport migrate"})
