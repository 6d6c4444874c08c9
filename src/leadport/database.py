"""The database that the settings name, or the embedded one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.postgres.migrations import migrate
from leadport.settings import Settings


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
            migrate(os.environ["DATABASE_URL"])
        yield
    finally:
        embedded.stop()
