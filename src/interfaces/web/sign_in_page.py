"""The sign-in page and sign-out, for people who have a password."""

from contextlib import suppress
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Controller, Response, get, post

from application.accounts.sign_in import ReadSession, SignIn, SignOut
from application.errors import TokenIssuingDisabled
from domain.errors import NotSignedIn, TooManyAttempts, WrongCredentials
from interfaces.web.dependencies import Injected
from interfaces.web.errors import AnyRequest, find_status
from interfaces.web.rendering import make_cookie, redirect, render_page
from interfaces.web.session import SESSION_COOKIE, read_cookie_session

START_PATH = "/settings/channels"


class SignInRefusal(StrEnum):
    """Why a sign-in is refused. `sign_in.html.j2` has a text for each."""

    WRONG_CREDENTIALS = "wrong credentials"
    TOO_MANY_ATTEMPTS = "too many attempts"
    PASSWORDS_DISABLED = "passwords disabled"


class SignInPage(Controller):
    """`/sign-in` and `/sign-out`."""

    @get("/sign-in")
    async def show(self, request: AnyRequest, read_session: Injected[ReadSession]) -> Response[Any]:
        """Show the form, or redirect to the next page where the session is valid."""
        try:
            await read_cookie_session(request, read_session)
        except NotSignedIn:
            return _render_sign_in(request)
        return redirect(_read_next_path(request))

    @post("/sign-in")
    async def sign_in(self, request: AnyRequest, sign_in: Injected[SignIn]) -> Response[Any]:
        """Start a session and redirect to the page that the person wanted."""
        form = await request.form()
        email, password = str(form.get("email", "")), str(form.get("password", ""))
        client_ip = request.client.host if request.client else ""
        try:
            token = await sign_in(email, password, client_ip=client_ip)
        except (WrongCredentials, TooManyAttempts, TokenIssuingDisabled) as error:
            return _render_refusal(request, email, error)
        response = redirect(_read_next_path(request))
        response.set_cookie(make_cookie(SESSION_COOKIE, token))
        return response

    @get("/sign-out", sync_to_thread=False)
    def redirect_to_start(self) -> Response[Any]:
        """Redirect, and keep the session: only POST ends it, so that no link of another site can."""
        return redirect(START_PATH)

    @post("/sign-out")
    async def sign_out(
        self, request: AnyRequest, read_session: Injected[ReadSession], sign_out: Injected[SignOut]
    ) -> Response[Any]:
        """End the session. The token is refused from then on, also copies of it."""
        with suppress(NotSignedIn):
            await sign_out(await read_cookie_session(request, read_session))
        response = redirect("/sign-in", notice="signed_out")
        response.delete_cookie(SESSION_COOKIE)
        return response


def make_sign_in_path(after: str) -> str:
    """Return the path of the sign-in page that redirects to `after`, a path of the pages."""
    return f"/sign-in?next={quote(after, safe='')}"


def _render_refusal(
    request: AnyRequest,
    email: str,
    error: WrongCredentials | TooManyAttempts | TokenIssuingDisabled,
) -> Response[Any]:
    wait_seconds = 0
    match error:
        case WrongCredentials():
            refusal = SignInRefusal.WRONG_CREDENTIALS
        case TooManyAttempts(retry_after=wait_seconds):
            refusal = SignInRefusal.TOO_MANY_ATTEMPTS
        case TokenIssuingDisabled():
            refusal = SignInRefusal.PASSWORDS_DISABLED
    page = _render_sign_in(request, email, refusal, wait_seconds, find_status(error))
    if wait_seconds:
        page.headers["Retry-After"] = str(wait_seconds)
    return page


def _render_sign_in(
    request: AnyRequest,
    email: str = "",
    refusal: SignInRefusal | None = None,
    wait_seconds: int = 0,
    status_code: int = 200,
) -> Response[Any]:
    context = {
        "email": email,
        "refusal": refusal,
        "refusals": SignInRefusal,
        "wait_seconds": wait_seconds,
    }
    return render_page(request, "sign_in.html.j2", context, status_code)


def _read_next_path(request: AnyRequest) -> str:
    r"""Return the path in the query parameter `next` if it is one of this site, else the start path.

    Browsers take `//host`, `/\host` and slash, tab, slash for a URL of another host.
    """
    path = request.query_params.get("next", "")
    is_ours = path.startswith("/") and not path.startswith("//") and path.isprintable()
    if not is_ours or "\\" in path or " " in path or urlsplit(path).netloc:
        return START_PATH
    return path
