"""Every error as a problem document (RFC 9457), without anything that was sent."""

import logging
import traceback
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from application.errors import StorageUnavailable

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, State]
PROBLEM = "application/problem+json"


def problem(status: int, detail: str | None = None, **extensions: object) -> Response[Any]:
    """A problem document; `detail` must be fit for whoever asked."""
    body = {"status": status, "title": HTTPStatus(status).phrase}
    if detail:
        body["detail"] = detail
    return Response(body | extensions, status_code=status, media_type=PROBLEM)


def http_error(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """What the framework refuses: a route, a method, a size."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(request, error)
    response = problem(error.status_code)
    response.headers.update(error.headers or {})
    return response


def storage_unavailable(_: AnyRequest, error: StorageUnavailable) -> Response[Any]:
    """Nothing was kept; Meta asks again by itself."""
    log.error("storage_unavailable", extra={"error": str(error)})
    response = problem(503, "the storage does not answer; nothing was kept, please try again")
    response.headers["Retry-After"] = "5"
    return response


def unexpected(_: AnyRequest, error: Exception) -> Response[Any]:
    """Something nobody thought of: log the place, not the message, which may quote a person."""
    places = traceback.extract_tb(error.__traceback__)
    where = [f"{place.filename}:{place.lineno} {place.name}" for place in places[-8:]]
    log.error("unexpected_error", extra={"error": type(error).__name__, "where": where})
    return problem(500)


HANDLERS = {
    HTTPException: http_error,
    StorageUnavailable: storage_unavailable,
    Exception: unexpected,
}
