"""Shared options and fixtures: `--fast` and `--faults`, databases, and the storage adapters."""

import os
from collections.abc import AsyncIterator, Generator

import psycopg
import pytest

from application.ports.storage import Transactions
from infrastructure.memory import MemoryTransactions
from infrastructure.postgres.migrations import migrate
from tests.support.database import open_postgres

IS_CI = os.environ.get("CI") == "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast",
        action="store_true",
        help="run only unit tests, and contract tests in memory; no slow ones, no Hypothesis",
    )
    parser.addoption(
        "--faults", action="store_true", help="also run the test of ten minutes of faults"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose where `server_url` comes from."""
    plugin = "fast_run" if config.getoption("--fast") else "postgres_server"
    config.pluginmanager.import_plugin(f"tests.support.{plugin}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail skipped tests in CI, where everything that a test needs must be installed."""
    report = yield
    if IS_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def migrated_url(server_url: str) -> str:
    """A database with the current schema."""
    migrate(server_url)
    return server_url


@pytest.fixture
def database_url(migrated_url: str) -> str:
    """The database with the current schema, without rows."""
    with psycopg.connect(migrated_url, autocommit=True) as db:
        db.execute("TRUNCATE organizations, auth.users CASCADE")
        db.execute("TRUNCATE failed_messages, unmatched_messages")
    return migrated_url


@pytest.fixture
async def postgres_transactions(database_url: str) -> AsyncIterator[Transactions]:
    """The PostgreSQL adapter over an empty database."""
    async with open_postgres(database_url) as transactions:
        yield transactions


@pytest.fixture(params=["memory", "postgres"])
async def transactions(request: pytest.FixtureRequest) -> AsyncIterator[Transactions]:
    """Each storage adapter in turn, without rows."""
    if request.param == "memory":
        yield MemoryTransactions()
    else:
        async with open_postgres(request.getfixturevalue("database_url")) as transactions:
            yield transactions
