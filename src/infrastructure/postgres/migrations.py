"""Upgrades and downgrades the database schema with alembic, by migrations in SQL (D23)."""

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

PACKAGES = Path(__file__).parents[2]
"""The folder of the top-level packages: `src` in a checkout, else `site-packages`."""

# The wheel contains the migrations (D49).
SCRIPTS_OF_WHEEL = PACKAGES / "leadport" / "migrations"
SCRIPTS_OF_CHECKOUT = PACKAGES.parent / "migrations"

CONNECT_TIMEOUT_SECONDS = 5


def connect(database_url: str) -> sa.Connection:
    """Open one connection outside any pool. `database_url` is any URL that libpq accepts."""
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url, connect_timeout=CONNECT_TIMEOUT_SECONDS),
        poolclass=sa.NullPool,
    )
    return engine.connect()


@cache
def find_newest_revision() -> str:
    """Return the id of the newest revision among the migration scripts, for example `0005`."""
    return str(ScriptDirectory.from_config(_make_config()).get_current_head())


def migrate(database_url: str, revision: str = "head") -> None:
    """Upgrade the schema to the revision; a schema that is already there stays as it is.

    Raises StorageUnavailable where the database does not answer, and StorageRefused where it
    refuses a statement.
    """
    with _open_connection(database_url) as connection:
        command.upgrade(_make_config(connection), revision)


def downgrade(database_url: str, revision: str = "base") -> None:
    """Downgrade the schema to the revision. Tables and columns that are newer lose their data.

    Raises StorageUnavailable and StorageRefused as `migrate` does.
    """
    with _open_connection(database_url) as connection:
        command.downgrade(_make_config(connection), revision)


@contextmanager
def _open_connection(database_url: str) -> Iterator[sa.Connection]:
    try:
        with connect(database_url) as connection:
            yield connection
    except DBAPIError as error:
        translated: Exception = translate_error(error)
        if isinstance(translated, StorageRefused):
            # `translate_error` omits PostgreSQL's message because it may quote customer data.
            # Migrations contain none, so the operator sees the message.
            translated = StorageRefused(str(error.orig).partition("\n")[0])
        raise translated from error


def _make_config(connection: sa.Connection | None = None) -> Config:
    """Configure alembic without pyproject.toml, which an installed wheel does not have.

    `migrations/env.py` uses the connection.
    """
    scripts = SCRIPTS_OF_WHEEL if SCRIPTS_OF_WHEEL.is_dir() else SCRIPTS_OF_CHECKOUT
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
