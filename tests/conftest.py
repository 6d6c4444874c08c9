"""Where the tests get PostgreSQL from, and the adapters that all keep the same promises."""

import gc
import os
import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path

import docker
import psycopg
import pytest
from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer

from application.ports.storage import Transactions
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.memory import MemoryTransactions
from infrastructure.postgres.migrations import migrate
from infrastructure.postgres.pools import open_pool
from infrastructure.postgres.transactions import PostgresTransactions
from tests.support.database import share_pool

IMAGE = "postgres:18"
IS_CI = os.environ.get("CI") == "true"

# Fast and forgetful: what survives a crash is tested elsewhere, with the defaults.
UNSAFE_FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", action="store_true", help="ten minutes of faults, too")


@cache
def is_docker_available() -> bool:
    with warnings.catch_warnings():
        # The client forgets its socket when it finds no engine.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            docker.from_env(timeout=5).close()
            answers = True
        except DockerException:
            answers = False
        gc.collect()
    return answers


def pytest_report_header() -> str:
    where = (
        f"testcontainers, {IMAGE}" if is_docker_available() else "embedded (Docker does not answer)"
    )
    return f"PostgreSQL: {where}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that is skipped is a test that fails: nothing there may be missing."""
    report = yield
    if IS_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@contextmanager
def run_container() -> Iterator[str]:
    with PostgresContainer(IMAGE, driver=None) as postgres:
        yield postgres.get_connection_url()


@contextmanager
def run_embedded(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder, options=UNSAFE_FAST_SETTINGS)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server; its first database is nobody's in particular."""
    folder = tmp_path_factory.mktemp("postgres")
    with run_container() if is_docker_available() else run_embedded(folder) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_url(server_url: str) -> str:
    """A database that has today's schema."""
    migrate(server_url)
    return server_url


@pytest.fixture
def database_url(migrated_url: str) -> str:
    """The migrated database, empty."""
    with psycopg.connect(migrated_url, autocommit=True) as db:
        db.execute("TRUNCATE organizations, auth.users CASCADE")
        db.execute("TRUNCATE failed_messages, unmatched_messages")
    return migrated_url


@asynccontextmanager
async def open_memory() -> AsyncIterator[Transactions]:
    yield MemoryTransactions()


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Transactions]:
    engine = open_pool(url)
    yield PostgresTransactions(
        share_pool(engine), timeout_seconds=60
    )  # a busy machine is no failure
    await engine.dispose()


@pytest.fixture(params=["memory", "postgres"])
async def transactions(request: pytest.FixtureRequest) -> AsyncIterator[Transactions]:
    """Each adapter in turn."""
    if request.param == "memory":
        adapter = open_memory()
    else:
        adapter = open_postgres(request.getfixturevalue("database_url"))
    async with adapter as transactions:
        yield transactions


@pytest.fixture
async def postgres_transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with open_postgres(database_url) as transactions:
        yield transactions
