"""The whole service over each storage: only a setting differs."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import argon2
import pytest
from dependency_injector.providers import Object
from litestar import Litestar
from litestar.testing import TestClient

from application.use_cases import UseCases
from infrastructure.passwords import Argon2PasswordHasher
from interfaces.web.app import create_app
from leadport.container import Container
from leadport.settings import Settings

T = TypeVar("T")

# Real hashes, made in a millisecond instead of the hundred that guessing must cost.
QUICK = Object(Argon2PasswordHasher(argon2.PasswordHasher(time_cost=1, memory_cost=64)))

SECRET, TOKEN = "app secret", "verify token"


@pytest.fixture(params=["memory", "postgres"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """As the service has it: every pool acts as a role of its own."""
    environ = {
        "STORAGE": request.param,
        "LEADPORT_DATA_DIR": str(tmp_path),
        "META_APP_SECRET": SECRET,
        "META_WEBHOOK_VERIFY_TOKEN": TOKEN,
    }
    if request.param == "postgres":
        environ["DATABASE_URL"] = request.getfixturevalue("database_url")
    container = Container()
    container.settings.override(Settings.read(environ))
    container.passwords.override(QUICK)
    return container


@pytest.fixture
def operators(container: Container) -> Container:
    """As an operator's command has it; memory is shared, as the database is."""
    operators = Container()
    operators.settings.override(container.settings())
    operators.memory.override(container.memory())
    operators.role.override(Object(None))
    operators.passwords.override(QUICK)
    return operators


async def close(*containers: Container) -> None:
    for each in containers:
        if each.settings().storage == "postgres":
            for engine in each.engines():
                await engine.dispose()


def at_the_end(*containers: Container) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    async def close_all() -> None:
        await close(*containers)

    return [close_all]


@pytest.fixture
async def do(container: Container) -> AsyncIterator[UseCases]:
    """What the service can do."""
    yield container.use_cases()
    await close(container)


@pytest.fixture
async def operate(operators: Container) -> AsyncIterator[UseCases]:
    """What an operator can do."""
    yield operators.use_cases()
    await close(operators)


@pytest.fixture
def client(container: Container, operators: Container) -> Iterator[TestClient[Litestar]]:
    app = create_app(
        container.use_cases(),
        public_url="http://testserver.local",
        form_secret="form secret",
        on_shutdown=at_the_end(container, operators),
    )
    with TestClient(app) as client:
        yield client


def run(client: TestClient[Litestar], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it in the loop of the application, where its database connections live."""
    with client.portal() as portal:
        done: T = portal.call(work)
        return done
