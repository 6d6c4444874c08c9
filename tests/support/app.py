"""The whole service for tests: its container over one storage, its HTTP client, its commands."""

import hashlib
import hmac
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import argon2
from click import Group
from click.testing import CliRunner, Result
from dependency_injector.providers import Object, Singleton
from litestar import Litestar
from litestar.testing import TestClient

from application.ingestion.delivery_queue import DeliveryTimeouts
from application.ingestion.ingest_messages import Counters
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ports.clock import Clock
from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import Channel
from domain.organization import OrgId
from infrastructure.password_hasher import Argon2PasswordHasher
from interfaces.cli.context import CliContext, ServiceEndpoint
from interfaces.web.app import create_app
from leadport.container import Container
from leadport.settings import Settings
from tests.support.builders import SHOP_NUMBER
from tests.support.items import encode_items
from tests.support.payloads import Json

T = TypeVar("T")

FAST_PASSWORD_HASHER = Object(
    Argon2PasswordHasher(argon2.PasswordHasher(time_cost=1, memory_cost=64))
)
"""Real hashes, made in a millisecond instead of the hundred that guessing must cost."""

SECRET, TOKEN = "app secret", "verify token"
WEBHOOK = "/api/webhooks/meta"

GENEROUS_TIMEOUT_SECONDS = 60.0
"""For a storage that answers: a busy machine is no failure."""

Deliver: TypeAlias = Callable[..., Coroutine[Any, Any, Counters]]
"""Delivers items of WhatsApp; `to` is the number, further keywords are parts of the value."""

Command: TypeAlias = Callable[..., Coroutine[Any, Any, Result]]
"""Runs a command of the command line: its group, then its arguments."""


def make_container(storage: str, data_dir: Path, database_url: str | None = None) -> Container:
    """Make the container of the service: every pool acts as a role of its own."""
    environ = {
        "STORAGE": storage,
        "LEADPORT_DATA_DIR": str(data_dir),
        "META_APP_SECRET": SECRET,
        "META_WEBHOOK_VERIFY_TOKEN": TOKEN,
    }
    if database_url is not None:
        environ["DATABASE_URL"] = database_url
    container = Container()
    container.settings.override(Settings.read(environ))
    container.passwords.override(FAST_PASSWORD_HASHER)
    container.delivery_timeouts.override(
        Singleton(
            DeliveryTimeouts, container.breaker, GENEROUS_TIMEOUT_SECONDS, GENEROUS_TIMEOUT_SECONDS
        )
    )
    return container


def make_operator_container(container: Container) -> Container:
    """Make the container of operators' commands. It shares the storage of the service."""
    operator_container = Container()
    operator_container.settings.override(container.settings())
    operator_container.memory.override(container.memory())
    operator_container.pools.override(operator_container.operator_pools)
    operator_container.passwords.override(FAST_PASSWORD_HASHER)
    return operator_container


async def close_pools(*containers: Container) -> None:
    """Close the connections of the containers whose storage is PostgreSQL."""
    for container in containers:
        if container.settings().storage == "postgres":
            for pool in container.pools().values():
                await pool.dispose()


def shutdown_hooks(*containers: Container) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """Return what an application calls when it stops: it closes the containers' connections."""

    async def close_all() -> None:
        await close_pools(*containers)

    return [close_all]


def make_app(
    container: Container,
    operator_container: Container,
    public_url: str = "http://testserver.local",
) -> Litestar:
    """Make the HTTP application. It closes the connections of both containers when it stops."""
    return create_app(
        container.use_cases(),
        webhook_verifier=container.webhook_verifier(),
        parser=container.parser(),
        public_url=public_url,
        form_secret="form secret",
        on_shutdown=shutdown_hooks(container, operator_container),
    )


def run_in_app(client: TestClient[Litestar], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it in the loop of the application, where its database connections live."""
    with client.portal() as portal:
        result: T = portal.call(work)
        return result


async def create_connected_shop(operator_use_cases: UseCases) -> OrgId:
    """Create an organisation that has connected SHOP_NUMBER."""
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    await operator_use_cases.upsert_connection(
        shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator()
    )
    return shop.org_id


def sign(body: bytes) -> dict[str, str]:
    """Return the headers with which Meta posts the body."""
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}"}


def make_deliver(container: Container, receive_delivery: ReceiveDelivery, clock: Clock) -> Deliver:
    """Make a function that delivers items to the use case, without HTTP and signature."""

    async def deliver(*items: Json, to: str = SHOP_NUMBER, **value: Json) -> Counters:
        body = encode_items(*items, to=to, **{"contacts": [], **value})
        arrived_at = clock.now()
        return await receive_delivery(container.parser().parse(body, arrived_at), body, arrived_at)

    return deliver


def make_command(container: Container) -> Command:
    """Make a function that runs commands over the container's storage."""

    @asynccontextmanager
    async def open_use_cases() -> AsyncIterator[UseCases]:
        # Pools of its own: the command runs in another thread.
        command_container = make_operator_container(container)
        try:
            yield command_container.use_cases()
        finally:
            await close_pools(command_container)

    def refuse_service_endpoint() -> ServiceEndpoint:
        raise AssertionError("these commands post nothing")

    async def invoke(group: Group, *arguments: object) -> Result:
        context = CliContext(open_use_cases, refuse_service_endpoint)
        texts = [str(argument) for argument in arguments]
        return await to_thread(CliRunner().invoke, group, texts, obj=context)

    return invoke
