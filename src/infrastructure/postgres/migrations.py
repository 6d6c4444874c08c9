"""Brings a database to today's schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from application.errors import StorageRefused
from infrastructure.postgres.errors import translate_error

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def connect(database_url: str) -> sa.Connection:
    """One connection, outside any pool; libpq reads the URL."""
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url, connect_timeout=5),
        poolclass=sa.NullPool,
    )
    return engine.connect()


@cache
def head() -> str:
    """The newest revision there is in `migrations/`."""
    return str(ScriptDirectory.from_config(Config(toml_file=PYPROJECT)).get_current_head())


def migrate(database_url: str, revision: str = "head") -> None:
    """Upgrade to the revision; nothing happens where it is reached already.

    Raises StorageUnavailable where the database does not answer.
    """
    with _connected(database_url) as connection:
        command.upgrade(_config(connection), revision)


def unmigrate(database_url: str, revision: str = "base") -> None:
    """Downgrade to the revision, with the data that it knows nothing of."""
    with _connected(database_url) as connection:
        command.downgrade(_config(connection), revision)


@contextmanager
def _connected(database_url: str) -> Iterator[sa.Connection]:
    try:
        with connect(database_url) as connection:
            yield connection
    except DBAPIError as error:
        refusal: Exception = translate_error(error)
        if isinstance(refusal, StorageRefused):
            # Migrations hold no data that PostgreSQL's own words could quote.
            refusal = StorageRefused(str(error.orig).partition("\n")[0])
        raise refusal from error


def _config(connection: sa.Connection) -> Config:
    config = Config(toml_file=PYPROJECT)
    config.attributes["connection"] = connection
    return config
