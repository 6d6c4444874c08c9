"""Contract tests of the webhook endpoint, the health endpoints and the metrics."""

import json
import logging
from http import HTTPStatus

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import Channel
from interfaces.web.metrics import MAX_COUNTED_NAMES
from interfaces.web.webhook import MAX_BODY_BYTES
from leadport.container import Container
from tests.support.app import SECRET, TOKEN, WEBHOOK, run_in_app, sign
from tests.support.builders import SHOP_NUMBER


def text_item(body: str = "secret words", *, id_: str = "wamid.1") -> bytes:
    message = {"from": "15550001111", "id": id_, "type": "text", "text": {"body": body}}
    value = {"metadata": {"phone_number_id": SHOP_NUMBER}, "messages": [message]}
    change = {"field": "messages", "value": value}
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}
    ).encode()


@pytest.fixture
def connected_client(
    client: TestClient[Litestar], operator_container: Container
) -> TestClient[Litestar]:
    """A client of a service in which `SHOP_NUMBER` is connected."""

    async def connect() -> None:
        operator_use_cases: UseCases = operator_container.use_cases()
        shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
        await operator_use_cases.upsert_connection(
            shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator()
        )

    run_in_app(client, connect)
    return client


def test_signed_delivery_is_counted(connected_client: TestClient[Litestar]) -> None:
    body = text_item()

    first, second = (
        connected_client.post(WEBHOOK, content=body, headers=sign(body)) for _ in range(2)
    )

    assert first.json() == {"received": 1, "ingested": 1, "skipped": 0, "failed": 0}
    assert second.json() == {"received": 1, "ingested": 0, "skipped": 1, "failed": 0}
    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("headers", [{}, {"X-Hub-Signature-256": "sha256=00"}])
def test_delivery_without_a_valid_signature_is_refused(
    connected_client: TestClient[Litestar], headers: dict[str, str]
) -> None:
    response = connected_client.post(WEBHOOK, content=text_item(), headers=headers)

    assert (response.status_code, response.json()) == (403, {"status": 403, "title": "Forbidden"})
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"object":', b"\xff\xfe"])
def test_body_that_is_not_json_is_ignored(client: TestClient[Litestar], body: bytes) -> None:
    response = client.post(WEBHOOK, content=body, headers=sign(body))

    assert (response.status_code, response.json()) == (200, {"status": "ignored"})


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"1", b'"x"', b'{"entry":5}', b"[[[]]]"])
def test_json_without_messages_has_zero_counters(client: TestClient[Litestar], body: bytes) -> None:
    response = client.post(WEBHOOK, content=body, headers=sign(body))

    assert response.json() == {"received": 0, "ingested": 0, "skipped": 0, "failed": 0}


def test_body_over_the_limit_is_refused(client: TestClient[Litestar]) -> None:
    largest_body = b" " * (MAX_BODY_BYTES - 2) + b"{}"
    assert client.post(WEBHOOK, content=largest_body, headers=sign(largest_body)).status_code == 200
    too_large = largest_body + b" "
    response = client.post(WEBHOOK, content=too_large, headers=sign(too_large))
    assert (response.status_code, response.json()["title"]) == (413, HTTPStatus(413).phrase)


def test_handshake_answers_with_the_challenge(client: TestClient[Litestar]) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}

    response = client.get(WEBHOOK, params=query)

    assert (response.status_code, response.text) == (200, "1158201444")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "wrong", [{"hub.verify_token": "x"}, {"hub.challenge": "<b>"}, {"hub.mode": ""}, None]
)
def test_wrong_handshake_is_refused(
    client: TestClient[Litestar], wrong: dict[str, str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}

    response = client.get(WEBHOOK, params={} if wrong is None else {**query, **wrong})

    assert (response.status_code, response.json()) == (403, {"status": 403, "title": "Forbidden"})
    assert TOKEN not in caplog.text


def test_delivery_leaves_no_text_or_number_in_the_log(
    connected_client: TestClient[Litestar], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="interfaces"):
        for body in (text_item(), text_item(id_="wamid.2"), b"nonsense secret words 15550001111"):
            connected_client.post(WEBHOOK, content=body, headers=sign(body))

    logged = "\n".join(
        str(record.__dict__) for record in caplog.records if "httpx" not in record.name
    )
    assert "ingested" in logged
    for secret in ("secret words", "15550001111", "wamid", SECRET):
        assert secret not in logged


def test_ignored_items_are_counted_by_name_alone(client: TestClient[Litestar]) -> None:
    change = {"field": "thought_transfer", "value": {"thoughts": "secret words"}}
    delivery = {"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}
    body = json.dumps(delivery).encode()

    assert client.post(WEBHOOK, content=body, headers=sign(body)).json()["received"] == 0

    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    (counter_line,) = (line for line in response.text.splitlines() if "thought_transfer" in line)
    assert 'part="field"' in counter_line
    assert 'verdict="unknown"' in counter_line
    assert "secret" not in response.text


def test_names_beyond_the_limit_are_counted_as_one(client: TestClient[Litestar]) -> None:
    for start in range(0, 1200, 400):
        changes = [{"field": f"made_up_{n}", "value": {}} for n in range(start, start + 400)]
        delivery = {"object": "whatsapp_business_account", "entry": [{"changes": changes}]}
        body = json.dumps(delivery).encode()
        client.post(WEBHOOK, content=body, headers=sign(body))

    metrics = client.get("/metrics").text
    assert metrics.count("made_up_") <= MAX_COUNTED_NAMES
    assert 'name="(other)"' in metrics


def test_health_endpoints_answer_200(client: TestClient[Litestar]) -> None:
    for path in ("/healthz", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_errors_are_problem_documents(client: TestClient[Litestar]) -> None:
    for response, status in (
        (client.get("/nowhere"), 404),
        (client.delete(WEBHOOK), 405),
    ):
        assert (response.status_code, response.json()["status"]) == (status, status)
        assert response.headers["content-type"] == "application/problem+json"
