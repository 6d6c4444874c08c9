"""Compressed deliveries: the webhook refuses them, and never answers 200 without keeping them."""

import gzip
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from interfaces.meta.signature import sign
from tests.support.app import SECRET
from tests.support.payloads import HOLA, encode, message_delivery

pytestmark = pytest.mark.slow

WEBHOOK = "/api/webhooks/meta"
BODY = encode(message_delivery(HOLA))


def signed_headers(body: bytes) -> list[tuple[str, str]]:
    return [("X-Hub-Signature-256", sign(body, SECRET))]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("br", BODY),
        ("identity, gzip", gzip.compress(BODY)),
        ("gzip", BODY),
    ],
)
@pytest.mark.parametrize("signed_bytes", ["as sent", "unpacked", "unsigned"])
def test_compressed_delivery_is_refused(
    client: TestClient[Litestar], encoding: str, body: bytes, signed_bytes: str
) -> None:
    headers = {
        "as sent": signed_headers(body),
        "unpacked": signed_headers(BODY),
        "unsigned": [],
    }[signed_bytes]

    answer = client.post(WEBHOOK, content=body, headers=[*headers, ("Content-Encoding", encoding)])

    assert answer.status_code == 415
    assert answer.json() == {
        "status": 415,
        "title": "Unsupported Media Type",
        "detail": "send the body without Content-Encoding",
    }
    assert answer.headers["content-type"] == "application/problem+json"


def test_encoding_in_a_second_header_is_refused(client: TestClient[Litestar]) -> None:
    body = gzip.compress(BODY)
    encodings = [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]

    answer = client.post(WEBHOOK, content=body, headers=[*signed_headers(body), *encodings])

    assert answer.status_code == 415


@pytest.mark.parametrize("encoding", ["", "identity", " Identity ", "identity, identity"])
def test_delivery_without_compression_is_read(client: TestClient[Litestar], encoding: str) -> None:
    answer = client.post(
        WEBHOOK, content=BODY, headers=[*signed_headers(BODY), ("Content-Encoding", encoding)]
    )

    assert (answer.status_code, answer.json()["received"]) == (200, 1)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_unknown_encoding_is_never_answered_as_read(
    client: TestClient[Litestar], encoding: str
) -> None:
    is_known = {part.strip().lower() for part in encoding.split(",")} <= {"", "identity"}

    answer = client.post(
        WEBHOOK, content=BODY, headers=[*signed_headers(BODY), ("Content-Encoding", encoding)]
    )

    assert answer.status_code == (200 if is_known else 415)


def test_refusal_is_described(client: TestClient[Litestar]) -> None:
    schema = client.get("/schema/openapi.json").json()

    assert "415" in schema["paths"][WEBHOOK]["post"]["responses"]
