"""Every use case through the container and the web, with each adapter behind the ports."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from application.use_cases import UseCases
from domain.connection import Channel, ConnectionId
from domain.errors import InvalidInput, NotFound, NumberConnectedElsewhere
from domain.organization import OrgId, Role
from infrastructure.postgres.transactions import PostgresTransactions
from interfaces.web.app import create_app
from interfaces.web.webhook import LARGEST_BODY
from leadport.container import Container
from leadport.settings import Settings
from world import SHOP_NUMBER, new_id

SECRET, TOKEN = "app secret", "verify token"
WEBHOOK = "/api/webhooks/meta"


@pytest.fixture(params=["memory", "postgres"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """Only a setting differs."""
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
    return container


@pytest.fixture
def client(container: Container) -> Iterator[TestClient[Litestar]]:
    use_cases: UseCases = container.use_cases()
    transactions = use_cases.transactions
    on_shutdown = (
        [transactions.engine.dispose] if isinstance(transactions, PostgresTransactions) else []
    )
    with TestClient(create_app(use_cases, on_shutdown=on_shutdown)) as client:
        yield client


async def close(container: Container) -> None:
    if isinstance(container.use_cases().transactions, PostgresTransactions):
        await container.engine().dispose()


def test_everything_can_be_made(container: Container) -> None:
    """Nothing but the call itself finds a constructor that lacks an argument."""
    assert isinstance(container.use_cases(), UseCases)


async def test_operators_and_owners_manage_organisations_and_connections(
    container: Container,
) -> None:
    do: UseCases = container.use_cases()

    shop = await do.create_organization(" Shop ", "Ana@Shop.example")
    other = await do.create_organization("Other", "ana@shop.example", password="ignored")
    eva = await do.add_member(shop.org_id, "eva@shop.example", Role.MEMBER)
    assert shop.password
    assert (other.user_id, other.password) == (shop.user_id, None)
    async with do.transactions.begin() as repos:
        members = await repos.organizations.members(shop.org_id)
        owner = await repos.users.by_email("ana@shop.example")
    assert [(m.user_id, m.role) for m in members] == [
        (shop.user_id, Role.OWNER),
        (eva.user_id, Role.MEMBER),
    ]
    assert owner
    assert owner.password_hash.startswith("$argon2id$")
    assert shop.password not in owner.password_hash

    made, is_new = await do.upsert_connection(
        shop.org_id, Channel.WHATSAPP, f" {SHOP_NUMBER} ", display_name=" Ventas "
    )
    assert (made.external_id, made.display_name, made.is_enabled, is_new) == (
        SHOP_NUMBER,
        "Ventas",
        True,
        True,
    )
    with pytest.raises(NumberConnectedElsewhere) as refusal:
        await do.upsert_connection(other.org_id, Channel.WHATSAPP, SHOP_NUMBER)
    assert "Shop" not in str(refusal.value)
    disabled, _ = await do.upsert_connection(
        other.org_id, Channel.WHATSAPP, SHOP_NUMBER, is_enabled=False
    )

    changed, is_new = await do.upsert_connection(
        shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, is_enabled=False
    )
    assert (changed.id, changed.display_name, changed.is_enabled, is_new) == (
        made.id,
        "Ventas",
        False,
        False,
    )
    assert await do.list_connections(shop.org_id) == [changed]

    with pytest.raises(NotFound):
        await do.remove_connection(shop.org_id, disabled.id)
    await do.remove_connection(shop.org_id, made.id)
    assert await do.list_connections(shop.org_id) == []
    await close(container)


async def test_what_does_not_exist_is_not_found(container: Container) -> None:
    do: UseCases = container.use_cases()
    nobody = OrgId(new_id())

    for attempt in (
        do.list_connections(nobody),
        do.upsert_connection(nobody, Channel.WHATSAPP, "1"),
        do.add_member(nobody, "ana@shop.example", Role.OWNER),
        do.remove_connection(nobody, ConnectionId(new_id())),
    ):
        with pytest.raises(NotFound):
            await attempt
    for wrong in (do.create_organization(" ", "a@b"), do.create_organization("Shop", "ana")):
        with pytest.raises(InvalidInput):
            await wrong
    await close(container)


def sign(body: bytes) -> dict[str, str]:
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}"}


def text(body: str = "secret words", *, id_: str = "wamid.1") -> bytes:
    message = {"from": "15550001111", "id": id_, "type": "text", "text": {"body": body}}
    value = {"metadata": {"phone_number_id": SHOP_NUMBER}, "messages": [message]}
    change = {"field": "messages", "value": value}
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}
    ).encode()


@pytest.fixture
def connected(client: TestClient[Litestar], container: Container) -> TestClient[Litestar]:
    """The door, with the number connected behind it."""

    async def connect() -> None:
        do: UseCases = container.use_cases()
        shop = await do.create_organization("Shop", "ana@shop.example")
        await do.upsert_connection(shop.org_id, Channel.WHATSAPP, SHOP_NUMBER)

    run(client, connect)
    return client


def run(client: TestClient[Litestar], work: Callable[[], Any]) -> None:
    """Run it in the loop of the application, where its database connections live."""
    with client.portal() as portal:
        portal.call(work)


def test_a_signed_delivery_is_counted(connected: TestClient[Litestar]) -> None:
    body = text()

    first, again = (connected.post(WEBHOOK, content=body, headers=sign(body)) for _ in range(2))

    assert first.json() == {"received": 1, "ingested": 1, "skipped": 0, "failed": 0}
    assert again.json() == {"received": 1, "ingested": 0, "skipped": 1, "failed": 0}
    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("headers", [{}, {"X-Hub-Signature-256": "sha256=00"}])
def test_an_unsigned_or_wrongly_signed_delivery_is_refused(
    connected: TestClient[Litestar], headers: dict[str, str]
) -> None:
    answer = connected.post(WEBHOOK, content=text(), headers=headers)

    assert (answer.status_code, answer.json()) == (403, {"status": 403, "title": "Forbidden"})
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"object":', b"\xff\xfe"])
def test_what_is_not_json_is_ignored(client: TestClient[Litestar], body: bytes) -> None:
    answer = client.post(WEBHOOK, content=body, headers=sign(body))

    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"1", b'"x"', b'{"entry":5}', b"[[[]]]"])
def test_json_without_messages_is_counted_as_nothing(
    client: TestClient[Litestar], body: bytes
) -> None:
    answer = client.post(WEBHOOK, content=body, headers=sign(body))

    assert answer.json() == {"received": 0, "ingested": 0, "skipped": 0, "failed": 0}


def test_a_body_over_the_limit_is_refused(client: TestClient[Litestar]) -> None:
    just_right = b" " * (LARGEST_BODY - 2) + b"{}"
    assert client.post(WEBHOOK, content=just_right, headers=sign(just_right)).status_code == 200
    too_large = just_right + b" "
    answer = client.post(WEBHOOK, content=too_large, headers=sign(too_large))
    assert (answer.status_code, answer.json()["title"]) == (413, HTTPStatus(413).phrase)


def test_the_handshake_answers_with_the_challenge(client: TestClient[Litestar]) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}

    answer = client.get(WEBHOOK, params=query)

    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "wrong", [{"hub.verify_token": "x"}, {"hub.challenge": "<b>"}, {"hub.mode": ""}, None]
)
def test_a_wrong_handshake_is_refused(
    client: TestClient[Litestar], wrong: dict[str, str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}

    answer = client.get(WEBHOOK, params={} if wrong is None else {**query, **wrong})

    assert (answer.status_code, answer.json()) == (403, {"status": 403, "title": "Forbidden"})
    assert TOKEN not in caplog.text


def test_a_delivery_leaves_no_words_or_numbers_in_the_log(
    connected: TestClient[Litestar], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="interfaces"):
        for body in (text(), text(id_="wamid.2"), b"nonsense secret words 15550001111"):
            connected.post(WEBHOOK, content=body, headers=sign(body))

    logged = "\n".join(
        str(record.__dict__) for record in caplog.records if "httpx" not in record.name
    )
    assert "ingested" in logged
    for secret in ("secret words", "15550001111", "wamid", SECRET):
        assert secret not in logged


def test_operators_see_whether_it_lives_and_is_ready(client: TestClient[Litestar]) -> None:
    for path in ("/healthz", "/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_errors_are_problem_documents(client: TestClient[Litestar]) -> None:
    for answer, status in (
        (client.get("/nowhere"), 404),
        (client.delete(WEBHOOK), 405),
    ):
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_doors_are_described(client: TestClient[Litestar]) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    assert paths.keys() == {WEBHOOK, "/healthz", "/readyz"}
