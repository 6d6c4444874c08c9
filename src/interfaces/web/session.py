"""Who is signed in on the pages: a cookie with the token that the API takes as Bearer."""

from application.accounts.sign_in import ReadSession
from application.ports.auth import Session
from domain.errors import NotSignedIn
from interfaces.web.dependencies import Injected
from interfaces.web.errors import AnyRequest

SESSION_COOKIE = "leadport_session"
"""It lasts until the browser is closed, the token expires or the person signs out."""


async def read_cookie_session(request: AnyRequest, read_session: Injected[ReadSession]) -> Session:
    """Return the session of the one who asks. Raises NotSignedIn."""
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        raise NotSignedIn("sign in first")
    return await read_session(token)
