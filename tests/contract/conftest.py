"""The whole service over each storage: only a setting differs."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import argon2
import pytest
from click import Group
from click.testing import CliRunner, Result
from dependency_injector.providers import Object
from litestar import Litestar
from litestar.testing import TestClient

from application.ingestion import delivery_queue
from application.ingestion.ingest_messages import Counters
from application.use_cases import UseCases
from domain.connection import Channel
from domain.organization import OrgId
from infrastructure.password_hasher import Argon2PasswordHasher
from interfaces.cli.context import Service, Webhook
from interfaces.web.app import create_app
from leadport.container import Container
from leadport.settings import Settings
from tests.support.builders import SHOP_NUMBER, StoppedClock
from tests.support.failing_storage import Troubled
from tests.support.payloads import ANA, HOLA, Json, change, encoded, whatsapp

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
    return operators_of(container)


def operators_of(container: Container) -> Container:
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


@pytest.fixture
def storage(container: Container) -> Troubled:
    """The service's own storage, which may be given troubles."""
    storage = Troubled(container.transactions())
    container.transactions.override(Object(storage))
    return storage


@pytest.fixture
def clock(container: Container) -> StoppedClock:
    """The service's clock, which stands at noon until it is moved."""
    clock = StoppedClock()
    container.clock.override(Object(clock))
    return clock


@pytest.fixture
async def shop(operate: UseCases) -> OrgId:
    """An organisation whose number is connected."""
    made = await operate.create_organization("Shop", "ana@shop.example")
    await operate.upsert_connection(made.org_id, Channel.WHATSAPP, SHOP_NUMBER, person=None)
    return made.org_id


Deliver = Callable[..., Coroutine[Any, Any, Counters]]


@pytest.fixture
def deliver(
    container: Container,
    storage: Troubled,  # noqa: ARG001 - it must be in place before the use cases are made
    clock: StoppedClock,
    do: UseCases,
    monkeypatch: pytest.MonkeyPatch,
) -> Deliver:
    """Posts WhatsApp's items, but for the door; a busy machine is no failure."""
    monkeypatch.setattr(delivery_queue, "PATIENCE", 60)

    async def post(*items: Json, to: str = SHOP_NUMBER, **value: Json) -> Counters:
        parts = {"contacts": [], **value}
        body, arrived_at = encoded(whatsapp(change(*items, to=to, **parts))), clock.now()
        return await do.receive_delivery(container.read()(body, arrived_at), body, arrived_at)

    return post


def text(body: str, *, by: str = ANA, id_: str | None = None) -> dict[str, Any]:
    """An item; its id is made of its words."""
    return {**HOLA, "from": by, "id": id_ or f"wamid.{body}", "text": {"body": body}}


Command = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
def leadport(container: Container) -> Command:
    """Runs a command beside the service, as another process would."""

    @asynccontextmanager
    async def open_use_cases() -> AsyncIterator[UseCases]:
        theirs = operators_of(container)
        try:
            yield theirs.use_cases()
        finally:
            await close(theirs)

    def nowhere() -> Webhook:
        raise AssertionError("these commands post nothing")

    async def invoke(group: Group, *arguments: object) -> Result:
        service = Service(open_use_cases, nowhere)
        words = [str(argument) for argument in arguments]
        return await to_thread(CliRunner().invoke, group, words, obj=service)

    return invoke


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
