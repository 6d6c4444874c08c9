"""Databases for tests: a PostgreSQL server, and the storage adapters over it and in memory."""

import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path

import docker
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
def run_postgres(folder: Path) -> Iterator[str]:
    """Run a server in Docker, else the embedded one in the folder; yield its URL."""
    run = _run_container() if is_docker_available() else _run_embedded(folder)
    with run as url:
        yield url


@contextmanager
def _run_container() -> Iterator[str]:
    with PostgresContainer(IMAGE, driver=None) as postgres:
        yield postgres.get_connection_url()


@contextmanager
def _run_embedded(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder, options=UNSAFE_FAST_SETTINGS)
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
