"""The session cookie of the pages: it holds the token that the API takes as bearer token."""

from application.accounts.sign_in import ReadSession
from application.ports.auth import Session
from domain.errors import NotSignedIn
from interfaces.web.dependencies import Injected
from interfaces.web.errors import AnyRequest

SESSION_COOKIE = "leadport_session"
"""The name of the cookie. A session ends when the browser is closed, at sign-out, or on expiry."""


async def read_cookie_session(request: AnyRequest, read_session: Injected[ReadSession]) -> Session:
    """Return the session of the token in the cookie.

    Raises NotSignedIn without a valid token, and KeySetUnavailable where the identity provider's
    keys cannot be fetched.
    """
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        raise NotSignedIn("sign in first")
    return await read_session(token)
