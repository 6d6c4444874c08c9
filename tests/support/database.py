"""Databases for tests: a PostgreSQL server, and the storage adapters over it and in memory."""

import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
import pytest
import sqlalchemy as sa
from docker.errors import DockerException
from sqlalchemy.ext.asyncio import AsyncEngine
from testcontainers.community.postgres import PostgresContainer

from application.ports.storage import Repositories, Transactions
from domain.actor import Actor, Authenticator, Operator, SignedInUser, WebhookWriter
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.postgres.pools import open_pool
from infrastructure.postgres.session import PostgresSession
from infrastructure.postgres.transactions import PostgresTransactions

IMAGE = "postgres:18"

OLDEST_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
"""The programs of the oldest PostgreSQL that Leadport supports."""

UNSAFE_FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings of the embedded server. Tests of crashes use the defaults."""

ACTOR_TYPES: tuple[type[Actor], ...] = (WebhookWriter, Authenticator, SignedInUser, Operator)


@cache
def is_docker_available() -> bool:
    """Whether a Docker engine answers within 5 s."""
    with warnings.catch_warnings():
        # The client forgets its socket when it finds no engine.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            docker.from_env(timeout=5).close()
            is_available = True
        except DockerException:
            is_available = False
        gc.collect()
    return is_available


@contextmanager
def run_postgres() -> Iterator[str]:
    """Run a server in Docker, else the embedded one; yield its URL."""
    with _run_container() if is_docker_available() else run_embedded() as url:
        yield url


@contextmanager
def _run_container() -> Iterator[str]:
    with PostgresContainer(IMAGE, driver=None) as postgres:
        yield postgres.get_connection_url()


@contextmanager
def run_embedded(version: str = "newest") -> Iterator[str]:
    """Run the embedded server, or PostgreSQL 15 where the version is "oldest"; yield its URL.

    Its folder is not pytest's, from which another run of pytest would lock out the account that
    the server runs as under root.
    """
    if version == "oldest" and not OLDEST_PROGRAMS.exists():
        pytest.skip(f"no PostgreSQL 15 in {OLDEST_PROGRAMS} (Debian 12: apt install postgresql-15)")
    with TemporaryDirectory(prefix="leadport-tests-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres", options=UNSAFE_FAST_SETTINGS)
        if version == "oldest":
            server.programs, server.locale = OLDEST_PROGRAMS, ["--locale=C"]
        try:
            yield server.start()
        finally:
            server.stop()


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Transactions]:
    """Open transactions in which every actor is the owner of the database."""
    pool = open_pool(url)
    # A busy machine is no failure.
    yield PostgresTransactions(share_pool(pool), timeout_seconds=60)
    await pool.dispose()


def share_pool(pool: AsyncEngine) -> dict[type[Actor], AsyncEngine]:
    """Give every actor the same pool."""
    return dict.fromkeys(ACTOR_TYPES, pool)


async def flush(repos: Repositories) -> None:
    """Send the writes that a PostgreSQL transaction has deferred."""
    session: PostgresSession = repos.organizations.session  # type: ignore[attr-defined]
    await session.execute(sa.text("SELECT 1"))  # a statement sends them first
