"""The database that the settings name, or the embedded one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.postgres.migrations import migrate
from leadport.settings import Settings


@contextmanager
def database(settings: Settings) -> Iterator[None]:
    """Have DATABASE_URL name a migrated database for this process and those it starts.

    One that the operator runs is migrated by `leadport migrate` alone, unless in development.
    """
    if settings.storage == "memory":
        yield
        return
    if settings.database_url:
        os.environ["DATABASE_URL"] = settings.database_url
        if not settings.is_production:
            migrate(settings.database_url)
        yield
        return
    embedded = EmbeddedPostgres(settings.data_dir / "postgres")
    os.environ["DATABASE_URL"] = embedded.start()
    try:
        migrate(os.environ["DATABASE_URL"])
        yield
    finally:
        embedded.stop()
