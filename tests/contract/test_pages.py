"""The pages over HTTP: what they refuse, what they never show, what they tell the browser."""

import logging
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from application.use_cases import UseCases
from interfaces.web.app import create_app
from leadport.container import Container
from tests.support.app import run_in_app, shutdown_hooks
from tests.support.builders import SHOP_NUMBER
from tests.support.stored_rows import open_stored_rows

PASSWORD = "correct horse battery"
CANARY = "EAAGcanary0123456789wxyz"
PAGE = "/settings/channels"


class Visitor:
    """A browser without JavaScript, under https."""

    def __init__(self, client: TestClient[Litestar]) -> None:
        self.client = client

    def get(self, path: str) -> tuple[int, str]:
        answer = self.client.get(path, follow_redirects=False)
        return answer.status_code, answer.headers.get("location", answer.text)

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form as the page before it has it."""
        self.client.get("/sign-in", follow_redirects=False)
        token = self.client.cookies.get("leadport_csrf")
        fields = {"_csrf_token": token or "", **fields}
        parts = {name: (None, value) for name, value in fields.items()}
        answer = self.client.post(path, files=parts, follow_redirects=False)
        assert CANARY not in answer.text
        return answer.status_code, answer.headers.get("location", answer.text)

    def sign_in(self, after: str = "", password: str = PASSWORD) -> tuple[int, str]:
        return self.post(f"/sign-in{after}", email="ana@shop.example", password=password)


@pytest.fixture
def visitor(container: Container, operator_container: Container) -> Iterator[Visitor]:
    async def make() -> None:
        operator_use_cases: UseCases = operator_container.use_cases()
        await operator_use_cases.create_organization("Shop", "ana@shop.example", password=PASSWORD)

    app = create_app(
        container.use_cases(),
        public_url="https://leads.example",
        form_secret="form secret",
        on_shutdown=shutdown_hooks(container, operator_container),
    )
    with TestClient(app, base_url="https://leads.example") as client:
        run_in_app(client, make)
        yield Visitor(client)


def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(visitor: Visitor) -> None:
    assert visitor.get(f"{PAGE}?org_id=1") == (
        303,
        "/sign-in?next=%2Fsettings%2Fchannels%3Forg_id%3D1",
    )
    assert visitor.sign_in("?next=%2Fsettings%2Fchannels%3Fedit%3D1") == (303, f"{PAGE}?edit=1")


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example"),
        *("javascript:alert(1)", "///evil", "evil", "/\r\nSet-Cookie: a=b", "\\\\evil"),
    ],
)
def test_signing_in_leads_nowhere_else(visitor: Visitor, elsewhere: str) -> None:
    assert visitor.sign_in(f"?next={quote(elsewhere, safe='')}") == (303, PAGE)


def test_the_session_cookie_is_for_this_site_and_no_script(visitor: Visitor) -> None:
    visitor.client.get("/sign-in")
    token = visitor.client.cookies["leadport_csrf"]
    form = {"_csrf_token": token, "email": "ana@shop.example", "password": PASSWORD}

    answer = visitor.client.post("/sign-in", data=form, follow_redirects=False)

    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "leadport_session" in c]
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part.lower() in cookie.lower()


def test_pages_tell_the_browser_to_keep_and_run_nothing(visitor: Visitor) -> None:
    visitor.sign_in()
    for path in ("/sign-in", PAGE, f"{PAGE}?org_id=nonsense", "/settings/channels?edit=1"):
        headers = visitor.client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["strict-transport-security"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_form_from_elsewhere_is_refused(visitor: Visitor) -> None:
    visitor.sign_in()

    status, page = visitor.post(PAGE, _csrf_token="forged", external_id=SHOP_NUMBER)

    assert status == 403
    assert SHOP_NUMBER not in visitor.get(PAGE)[1]
    assert "<h1" in page


def test_a_wrong_address_and_a_wrong_password_get_the_same_page(visitor: Visitor) -> None:
    def without_values(page: str) -> str:
        return re.sub(r'value="[^"]*"', "", page)

    known = visitor.sign_in(password="wrong")
    unknown = visitor.post("/sign-in", email="nobody@shop.example", password="wrong")

    assert known[0] == unknown[0] == 401
    assert without_values(known[1]) == without_values(unknown[1])
    for email in ("", "a\0@b", "x" * 10_000):
        assert visitor.post("/sign-in", email=email, password="wrong")[0] == 401


def test_too_many_attempts_are_told_to_wait(visitor: Visitor) -> None:
    statuses = [visitor.sign_in(password="wrong")[0] for _ in range(11)]

    assert statuses == [401] * 10 + [429]


def test_what_was_typed_stays_but_the_token(visitor: Visitor) -> None:
    visitor.sign_in()

    status, page = visitor.post(
        PAGE, channel="instagram", external_id="<b>+1", display_name="<i>", access_token=CANARY
    )

    assert status == 422
    assert 'value="&lt;b&gt;+1"' in page
    assert 'value="&lt;i&gt;"' in page
    assert "<b>+1" not in page
    assert re.search(r'value="instagram"\s+checked', page)


def test_a_stored_token_stays_where_the_field_is_empty(visitor: Visitor) -> None:
    visitor.sign_in()
    made = {"channel": "whatsapp", "external_id": SHOP_NUMBER, "is_enabled": "on"}
    assert visitor.post(PAGE, **made, access_token=CANARY)[0] == 303
    edit = re.findall(r"edit=[0-9a-f-]{36}", visitor.get(PAGE)[1])[0]

    assert visitor.post(f"{PAGE}?{edit}", display_name="Ventas")[0] == 303
    assert "wxyz" in visitor.get(PAGE)[1]
    assert visitor.post(f"{PAGE}?{edit}", remove_token="on")[0] == 303
    page = visitor.get(PAGE)[1]
    assert "wxyz" not in page
    assert CANARY not in page


def test_a_token_is_in_no_log_and_no_event(
    visitor: Visitor, operator_container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    visitor.sign_in()
    with caplog.at_level(logging.DEBUG):
        for external_id in (SHOP_NUMBER, "+1", SHOP_NUMBER):
            visitor.post(PAGE, channel="whatsapp", external_id=external_id, access_token=CANARY)

    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert CANARY not in "\n".join(str(record.__dict__) for record in ours)
    events = run_in_app(visitor.client, open_stored_rows(operator_container.transactions()).events)
    assert CANARY not in str(events)


@pytest.mark.parametrize("name", ["%00", "leadport.css%00.x", "a" * 5000, "leadport.css/x", ".."])
def test_there_are_no_other_files(visitor: Visitor, name: str) -> None:
    assert visitor.get(f"/static/{name}")[0] == 404


def test_style_and_script_may_be_kept(visitor: Visitor) -> None:
    for path in re.findall(r'"(/static/[^"]+)"', visitor.get("/sign-in")[1]):
        answer = visitor.client.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


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
def test_the_page_is_in_the_browsers_language_unless_chosen(
    visitor: Visitor, accept: str, language: str
) -> None:
    visitor.client.headers["Accept-Language"] = accept
    assert f'<html lang="{language}">' in visitor.get("/sign-in")[1]

    assert visitor.get("/sign-in?lang=es&next=%2Fx") == (303, "/sign-in?next=%2Fx")
    assert '<html lang="es">' in visitor.get("/sign-in")[1]
