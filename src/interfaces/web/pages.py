"""What people see in a browser: which pages there are, and what holds for all of them."""

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

from domain.errors import Forbidden, NotSignedIn
from interfaces.web.errors import HANDLERS, AnyRequest, problem
from interfaces.web.rendering import STATIC, cookie, current_path, redirect, render_page
from interfaces.web.session import COOKIE as SESSION_COOKIE
from interfaces.web.session import current_session
from interfaces.web.settings_page import SettingsPage
from interfaces.web.sign_in_page import SignInPage, sign_in_path
from interfaces.web.texts import COOKIE as LANGUAGE_COOKIE
from interfaces.web.texts import LANGUAGES, catalogues

CSRF_COOKIE = "leadport_csrf"
LARGEST_FORM = 64 * 1024
YEAR = 365 * 24 * 60 * 60

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
HSTS = {"Strict-Transport-Security": f"max-age={YEAR}"}

Hook: TypeAlias = Callable[[Response[Any]], Response[Any]]
Handler: TypeAlias = Callable[[AnyRequest, Any], Response[Any]]


def pages_router(public_url: str, secret: str) -> Router:
    """Build the pages. `secret` signs the tokens that forms carry."""
    catalogues()  # a broken one is found at start
    secured = _securing(is_https=public_url.startswith("https:"))
    csrf = CSRFConfig(
        secret,
        cookie_name=CSRF_COOKIE,
        cookie_httponly=True,
        cookie_secure=public_url.startswith("https:"),
    )
    return Router(
        path="/",
        route_handlers=[SettingsPage, SignInPage],
        dependencies={"session": Provide(current_session)},
        before_request=choose_language,
        after_request=secured,
        exception_handlers=_exception_handlers(secured),
        # Only here, so that neither the API nor Meta's deliveries know of it.
        middleware=[DefineMiddleware(CSRFMiddleware, config=csrf)],
        request_max_body_size=LARGEST_FORM,
        include_in_schema=False,
    )


def static_router() -> Router:
    """Serve style, script and icon; their addresses change with their content."""
    return create_static_files_router(
        path="/static",
        directories=[STATIC],
        cache_control=CacheControlHeader(public=True, max_age=YEAR, immutable=True),
        after_request=_with_nosniff,
        # Names that no file can have: too long, with a NUL, below a file.
        exception_handlers=dict.fromkeys((ValueError, OSError, HTTPException), _no_such_file),
    )


def choose_language(request: AnyRequest) -> Response[Any] | None:
    """`?lang=es` on any page: keep the choice, and show the same page."""
    chosen = request.query_params.get("lang", "")
    if request.method != "GET" or chosen not in LANGUAGES:
        return None
    same_page = redirect(current_path(request))
    same_page.set_cookie(cookie(LANGUAGE_COOKIE, chosen, max_age=YEAR))
    return same_page


def _securing(*, is_https: bool) -> Hook:
    headers = HEADERS | (HSTS if is_https else {})

    def secured(response: Response[Any]) -> Response[Any]:
        response.headers.update(headers)
        for each in response.cookies:
            each.secure = is_https
        return response

    return secured


def _no_such_file(_: AnyRequest, __: Exception) -> Response[Any]:
    return problem(404)


def _with_nosniff(response: Response[Any]) -> Response[Any]:
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _exception_handlers(secured: Hook) -> dict[type[Exception] | int, Handler]:
    """Answer as the API does, but with a page. Hooks do not see these answers: secure them here."""

    def as_page(handler: Handler) -> Handler:
        def answer(request: AnyRequest, error: Any) -> Response[Any]:
            plain = handler(request, error)
            status = plain.status_code or 500
            shown = error_page(request, status, str(int(status)))
            if "Retry-After" in plain.headers:
                shown.headers["Retry-After"] = plain.headers["Retry-After"]
            return secured(shown)

        return answer

    def not_signed_in(request: AnyRequest, _: Any) -> Response[Any]:
        path = sign_in_path(current_path(request))
        if SESSION_COOKIE not in request.cookies:
            return secured(redirect(path))
        ended = redirect(path, notice="session_ended")
        ended.delete_cookie(SESSION_COOKIE)
        return secured(ended)

    def forbidden(request: AnyRequest, _: Any) -> Response[Any]:
        return secured(error_page(request, 403, "forbidden"))

    def stale_form(request: AnyRequest, _: Any) -> Response[Any]:
        shown = error_page(request, 403, "stale_form")
        # The cookie may be signed with another secret, and would be wrong for ever.
        shown.delete_cookie(CSRF_COOKIE)
        return secured(shown)

    plain_handlers: Mapping[type[Exception], Handler] = HANDLERS  # type: ignore[assignment]
    return {
        **{kind: as_page(handler) for kind, handler in plain_handlers.items()},
        NotSignedIn: not_signed_in,
        Forbidden: forbidden,
        PermissionDeniedException: stale_form,
    }


def error_page(request: AnyRequest, status: int, reason: str) -> Response[Any]:
    """Say what went wrong and what to do about it."""
    return render_page(request, "error.html.j2", {"reason": reason}, status)
