"""Unit tests of the error responses, with handlers and errors of the real framework."""

import logging
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.params import FromQuery, JSONBody
from litestar.testing import TestClient
from litestar.types import HTTPScope, Message

from application.errors import (
    ConcurrentUpdate,
    DependencyUnavailable,
    KeySetUnavailable,
    SchemaOutdated,
    StorageRefused,
    StorageUnavailable,
    TokenIssuingDisabled,
)
from domain.errors import DomainError, Forbidden, NotSignedIn, TooManyAttempts
from interfaces.web.errors import EXCEPTION_HANDLERS, AnyRequest, find_status


class NewRefusal(DomainError):
    """A domain error that the table of statuses does not list."""


class NewKindOfForbidden(Forbidden):
    """A domain error that the table lists by its base class only."""


class NewOutage(DependencyUnavailable):
    """An outage of a dependency that the tables do not list."""


class Body(msgspec.Struct, forbid_unknown_fields=True):
    channel: str


def make_app(*handlers: Any) -> Litestar:
    return Litestar(
        list(handlers),
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )


def request_that_raises(error: Exception) -> Any:
    """Return the response of an application whose only handler raises the error."""

    @get("/")
    async def fail() -> None:
        raise error

    with TestClient(make_app(fail), raise_server_exceptions=False) as client:
        return client.get("/")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotSignedIn(), HTTPStatus.UNAUTHORIZED),
        (Forbidden(), HTTPStatus.FORBIDDEN),
        (TooManyAttempts(60), HTTPStatus.TOO_MANY_REQUESTS),
        (TokenIssuingDisabled(), HTTPStatus.NOT_IMPLEMENTED),
        (StorageUnavailable(), HTTPStatus.SERVICE_UNAVAILABLE),
        (KeySetUnavailable(), HTTPStatus.SERVICE_UNAVAILABLE),
        (NewRefusal(), HTTPStatus.BAD_REQUEST),
        (NewKindOfForbidden(), HTTPStatus.FORBIDDEN),
        (NewOutage(), HTTPStatus.SERVICE_UNAVAILABLE),
        (RuntimeError(), HTTPStatus.INTERNAL_SERVER_ERROR),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(int(value)),
)
def test_status_is_that_of_the_nearest_listed_class(error: Exception, status: HTTPStatus) -> None:
    assert find_status(error) is status


def test_domain_error_without_a_status_is_400_with_its_text() -> None:
    response = request_that_raises(NewRefusal("the colour is not allowed"))

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "status": 400,
        "title": "Bad Request",
        "detail": "the colour is not allowed",
    }


@pytest.mark.parametrize(
    ("error", "event", "detail"),
    [
        (
            StorageUnavailable("reason"),
            "storage_unavailable",
            "the storage does not answer; please try again",
        ),
        (
            SchemaOutdated("reason"),
            "storage_unavailable",
            "the schema of the storage is not this version's; please try again",
        ),
        (
            StorageRefused("reason"),
            "storage_unavailable",
            "the storage refused the data; please try again",
        ),
        (
            KeySetUnavailable("reason"),
            "key_set_unavailable",
            "the identity provider's keys cannot be fetched; please try again",
        ),
        (
            ConcurrentUpdate("reason"),
            "concurrent_update",
            "the data was changed at the same time; please try again",
        ),
        (
            NewOutage("reason"),
            "dependency_unavailable",
            "a service that Leadport depends on does not answer; please try again",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_unavailable_dependency_is_503_and_names_the_cause(
    error: Exception, event: str, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = request_that_raises(error)

    assert (response.status_code, response.json()["detail"]) == (503, detail)
    assert response.headers["retry-after"] == "5"
    (record,) = (record for record in caplog.records if record.name == "interfaces.web.errors")
    assert (record.message, record.levelno) == (event, logging.ERROR)
    assert record.__dict__["error"] == "reason"


async def test_body_that_ends_early_is_400_and_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Litestar raises an error of its own, which only its text distinguishes."""

    @post("/")
    async def read(request: AnyRequest) -> None:
        await request.body()

    scope: HTTPScope = {  # type: ignore[typeddict-item]  # the server sets these keys only
        "type": "http",
        "asgi": {"spec_version": "2.4", "version": "3.0"},
        "http_version": "1.1",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"content-length", b"100")],
    }
    received = iter(
        [
            {"type": "http.request", "body": b'{"channel":', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Message] = []

    async def receive() -> Any:
        return next(received)

    async def send(message: Message) -> None:
        sent.append(message)

    with caplog.at_level(logging.INFO):
        await make_app(read)(scope, receive, send)

    assert [message.get("status") for message in sent] == [400, None]
    assert b"the body ended early" in sent[1]["body"]  # type: ignore[typeddict-item]
    assert [(record.message, record.levelno) for record in caplog.records] == [
        ("body_incomplete", logging.INFO)
    ]


@pytest.mark.parametrize(
    ("body", "query", "field"),
    [
        ({"channel": "whatsapp"}, {}, "org_id"),
        ({}, {"org_id": "1"}, "channel"),
        ({"channel": "whatsapp", "colour": "red"}, {"org_id": "1"}, "colour"),
        ({"channel": 1}, {"org_id": "1"}, "channel"),
        ({"channel": "whatsapp"}, {"org_id": "one"}, "org_id"),
    ],
    ids=["missing parameter", "missing field", "unknown field", "wrong field", "wrong parameter"],
)
def test_validation_error_of_the_framework_names_the_field(
    body: dict[str, Any], query: dict[str, str], field: str
) -> None:
    """Litestar names a missing or unknown field in the text of its error only."""

    @post("/")
    async def save(data: JSONBody[Body], org_id: FromQuery[int]) -> None:
        assert data
        assert org_id

    with TestClient(make_app(save)) as client:
        response = client.post("/", json=body, params=query)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
