"""Migrations make the schema, on the oldest and the newest PostgreSQL that Leadport supports."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from application.errors import SchemaOutdated, StorageUnavailable
from infrastructure.postgres.migrations import connect, downgrade, migrate
from infrastructure.postgres.tables import metadata
from tests.support.database import open_postgres
from tests.support.postgres_server import run_embedded


@pytest.fixture(scope="module")
def oldest_url() -> Iterator[str]:
    """The oldest server that Leadport supports."""
    with run_embedded("oldest") as url:
        yield url


@pytest.fixture(params=["newest", "oldest"])
def empty_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A new database on each server in turn."""
    name = "oldest_url" if request.param == "oldest" else "server_url"
    yield from new_database(request.getfixturevalue(name))


@pytest.fixture
def another_url(server_url: str) -> Iterator[str]:
    yield from new_database(server_url)


def new_database(server_url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
        yield make_conninfo(server_url, dbname=name)
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")


def read_schema(url: str) -> set[tuple[object, ...]]:
    """Return every column, constraint and index, as the server describes them."""
    is_ours = "n.nspname IN ('public', 'auth') AND c.relname <> 'alembic_version'"
    queries = (
        f"""SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                pg_get_expr(d.adbin, d.adrelid)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE {is_ours} AND c.relkind = 'r' AND a.attnum > 0""",
        f"""SELECT c.relname, k.conname, pg_get_constraintdef(k.oid)
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE {is_ours} AND k.contype <> 'n'""",
        f"""SELECT c.relname, pg_get_indexdef(i.indexrelid)
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE {is_ours}""",
    )
    with psycopg.connect(url) as db:
        return {row for query in queries for row in db.execute(query).fetchall()}


def test_upgrade_downgrade_and_upgrade_make_the_same_schema(empty_url: str) -> None:
    migrate(empty_url)
    upgraded = read_schema(empty_url)
    downgrade(empty_url)
    downgraded = read_schema(empty_url)
    migrate(empty_url)

    assert downgraded == set()
    assert read_schema(empty_url) == upgraded


def test_migrations_make_the_tables_that_the_statements_use(
    empty_url: str, another_url: str
) -> None:
    migrate(empty_url)
    with connect(another_url) as db:
        db.execute(sa.schema.CreateSchema("auth"))
        metadata.create_all(db)
        db.commit()

    assert read_schema(empty_url) == read_schema(another_url)


def test_primary_keys_begin_with_the_organisation() -> None:
    keys = {
        table.name: [column.name for column in table.primary_key]
        for table in metadata.tables.values()
    }

    # docs/DECISIONS.md names these.
    exceptions = ("users", "organizations", "failed_messages", "ended_sessions")
    for exception in (*exceptions, "unmatched_messages"):
        assert keys.pop(exception) == ["id"]
    assert set(map(tuple, keys.values())) == {("org_id", "id")}


def test_existing_users_table_is_kept(another_url: str) -> None:
    """On Supabase the table is Supabase's own."""
    with psycopg.connect(another_url) as db:
        db.execute("CREATE SCHEMA auth")
        db.execute("CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, phone text)")

    migrate(another_url)
    downgrade(another_url)

    with psycopg.connect(another_url) as db:
        assert db.execute("SELECT count(*) FROM auth.users").fetchone() == (0,)


async def test_database_is_ready_once_it_is_migrated(another_url: str) -> None:
    async with open_postgres(another_url) as transactions:
        with pytest.raises(StorageUnavailable):
            await transactions.check_ready()
        migrate(another_url)
        await transactions.check_ready()


@pytest.mark.parametrize("version", ["older", "newer"])
async def test_schema_of_another_version_is_outdated(another_url: str, version: str) -> None:
    migrate(another_url)
    if version == "older":
        downgrade(another_url, "-1")
    else:
        with psycopg.connect(another_url) as db:
            db.execute("UPDATE alembic_version SET version_num = '9999'")

    async with open_postgres(another_url) as transactions:
        with pytest.raises(SchemaOutdated):
            await transactions.check_ready()


async def test_unreachable_server_is_not_ready() -> None:
    async with open_postgres("postgresql://owner@127.0.0.1:1/leadport") as transactions:
        with pytest.raises(StorageUnavailable, match="does not answer"):
            await transactions.check_ready()
