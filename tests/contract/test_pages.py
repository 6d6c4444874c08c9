"""Contract tests of the pages over HTTP: refusals, secrets, headers, cookies and languages."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from dependency_injector.providers import Object
from litestar import Litestar
from litestar.testing import TestClient

from application.errors import (
    ConcurrentUpdate,
    KeySetUnavailable,
    StorageRefused,
    StorageUnavailable,
    TokenIssuingDisabled,
)
from application.ports.auth import Session, SessionTokens
from application.use_cases import UseCases
from domain.organization import UserId
from interfaces.web.app import create_app
from leadport.container import Container
from tests.support.app import run_in_app, shutdown_hooks
from tests.support.builders import SHOP_NUMBER
from tests.support.stored_rows import open_stored_rows

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
SECRET_TOKEN = "EAAGcanary0123456789wxyz"
SETTINGS_PATH = "/settings/channels"


class Visitor:
    """A client like a browser without JavaScript, under https."""

    def __init__(self, client: TestClient[Litestar]) -> None:
        self.client = client

    def get(self, path: str) -> tuple[int, str]:
        """Return the status, and the page or the path of a redirect."""
        response = self.client.get(path, follow_redirects=False)
        return response.status_code, response.headers.get("location", response.text)

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form with its CSRF token; return the status, and the page or path of a redirect."""
        self.client.get("/sign-in", follow_redirects=False)
        token = self.client.cookies.get("leadport_csrf")
        fields = {"_csrf_token": token or "", **fields}
        parts = {name: (None, value) for name, value in fields.items()}
        response = self.client.post(path, files=parts, follow_redirects=False)
        assert SECRET_TOKEN not in response.text
        return response.status_code, response.headers.get("location", response.text)

    def sign_in(self, after: str = "", password: str = PASSWORD) -> tuple[int, str]:
        return self.post(f"/sign-in{after}", email="ana@shop.example", password=password)


@dataclass
class FailingTokens(SessionTokens):
    """Session tokens that cannot be issued, and whose reading raises `error`."""

    error: Exception

    def issue(self, user_id: UserId) -> str:
        raise TokenIssuingDisabled(str(user_id))

    async def read(self, token: str) -> Session:
        assert token
        raise self.error


@pytest.fixture
def failing_tokens(container: Container) -> FailingTokens:
    """Replaces the session tokens; it must be requested before `visitor`."""
    tokens = FailingTokens(StorageUnavailable())
    container.tokens.override(Object(tokens))
    return tokens


@pytest.fixture
def visitor(container: Container, operator_container: Container) -> Iterator[Visitor]:
    async def create_owner() -> None:
        operator_use_cases: UseCases = operator_container.use_cases()
        await operator_use_cases.create_organization("Shop", "ana@shop.example", password=PASSWORD)

    app = create_app(
        container.use_cases(),
        webhook_verifier=container.webhook_verifier(),
        parser=container.parser(),
        public_url="https://leads.example",
        form_secret="form secret",
        on_shutdown=shutdown_hooks(container, operator_container),
    )
    with TestClient(app, base_url="https://leads.example") as client:
        run_in_app(client, create_owner)
        yield Visitor(client)


def test_pages_without_a_session_redirect_to_sign_in_and_back(visitor: Visitor) -> None:
    assert visitor.get(f"{SETTINGS_PATH}?org_id=1") == (
        303,
        "/sign-in?next=%2Fsettings%2Fchannels%3Forg_id%3D1",
    )
    assert visitor.sign_in("?next=%2Fsettings%2Fchannels%3Fedit%3D1") == (
        303,
        f"{SETTINGS_PATH}?edit=1",
    )


@pytest.mark.parametrize(
    "foreign_url",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example"),
        *("javascript:alert(1)", "///evil", "evil", "/\r\nSet-Cookie: a=b", "\\\\evil"),
    ],
)
def test_sign_in_redirects_to_no_other_site(visitor: Visitor, foreign_url: str) -> None:
    assert visitor.sign_in(f"?next={quote(foreign_url, safe='')}") == (303, SETTINGS_PATH)


def test_session_cookie_is_httponly_secure_and_same_site(visitor: Visitor) -> None:
    visitor.client.get("/sign-in")
    token = visitor.client.cookies["leadport_csrf"]
    form = {"_csrf_token": token, "email": "ana@shop.example", "password": PASSWORD}

    response = visitor.client.post("/sign-in", data=form, follow_redirects=False)

    (cookie,) = [
        header for header in response.headers.get_list("set-cookie") if "leadport_session" in header
    ]
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part.lower() in cookie.lower()


def test_pages_forbid_caching_and_foreign_scripts(visitor: Visitor) -> None:
    visitor.sign_in()
    for path in (
        "/sign-in",
        SETTINGS_PATH,
        f"{SETTINGS_PATH}?org_id=nonsense",
        "/settings/channels?edit=1",
    ):
        headers = visitor.client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["strict-transport-security"]
        assert headers["x-content-type-options"] == "nosniff"


def test_form_with_a_forged_csrf_token_is_refused(visitor: Visitor) -> None:
    visitor.sign_in()

    status, page = visitor.post(SETTINGS_PATH, _csrf_token="forged", external_id=SHOP_NUMBER)

    assert status == 403
    assert SHOP_NUMBER not in visitor.get(SETTINGS_PATH)[1]
    assert "<h1" in page


def test_form_of_an_old_secret_is_refused_once_and_works_after_a_reload(visitor: Visitor) -> None:
    """The secret changes when the operator puts a new token-encryption key first."""
    visitor.client.cookies.set("leadport_csrf", "0" * 128, domain="leads.example", path="/")

    status, page = visitor.sign_in()
    assert status == 403
    assert "This form is out of date" in page

    assert visitor.sign_in()[0] == 303


def test_unknown_address_and_wrong_password_get_the_same_page(visitor: Visitor) -> None:
    def without_values(page: str) -> str:
        return re.sub(r'value="[^"]*"', "", page)

    known = visitor.sign_in(password="wrong")
    unknown = visitor.post("/sign-in", email="unknown@shop.example", password="wrong")

    assert known[0] == unknown[0] == 401
    assert without_values(known[1]) == without_values(unknown[1])
    for email in ("", "a\0@b", "x" * 10_000):
        assert visitor.post("/sign-in", email=email, password="wrong")[0] == 401


def test_eleventh_sign_in_attempt_is_refused_with_429(visitor: Visitor) -> None:
    statuses = [visitor.sign_in(password="wrong")[0] for _ in range(11)]

    assert statuses == [401] * 10 + [429]


@pytest.mark.usefixtures("failing_tokens")
def test_each_refusal_of_a_sign_in_has_its_own_text(visitor: Visitor) -> None:
    refusals = [visitor.sign_in(), *(visitor.sign_in(password="wrong") for _ in range(10))]

    assert refusals[0][0] == 501
    assert "identity provider" in refusals[0][1]
    assert refusals[1][0] == 401
    assert "The e-mail address or the password is wrong." in refusals[1][1]
    assert refusals[-1][0] == 429
    assert "Too many attempts. Try again in" in refusals[-1][1]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StorageUnavailable(), "The database does not answer"),
        (StorageRefused(), "The database refused the data"),
        (KeySetUnavailable(), "keys of your organisation&#39;s identity provider"),
        (ConcurrentUpdate(), "The same data was changed at the same time"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_unavailable_page_names_the_cause(
    failing_tokens: FailingTokens, visitor: Visitor, error: Exception, text: str
) -> None:
    failing_tokens.error = error
    visitor.client.cookies.set("leadport_session", "any token")

    response = visitor.client.get(SETTINGS_PATH)

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert text in response.text
    assert response.headers["cache-control"] == "no-store"


def test_refused_form_shows_its_values_again_except_the_token(visitor: Visitor) -> None:
    visitor.sign_in()

    status, page = visitor.post(
        SETTINGS_PATH,
        channel="instagram",
        external_id="<b>+1",
        display_name="<i>",
        access_token=SECRET_TOKEN,
    )

    assert status == 422
    assert 'value="&lt;b&gt;+1"' in page
    assert 'value="&lt;i&gt;"' in page
    assert "<b>+1" not in page
    assert re.search(r'value="instagram"\s+checked', page)


def test_empty_token_field_keeps_the_stored_token(visitor: Visitor) -> None:
    visitor.sign_in()
    fields = {"channel": "whatsapp", "external_id": SHOP_NUMBER, "is_enabled": "on"}
    assert visitor.post(SETTINGS_PATH, **fields, access_token=SECRET_TOKEN)[0] == 303
    edit = re.findall(r"edit=[0-9a-f-]{36}", visitor.get(SETTINGS_PATH)[1])[0]

    assert visitor.post(f"{SETTINGS_PATH}?{edit}", display_name="Ventas")[0] == 303
    assert "wxyz" in visitor.get(SETTINGS_PATH)[1]
    assert visitor.post(f"{SETTINGS_PATH}?{edit}", remove_token="on")[0] == 303
    page = visitor.get(SETTINGS_PATH)[1]
    assert "wxyz" not in page
    assert SECRET_TOKEN not in page


def test_access_token_is_in_no_log_and_no_event(
    visitor: Visitor, operator_container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    visitor.sign_in()
    with caplog.at_level(logging.DEBUG):
        for external_id in (SHOP_NUMBER, "+1", SHOP_NUMBER):
            visitor.post(
                SETTINGS_PATH,
                channel="whatsapp",
                external_id=external_id,
                access_token=SECRET_TOKEN,
            )

    own_records = [
        record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ]
    assert SECRET_TOKEN not in "\n".join(str(record.__dict__) for record in own_records)
    events = run_in_app(visitor.client, open_stored_rows(operator_container.transactions()).events)
    assert SECRET_TOKEN not in str(events)


@pytest.mark.parametrize("name", ["%00", "leadport.css%00.x", "a" * 5000, "leadport.css/x", ".."])
def test_unknown_static_file_is_404(visitor: Visitor, name: str) -> None:
    assert visitor.get(f"/static/{name}")[0] == 404


def test_static_files_are_cached_as_immutable(visitor: Visitor) -> None:
    for path in re.findall(r'"(/static/[^"]+)"', visitor.get("/sign-in")[1]):
        response = visitor.client.get(path)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en-GB", "en"),
        ("de", "en"),
        ("", "en"),
        ("*;;q=x", "en"),
    ],
)
def test_page_language_is_the_browsers_unless_chosen(
    visitor: Visitor, accept: str, language: str
) -> None:
    visitor.client.headers["Accept-Language"] = accept
    assert f'<html lang="{language}">' in visitor.get("/sign-in")[1]

    assert visitor.get("/sign-in?lang=es&next=%2Fx") == (303, "/sign-in?next=%2Fx")
    assert '<html lang="es">' in visitor.get("/sign-in")[1]
