"""Every error as a problem document (RFC 9457), without anything that was sent."""

import logging
import re
import traceback
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from application.errors import (
    ConcurrentUpdate,
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

AnyRequest = Request[Any, Any, State]
PROBLEM_MEDIA_TYPE = "application/problem+json"

STATUS_BY_ERROR: dict[type[Exception], HTTPStatus] = {
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    WrongCredentials: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    NumberConnectedElsewhere: HTTPStatus.CONFLICT,
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    TokenIssuingDisabled: HTTPStatus.NOT_IMPLEMENTED,
}


class FieldErrorJson(msgspec.Struct, frozen=True):
    """One wrong field."""

    field: str
    message: str


class ProblemJson(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong."""

    status: int
    title: str
    detail: str = ""
    errors: list[FieldErrorJson] = []


def describe_problem(description: str) -> ResponseSpec:
    """Describe an answer that is a problem document, for `/schema`."""
    return ResponseSpec(ProblemJson, description=description, media_type=PROBLEM_MEDIA_TYPE)


def make_problem(
    status: int, detail: str = "", errors: Sequence[FieldError] = ()
) -> Response[ProblemJson]:
    """A problem document; `detail` must be fit for whoever asked."""
    field_errors = [FieldErrorJson(error.field, error.message) for error in errors]
    body = ProblemJson(status, HTTPStatus(status).phrase, detail, field_errors)
    return Response(body, status_code=status, media_type=PROBLEM_MEDIA_TYPE)


def handle_domain_error(_: AnyRequest, error: DomainError) -> Response[ProblemJson]:
    """What the rules refuse, in their own words."""
    status = next(status for kind, status in STATUS_BY_ERROR.items() if isinstance(error, kind))
    if isinstance(error, InvalidInput):
        return make_problem(status, "some fields are wrong", error.errors)
    response = make_problem(status, str(error))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def handle_validation_error(_: AnyRequest, error: ValidationException) -> Response[ProblemJson]:
    """Input of another shape than the API describes."""
    entries = error.extra if isinstance(error.extra, list) else [{"message": error.detail}]
    errors = [_parse_field_error(entry) for entry in entries if isinstance(entry, dict)]
    return make_problem(HTTPStatus.UNPROCESSABLE_ENTITY, "some fields are wrong", errors)


def _parse_field_error(entry: dict[str, Any]) -> FieldError:
    """Name the field; one that is unknown or missing is named in the message only."""
    message = str(entry.get("message", "is wrong"))
    name = re.search(r"(?:field|parameter) [`'](\w+)[`']", message)
    return FieldError(name[1] if name else str(entry.get("key", "body")), message)


def handle_http_error(request: AnyRequest, error: HTTPException) -> Response[ProblemJson]:
    """What the framework refuses: a route, a method, a size."""
    if error.detail == "client disconnected prematurely":
        # Also what a body of broken chunks looks like; nobody may be there to read the answer.
        log.info("body_incomplete")
        return make_problem(HTTPStatus.BAD_REQUEST, "the body ended early")
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return handle_unexpected_error(request, error)
    response = make_problem(error.status_code)
    response.headers.update(error.headers or {})
    return response


def handle_storage_unavailable(_: AnyRequest, error: Exception) -> Response[ProblemJson]:
    """It could not all be kept; Meta asks again by itself, and what was kept counts as skipped."""
    log.error("storage_unavailable", extra={"error": str(error)})
    response = make_problem(503, "the storage does not answer; please try again")
    response.headers["Retry-After"] = "5"
    return response


def handle_unreadable_body(request: AnyRequest, error: Exception) -> Response[ProblemJson]:
    """A body that the framework's parsers choke on: broken UTF-8, nesting without end."""
    handle_unexpected_error(request, error)
    return make_problem(HTTPStatus.BAD_REQUEST, "the body cannot be read")


def handle_unexpected_error(_: AnyRequest, error: Exception) -> Response[ProblemJson]:
    """Something nobody thought of: log the place, not the message, which may quote a person."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    log.error("unexpected_error", extra={"error": type(error).__name__, "where": where})
    return make_problem(500)


EXCEPTION_HANDLERS = {
    DomainError: handle_domain_error,
    TokenIssuingDisabled: handle_domain_error,
    ValidationException: handle_validation_error,
    HTTPException: handle_http_error,
    StorageUnavailable: handle_storage_unavailable,
    StorageRefused: handle_storage_unavailable,
    ConcurrentUpdate: handle_storage_unavailable,
    UnicodeDecodeError: handle_unreadable_body,
    RecursionError: handle_unreadable_body,
    Exception: handle_unexpected_error,
}
