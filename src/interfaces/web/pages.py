"""The HTML pages: their router, response headers, CSRF protection, language and error pages."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from litestar import Response, Router
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import CacheControlHeader
from litestar.di import Provide
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.middleware import DefineMiddleware
from litestar.middleware.csrf import CSRFMiddleware
from litestar.static_files import create_static_files_router

from application.errors import ConcurrentUpdate, KeySetUnavailable, StorageRefused
from domain.errors import Forbidden, NotSignedIn
from interfaces.web.errors import (
    EXCEPTION_HANDLERS,
    AnyRequest,
    ExceptionHandler,
    find_by_class,
    make_problem,
)
from interfaces.web.rendering import (
    STATIC_FOLDER,
    make_cookie,
    read_current_path,
    redirect,
    render_page,
)
from interfaces.web.session import SESSION_COOKIE, read_cookie_session
from interfaces.web.settings_page import SettingsPage
from interfaces.web.sign_in_page import SignInPage, make_sign_in_path
from interfaces.web.texts import LANGUAGE_COOKIE, LANGUAGES, load_all_texts

CSRF_COOKIE = "leadport_csrf"
MAX_FORM_BYTES = 64 * 1024
SECONDS_PER_YEAR = 365 * 24 * 60 * 60

PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
HSTS_HEADERS = {"Strict-Transport-Security": f"max-age={SECONDS_PER_YEAR}"}

REASON_BY_ERROR: Mapping[type[Exception], str] = {
    StorageRefused: "storage_refused",
    KeySetUnavailable: "key_set_unavailable",
    ConcurrentUpdate: "concurrent_update",
}
"""Errors for which `error.html.j2` has a text of its own, and not only one for their status."""

ResponseHook: TypeAlias = Callable[[Response[Any]], Response[Any]]


def make_pages_router(public_url: str, form_secret: str) -> Router:
    """Return the router of the pages. `form_secret` signs the CSRF tokens in forms."""
    load_all_texts()  # a malformed catalogue stops the start
    add_headers = _make_header_hook(is_https=public_url.startswith("https:"))
    csrf = CSRFConfig(
        form_secret,
        cookie_name=CSRF_COOKIE,
        cookie_httponly=True,
        cookie_secure=public_url.startswith("https:"),
    )
    return Router(
        path="/",
        route_handlers=[SettingsPage, SignInPage],
        dependencies={"session": Provide(read_cookie_session)},
        before_request=store_language,
        after_request=add_headers,
        exception_handlers=_make_exception_handlers(add_headers),
        # On the pages only: the API takes bearer tokens, and the webhook has no forms (D34).
        middleware=[DefineMiddleware(CSRFMiddleware, config=csrf)],
        request_max_body_size=MAX_FORM_BYTES,
        include_in_schema=False,
    )


def make_static_router() -> Router:
    """Return the router of style, script and icon. Their URLs change with their content."""
    return create_static_files_router(
        path="/static",
        directories=[STATIC_FOLDER],
        cache_control=CacheControlHeader(public=True, max_age=SECONDS_PER_YEAR, immutable=True),
        after_request=_add_nosniff,
        # A file name that is too long or holds a NUL, and a path below a file, raise OSError or
        # ValueError.
        exception_handlers=dict.fromkeys(
            (ValueError, OSError, HTTPException), _handle_missing_file
        ),
    )


def store_language(request: AnyRequest) -> Response[Any] | None:
    """Store the language of the query parameter `lang` in a cookie, and redirect to the same page."""
    chosen = request.query_params.get("lang", "")
    if request.method != "GET" or chosen not in LANGUAGES:
        return None
    response = redirect(read_current_path(request))
    response.set_cookie(make_cookie(LANGUAGE_COOKIE, chosen, max_age=SECONDS_PER_YEAR))
    return response


def _make_header_hook(*, is_https: bool) -> ResponseHook:
    headers = PAGE_HEADERS | (HSTS_HEADERS if is_https else {})

    def add_headers(response: Response[Any]) -> Response[Any]:
        response.headers.update(headers)
        for cookie in response.cookies:
            cookie.secure = is_https
        return response

    return add_headers


def _handle_missing_file(_: AnyRequest, __: Exception) -> Response[Any]:
    return make_problem(404)


def _add_nosniff(response: Response[Any]) -> Response[Any]:
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _make_exception_handlers(
    add_headers: ResponseHook,
) -> dict[type[Exception] | int, ExceptionHandler]:
    """Return handlers that answer with a page and the status that the API would answer.

    Litestar does not pass these responses to `after_request`, so the handlers add the headers.
    """

    def render_as_page(handler: ExceptionHandler) -> ExceptionHandler:
        def handle_error(request: AnyRequest, error: Any) -> Response[Any]:
            response = handler(request, error)
            status = response.status_code or 500
            reason = find_by_class(REASON_BY_ERROR, error, str(int(status)))
            page = render_error_page(request, status, reason)
            if "Retry-After" in response.headers:
                page.headers["Retry-After"] = response.headers["Retry-After"]
            return add_headers(page)

        return handle_error

    def handle_not_signed_in(request: AnyRequest, _: Any) -> Response[Any]:
        path = make_sign_in_path(read_current_path(request))
        if SESSION_COOKIE not in request.cookies:
            return add_headers(redirect(path))
        response = redirect(path, notice="session_ended")
        response.delete_cookie(SESSION_COOKIE)
        return add_headers(response)

    def handle_forbidden(request: AnyRequest, _: Any) -> Response[Any]:
        return add_headers(render_error_page(request, 403, "forbidden"))

    def handle_stale_form(request: AnyRequest, _: Any) -> Response[Any]:
        page = render_error_page(request, 403, "stale_form")
        # A CSRF cookie that was signed with another secret would never become valid. When the
        # browser has deleted it, the next page sets a new one.
        page.delete_cookie(CSRF_COOKIE)
        return add_headers(page)

    return {
        **{kind: render_as_page(handler) for kind, handler in EXCEPTION_HANDLERS.items()},
        NotSignedIn: handle_not_signed_in,
        Forbidden: handle_forbidden,
        PermissionDeniedException: handle_stale_form,
    }


def render_error_page(request: AnyRequest, status: int, reason: str) -> Response[Any]:
    """Return the page that explains an error. `error.html.j2` has the texts by `reason`."""
    return render_page(request, "error.html.j2", {"reason": reason}, status)
