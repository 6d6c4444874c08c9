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

from application.ingestion.ingest_messages import Counters
from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import Channel
from domain.organization import OrgId
from infrastructure.password_hasher import Argon2PasswordHasher
from interfaces.cli.context import CliContext, Webhook
from interfaces.web.app import create_app
from leadport.container import Container
from leadport.settings import Settings
from tests.support.builders import SHOP_NUMBER, StoppedClock
from tests.support.failing_storage import FailingTransactions
from tests.support.payloads import ANA, HOLA, Json, encode, whatsapp_change, whatsapp_delivery

T = TypeVar("T")

# Real hashes, made in a millisecond instead of the hundred that guessing must cost.
FAST_PASSWORD_HASHER = Object(
    Argon2PasswordHasher(argon2.PasswordHasher(time_cost=1, memory_cost=64))
)

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
    container.passwords.override(FAST_PASSWORD_HASHER)
    return container


@pytest.fixture
def operator_container(container: Container) -> Container:
    """As an operator's command has it; memory is shared, as the database is."""
    return make_operator_container(container)


def make_operator_container(container: Container) -> Container:
    operator_container = Container()
    operator_container.settings.override(container.settings())
    operator_container.memory.override(container.memory())
    operator_container.pools.override(operator_container.operator_pools)
    operator_container.passwords.override(FAST_PASSWORD_HASHER)
    return operator_container


async def close_pools(*containers: Container) -> None:
    for each in containers:
        if each.settings().storage == "postgres":
            for engine in each.pools().values():
                await engine.dispose()


@pytest.fixture
def storage(container: Container) -> FailingTransactions:
    """The service's own storage, which may be given troubles."""
    storage = FailingTransactions(container.transactions())
    container.transactions.override(Object(storage))
    return storage


@pytest.fixture
def clock(container: Container) -> StoppedClock:
    """The service's clock, which stands at noon until it is moved."""
    clock = StoppedClock()
    container.clock.override(Object(clock))
    return clock


@pytest.fixture
async def shop(operator_use_cases: UseCases) -> OrgId:
    """An organisation whose number is connected."""
    made = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    await operator_use_cases.upsert_connection(
        made.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator()
    )
    return made.org_id


Deliver = Callable[..., Coroutine[Any, Any, Counters]]


@pytest.fixture
def deliver(
    container: Container,
    storage: FailingTransactions,  # noqa: ARG001 - it must be in place before the use cases are made
    clock: StoppedClock,
    use_cases: UseCases,
) -> Deliver:
    """Posts WhatsApp's items, but for the door; a busy machine is no failure."""
    container.delivery_timeouts().silent_seconds = 60

    async def post(*items: Json, to: str = SHOP_NUMBER, **value: Json) -> Counters:
        parts = {"contacts": [], **value}
        body, arrived_at = (
            encode(whatsapp_delivery(whatsapp_change(*items, to=to, **parts))),
            clock.now(),
        )
        return await use_cases.receive_delivery(
            container.parser().parse(body, arrived_at), body, arrived_at
        )

    return post


def text_item(body: str, *, by: str = ANA, id_: str | None = None) -> dict[str, Any]:
    """An item; its id is made of its words."""
    return {**HOLA, "from": by, "id": id_ or f"wamid.{body}", "text": {"body": body}}


Command = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
def leadport(container: Container) -> Command:
    """Runs a command beside the service, as another process would."""

    @asynccontextmanager
    async def open_use_cases() -> AsyncIterator[UseCases]:
        theirs = make_operator_container(container)
        try:
            yield theirs.use_cases()
        finally:
            await close_pools(theirs)

    def nowhere() -> Webhook:
        raise AssertionError("these commands post nothing")

    async def invoke(group: Group, *arguments: object) -> Result:
        service = CliContext(open_use_cases, nowhere)
        words = [str(argument) for argument in arguments]
        return await to_thread(CliRunner().invoke, group, words, obj=service)

    return invoke


def shutdown_hooks(*containers: Container) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    async def close_all() -> None:
        await close_pools(*containers)

    return [close_all]


@pytest.fixture
async def use_cases(container: Container) -> AsyncIterator[UseCases]:
    """What the service can do."""
    yield container.use_cases()
    await close_pools(container)


@pytest.fixture
async def operator_use_cases(operator_container: Container) -> AsyncIterator[UseCases]:
    """What an operator can do."""
    yield operator_container.use_cases()
    await close_pools(operator_container)


@pytest.fixture
def client(container: Container, operator_container: Container) -> Iterator[TestClient[Litestar]]:
    app = create_app(
        container.use_cases(),
        webhook_verifier=container.webhook_verifier(),
        parser=container.parser(),
        public_url="http://testserver.local",
        form_secret="form secret",
        on_shutdown=shutdown_hooks(container, operator_container),
    )
    with TestClient(app) as client:
        yield client


def run_in_app(client: TestClient[Litestar], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it in the loop of the application, where its database connections live."""
    with client.portal() as portal:
        done: T = portal.call(work)
        return done
