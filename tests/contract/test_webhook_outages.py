"""The webhook endpoint's answers while the storage or the spool is down."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from dependency_injector.providers import Singleton
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.support.app import WEBHOOK, create_connected_shop, run_in_app, sign
from tests.support.failing_storage import FailingTransactions, storage_down
from tests.support.items import STATUS, encode_items, make_text_item
from tests.support.payloads import HOLA, Object

pytestmark = pytest.mark.slow


@pytest.fixture
def webhook(
    storage: FailingTransactions,  # noqa: ARG001 - the application must be made over it
    client: TestClient[Litestar],
    operator_container: Container,
) -> TestClient[Litestar]:
    """A client of the application, where SHOP_NUMBER is connected."""
    run_in_app(client, lambda: create_connected_shop(operator_container.use_cases()))
    return client


@pytest.fixture
def small_spool(container: Container) -> None:
    """Limit the spool to 100 pages of 4,096 bytes."""
    container.spool.override(
        Singleton(SqliteSpool, container.settings.provided.spool_file, 100 * 4096)
    )


def post(webhook: TestClient[Litestar], *items: Object, **value: Any) -> Response:
    """Post the items, signed."""
    body = encode_items(*items, **value)
    return webhook.post(WEBHOOK, content=body, headers=sign(body))


def test_webhook_answers_200_and_counts_failures_while_the_storage_is_down(
    webhook: TestClient[Litestar], storage: FailingTransactions
) -> None:
    with storage_down(storage):
        answer = post(webhook, HOLA)

        assert answer.status_code == 200
        assert answer.json() == {"received": 1, "ingested": 0, "skipped": 0, "failed": 1}
        ready, alive = webhook.get("/readyz"), webhook.get("/healthz")
        assert (ready.status_code, alive.status_code) == (503, 200)
        assert ready.json()["detail"] == "away"


def test_webhook_answers_503_where_the_spool_cannot_be_written_either(
    webhook: TestClient[Litestar],
    storage: FailingTransactions,
    spool: SqliteSpool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool.path.mkdir()

    with storage_down(storage):
        answer = post(webhook, HOLA)

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "status": 503,
        "title": "Service Unavailable",
        "detail": "neither the database nor the spool can keep this; send it again",
    }
    assert "delivery_refused" in caplog.text
    assert "hola" not in "".join(str(record.__dict__) for record in caplog.records)
    spool.path.rmdir()


@pytest.mark.usefixtures("small_spool")
def test_webhook_answers_503_while_the_spool_is_full(
    webhook: TestClient[Litestar], storage: FailingTransactions, container: Container
) -> None:
    with storage_down(storage):
        answers = [
            post(webhook, make_text_item("x" * 20_000, id_=f"wamid.{n}")).status_code
            for n in range(30)
        ]

    spooled = answers.count(200)
    assert answers == [200] * spooled + [503] * (30 - spooled)
    assert 10 < spooled < 25

    run_in_app(webhook, container.use_cases().run_maintenance)
    run_in_app(webhook, container.use_cases().run_maintenance)
    with storage_down(storage):
        assert post(webhook, make_text_item("x" * 20_000, id_="wamid.again")).status_code == 200


def test_webhook_answers_statuses_without_storage_and_spool(
    webhook: TestClient[Litestar], storage: FailingTransactions, spool: SqliteSpool
) -> None:
    spool.path.mkdir()

    with storage_down(storage):
        answer = post(webhook, statuses=[STATUS])

    assert answer.status_code == 200
    assert answer.json() == {"received": 0, "ingested": 0, "skipped": 0, "failed": 0}
    spool.path.rmdir()


def test_unsigned_delivery_is_never_spooled(
    webhook: TestClient[Litestar], storage: FailingTransactions, spool: SqliteSpool
) -> None:
    headers = {"X-Hub-Signature-256": "sha256=00"}

    with storage_down(storage):
        answer = webhook.post(WEBHOOK, content=encode_items(HOLA), headers=headers)

    assert answer.status_code == 403
    assert not spool.path.exists()


@pytest.mark.parametrize("first_half", [b"", b'{"object":'])
def test_delivery_whose_body_ends_early_is_neither_stored_nor_spooled(
    webhook: TestClient[Litestar],
    storage: FailingTransactions,
    container: Container,
    first_half: bytes,
) -> None:
    """The server ends a body that comes too slowly in this way."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": WEBHOOK,
        "raw_path": WEBHOOK.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-length", b"1000")],
        "client": ("203.0.113.1", 1),
        "server": ("testserver", 80),
        "state": {},
    }
    sent: list[dict[str, Any]] = []

    async def deliver_half() -> None:
        event = {"type": "http.request", "body": first_half, "more_body": True}
        events = [event] if first_half else []

        async def receive() -> Any:
            return events.pop() if events else {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            sent.append(event)

        async with asyncio.timeout(60):
            await webhook.app(scope, receive, send)

    calls = storage.calls
    run_in_app(webhook, deliver_half)

    start, *rest = sent
    assert start["status"] == 400
    assert (b"content-type", b"application/problem+json") in start["headers"]
    answer = json.loads(b"".join(event["body"] for event in rest))
    assert answer["detail"] == "the body ended early"
    assert storage.calls == calls == 0
    assert not Path(container.spool().path).exists()
