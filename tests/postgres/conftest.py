"""Fixtures of the tests of row-level security: a database that stays empty, and rows in it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from infrastructure.postgres.migrations import migrate
from tests.support.rls_fixtures import Db, RlsFixture


@pytest.fixture(scope="module")
def unused_url(server_url: str) -> Iterator[str]:
    """A migrated database in which no test commits anything, so it need not be emptied."""
    with psycopg.connect(server_url, autocommit=True) as db:
        db.execute("CREATE DATABASE unused")
        url = make_conninfo(server_url, dbname="unused")
        migrate(url)
        yield url
        db.execute("DROP DATABASE unused WITH (FORCE)")


@pytest.fixture
def db(unused_url: str) -> Iterator[Db]:
    """A transaction as the owner of the database. It is rolled back after the test."""
    with psycopg.connect(unused_url) as db:
        yield db
        db.rollback()


@pytest.fixture
def rls(db: Db) -> RlsFixture:
    """Two organisations with a row in every table, in the transaction of `db`."""
    return RlsFixture(db)
