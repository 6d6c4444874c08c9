"""Signing in and out, for people without a token of an identity provider."""

from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Controller, Response, get, post

from application.accounts.sign_in import ReadSession, SignIn, SignOut
from application.errors import TokenIssuingDisabled
from domain.errors import NotSignedIn, TooManyAttempts, WrongCredentials
from interfaces.web.dependencies import Injected
from interfaces.web.errors import STATUS, AnyRequest
from interfaces.web.rendering import cookie, redirect, render_page
from interfaces.web.session import COOKIE, current_session

START = "/settings/channels"


class SignInPage(Controller):
    """`/sign-in` and `/sign-out`."""

    @get("/sign-in")
    async def show(self, request: AnyRequest, read_session: Injected[ReadSession]) -> Response[Any]:
        """Ask for address and password, unless somebody is signed in."""
        try:
            await current_session(request, read_session)
        except NotSignedIn:
            return render_page(request, "sign_in.html.j2", {"email": "", "refusal": None})
        return redirect(_next(request))

    @post("/sign-in")
    async def sign_in(self, request: AnyRequest, sign_in: Injected[SignIn]) -> Response[Any]:
        """Start a session, and go where the person wanted to go."""
        form = await request.form()
        email, password = str(form.get("email", "")), str(form.get("password", ""))
        peer = request.client.host if request.client else ""
        try:
            token = await sign_in(email, password, address=peer)
        except (WrongCredentials, TooManyAttempts, TokenIssuingDisabled) as error:
            return _refused(request, email, error)
        onward = redirect(_next(request))
        onward.set_cookie(cookie(COOKIE, token))
        return onward

    @get("/sign-out", sync_to_thread=False)
    def asked_to_sign_out(self) -> Response[Any]:
        """Only a form's POST ends a session: a link or a picture elsewhere must not."""
        return redirect(START)

    @post("/sign-out")
    async def sign_out(
        self, request: AnyRequest, read_session: Injected[ReadSession], sign_out: Injected[SignOut]
    ) -> Response[Any]:
        """End the session, also for whoever has copied its token."""
        with suppress(NotSignedIn):
            await sign_out(await current_session(request, read_session))
        onward = redirect("/sign-in", notice="signed_out")
        onward.delete_cookie(COOKIE)
        return onward


def sign_in_path(after: str) -> str:
    """Return where to sign in, to go on to the page `after`."""
    return f"/sign-in?next={quote(after, safe='')}"


def _refused(request: AnyRequest, email: str, error: Exception) -> Response[Any]:
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    wait = error.retry_after if isinstance(error, TooManyAttempts) else 0
    context = {"email": email, "refusal": type(error).__name__, "wait": wait}
    refusal = render_page(request, "sign_in.html.j2", context, status)
    if wait:
        refusal.headers["Retry-After"] = str(wait)
    return refusal


def _next(request: AnyRequest) -> str:
    r"""Return the page to go on to: one of ours, whatever the query says.

    Browsers read `//host`, `/\host` and a slash, tab, slash as another host.
    """
    wanted = request.query_params.get("next", "")
    is_ours = wanted.startswith("/") and not wanted.startswith("//") and wanted.isprintable()
    if not is_ours or "\\" in wanted or " " in wanted or urlsplit(wanted).netloc:
        return START
    return wanted
