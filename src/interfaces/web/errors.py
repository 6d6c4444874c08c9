"""Turns errors into HTTP responses: problem documents (RFC 9457) that repeat no input.

`EXCEPTION_HANDLERS` are the handlers of the web application. The pages answer with HTML instead of
a problem document (`interfaces.web.pages`), with the same status and the same log event.
"""

import logging
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from application.errors import (
    ConcurrentUpdate,
    DependencyUnavailable,
    KeySetUnavailable,
    SchemaOutdated,
    StorageRefused,
    StorageUnavailable,
    TokenIssuingDisabled,
)
from domain.errors import (
    DomainError,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    NotSignedIn,
    NumberConnectedElsewhere,
    TooManyAttempts,
    WrongCredentials,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

AnyRequest = Request[Any, Any, State]

ExceptionHandler: TypeAlias = Callable[[AnyRequest, Any], Response[Any]]

PROBLEM_MEDIA_TYPE = "application/problem+json"

STATUS_BY_ERROR: Mapping[type[Exception], HTTPStatus] = {
    DomainError: HTTPStatus.BAD_REQUEST,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    WrongCredentials: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    NumberConnectedElsewhere: HTTPStatus.CONFLICT,
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    TokenIssuingDisabled: HTTPStatus.NOT_IMPLEMENTED,
    DependencyUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageRefused: HTTPStatus.SERVICE_UNAVAILABLE,
    ConcurrentUpdate: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status for errors of a class and of its subclasses that are not listed themselves.

A `DomainError` refuses a request, so one without a line here is the client's error, not the server's.
"""


class Unavailability(NamedTuple):
    """The log event of a temporary failure, and the detail that the client gets."""

    log_event: str
    detail: str


UNAVAILABILITY_BY_ERROR: Mapping[type[Exception], Unavailability] = {
    DependencyUnavailable: Unavailability(
        "dependency_unavailable",
        "a service that Leadport depends on does not answer; please try again",
    ),
    StorageUnavailable: Unavailability(
        "storage_unavailable", "the storage does not answer; please try again"
    ),
    SchemaOutdated: Unavailability(
        "storage_unavailable", "the schema of the storage is not this version's; please try again"
    ),
    StorageRefused: Unavailability(
        "storage_unavailable", "the storage refused the data; please try again"
    ),
    KeySetUnavailable: Unavailability(
        "key_set_unavailable", "the identity provider's keys cannot be fetched; please try again"
    ),
    ConcurrentUpdate: Unavailability(
        "concurrent_update", "the data was changed at the same time; please try again"
    ),
}

RETRY_AFTER_SECONDS = 5
"""The value of the `Retry-After` header in the responses of `handle_unavailability`."""

FIELD_NAME_PATTERN = re.compile(r"(?:field|parameter) [`'](\w+)[`']")
"""The name of an unknown or missing field in the texts of msgspec and Litestar."""

BODY_INCOMPLETE_DETAIL = "client disconnected prematurely"
"""Litestar's text for a body that ends early. The error has no class of its own."""


class FieldErrorJson(msgspec.Struct, frozen=True):
    """One wrong field."""

    field: str
    message: str


class ProblemJson(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document: the status, its title, a detail, and the wrong fields, if any."""

    status: int
    title: str
    detail: str = ""
    errors: list[FieldErrorJson] = []


def describe_problem(description: str) -> ResponseSpec:
    """Return the description of a response that is a problem document, for `/schema`."""
    return ResponseSpec(
        ProblemJson,
        generate_examples=False,  # they would be random text, and other text at each start
        description=description,
        media_type=PROBLEM_MEDIA_TYPE,
    )


def make_problem(
    status: int, detail: str = "", errors: Sequence[FieldError] = ()
) -> Response[ProblemJson]:
    """Return a problem document. The client sees `detail`, so it must hold nothing secret."""
    field_errors = [FieldErrorJson(error.field, error.message) for error in errors]
    body = ProblemJson(status, HTTPStatus(status).phrase, detail, field_errors)
    return Response(body, status_code=status, media_type=PROBLEM_MEDIA_TYPE)


def find_status(error: Exception) -> HTTPStatus:
    """Return the HTTP status for an error: that of its nearest class in `STATUS_BY_ERROR`, or 500."""
    return find_by_class(STATUS_BY_ERROR, error, HTTPStatus.INTERNAL_SERVER_ERROR)


def find_by_class(table: Mapping[type[Exception], T], error: Exception, default: T) -> T:
    """Return the entry of the error's class, or else of its nearest base class in the table."""
    return next((table[kind] for kind in type(error).__mro__ if kind in table), default)


def handle_domain_error(
    _: AnyRequest, error: DomainError | TokenIssuingDisabled
) -> Response[ProblemJson]:
    """Answer a request that a rule of the domain refuses with the text of the error."""
    status = find_status(error)
    if isinstance(error, InvalidInput):
        return make_problem(status, "some fields are wrong", error.errors)
    response = make_problem(status, str(error))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def handle_validation_error(_: AnyRequest, error: ValidationException) -> Response[ProblemJson]:
    """Answer input that does not have the shape in `/schema` with 422, and name the fields."""
    entries = error.extra if isinstance(error.extra, list) else [{"message": error.detail}]
    errors = [_parse_field_error(entry) for entry in entries if isinstance(entry, dict)]
    return make_problem(HTTPStatus.UNPROCESSABLE_ENTITY, "some fields are wrong", errors)


def _parse_field_error(entry: dict[str, Any]) -> FieldError:
    """Return the field of a validation error. Only the message names an unknown or missing one."""
    message = str(entry.get("message", "is wrong"))
    name = FIELD_NAME_PATTERN.search(message)
    return FieldError(name[1] if name else str(entry.get("key", "body")), message)


def handle_http_error(request: AnyRequest, error: HTTPException) -> Response[ProblemJson]:
    """Answer what the framework refuses: an unknown route, a wrong method, a body over its limit."""
    if error.detail == BODY_INCOMPLETE_DETAIL:
        # A body of malformed chunks ends like this, too. The client may have gone.
        log.info("body_incomplete")
        return make_problem(HTTPStatus.BAD_REQUEST, "the body ended early")
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return handle_unexpected_error(request, error)
    response = make_problem(error.status_code)
    response.headers.update(error.headers or {})
    return response


def handle_unavailability(_: AnyRequest, error: Exception) -> Response[ProblemJson]:
    """Answer a temporary failure of the storage or another service with 503 and `Retry-After`.

    The pages and the API need this handler. A delivery does not reach it where the database does
    not answer: `ReceiveDelivery` stores the delivery in the spool instead.
    """
    log_event, detail = find_by_class(
        UNAVAILABILITY_BY_ERROR, error, UNAVAILABILITY_BY_ERROR[DependencyUnavailable]
    )
    log.error(log_event, extra={"error": str(error)})
    response = make_problem(find_status(error), detail)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def handle_unreadable_body(request: AnyRequest, error: Exception) -> Response[ProblemJson]:
    """Answer a body on which the framework's parsers fail: invalid UTF-8, or too deep nesting."""
    handle_unexpected_error(request, error)
    return make_problem(HTTPStatus.BAD_REQUEST, "the body cannot be read")


def handle_unexpected_error(_: AnyRequest, error: Exception) -> Response[ProblemJson]:
    """Answer any other error with 500.

    The log has the class of the error and the innermost eight frames, not its message: that may
    quote what a person wrote (D18).
    """
    frames = traceback.extract_tb(error.__traceback__)
    code_places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    log.error("unexpected_error", extra={"error": type(error).__name__, "where": code_places})
    return make_problem(500)


EXCEPTION_HANDLERS: dict[type[Exception] | int, ExceptionHandler] = {
    DomainError: handle_domain_error,
    TokenIssuingDisabled: handle_domain_error,
    ValidationException: handle_validation_error,
    HTTPException: handle_http_error,
    **dict.fromkeys(UNAVAILABILITY_BY_ERROR, handle_unavailability),
    UnicodeDecodeError: handle_unreadable_body,
    RecursionError: handle_unreadable_body,
    Exception: handle_unexpected_error,
}
"""The handlers by class. Litestar calls the one of the error's class or of its nearest base class."""
