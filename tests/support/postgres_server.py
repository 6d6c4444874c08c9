"""Pytest plugin: the PostgreSQL server of the tests, in Docker or embedded."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer

from infrastructure.embedded_postgres import EmbeddedPostgres

IMAGE = "postgres:18"

UNSAFE_FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings of a server that need not survive a crash; crashes are tested with the defaults."""


@cache
def is_docker_available() -> bool:
    """Whether a Docker engine answers within 5 s."""
    with warnings.catch_warnings():
        # Docker's client does not close its socket where it finds no engine.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            docker.from_env(timeout=5).close()
            is_available = True
        except DockerException:
            is_available = False
        gc.collect()
    return is_available


def pytest_report_header() -> str:
    """Say which PostgreSQL the tests use."""
    if is_docker_available():
        return f"PostgreSQL: testcontainers, {IMAGE}"
    return "PostgreSQL: embedded (Docker does not answer)"


@contextmanager
def run_container() -> Iterator[str]:
    """Run PostgreSQL in Docker until the block ends; yield its URL."""
    with PostgresContainer(IMAGE, driver=None) as postgres:
        yield postgres.get_connection_url()


@contextmanager
def run_embedded(folder: Path) -> Iterator[str]:
    """Run the embedded PostgreSQL until the block ends; yield its URL."""
    server = EmbeddedPostgres(folder, options=UNSAFE_FAST_SETTINGS)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server and of its default database."""
    folder = tmp_path_factory.mktemp("postgres")
    with run_container() if is_docker_available() else run_embedded(folder) as url:
        yield url
