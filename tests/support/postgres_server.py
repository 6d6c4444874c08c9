"""Pytest plugin: the PostgreSQL server of the tests, in Docker or embedded."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
import pytest
from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer

from infrastructure.embedded_postgres import EmbeddedPostgres

IMAGE = "postgres:18"

OLDEST_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
"""The programs of the oldest PostgreSQL that Leadport supports."""

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


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A PostgreSQL server. Tests may create further databases in it."""
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
