"""Tests of the settings pages in Chromium, with a running service."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.service_process import ROOT, RunningService, run_service

CHROMIUM = Path("/usr/bin/chromium")
AXE_PACKAGE = "axe-core@4.10"
SCREENSHOT_FOLDER = ROOT / "var/screenshots"
CANARY_TOKEN = "EAAGcanary0123456789ZDZ"
TIMEOUT_MILLISECONDS = 30_000
"""Long enough that a busy machine does not fail a test."""

expect.set_options(timeout=TIMEOUT_MILLISECONDS)
pytestmark = pytest.mark.slow

SCRIPT_NUMBER, NO_SCRIPT_NUMBER = "200000000000001", "200000000000002"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of the accessibility checker axe-core, from its npm package."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to fetch axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    subprocess.run(
        [
            npm,
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            AXE_PACKAGE,
        ],
        check=True,
        capture_output=True,
    )
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM} (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-background-networking", "--disable-gpu"],
        )
        yield browser
        browser.close()


@dataclass
class Owner:
    """An organisation's owner, with a browser and the accessibility checker."""

    running: RunningService
    browser: Browser
    axe: str
    email: str
    password: str
    org_id: str

    @contextmanager
    def open_page(
        self, *, width: int = 1440, script: bool = True, dark: bool = False, language: str = "en"
    ) -> Iterator[Page]:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            locale=language,
        )
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        page = context.new_page()
        page.goto(f"{self.running.url}/settings/channels")
        yield page
        context.close()

    def sign_in(self, page: Page) -> None:
        page.fill("#email", self.email)
        page.fill("#password", self.password)
        page.click("main form button")

    def take_screenshot(self, page: Page, name: str) -> None:
        """Save a screenshot of the whole page, for a review by eye."""
        SCREENSHOT_FOLDER.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOT_FOLDER / f"{name}.png", full_page=True)

    def check_page(self, page: Page, name: str) -> None:
        """Assert that axe-core finds nothing serious and the page does not scroll sideways."""
        self.take_screenshot(page, name)
        # By the debugger, because the page's content security policy forbids a script tag.
        client = page.context.new_cdp_session(page)
        expression = f"{self.axe};axe.run().then(r => JSON.stringify(r.violations))"
        answer = client.send(
            "Runtime.evaluate",
            {"expression": expression, "awaitPromise": True, "returnByValue": True},
        )
        violations: list[dict[str, Any]] = json.loads(answer["result"]["value"])
        serious = [
            (violation["id"], violation["help"])
            for violation in violations
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == []
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0


@pytest.fixture
def owner(
    running: RunningService, browser: Browser, axe: str, request: pytest.FixtureRequest
) -> Owner:
    """A new owner of a new organisation."""
    name = "Organización" + "x" * 60  # one word that is wider than a phone
    email = f"{abs(hash(request.node.name))}@shop.example"
    created = json.loads(running.run_command("org", "create", name, "--owner", email, "--json"))
    return Owner(running, browser, axe, email, created["password"], created["org_id"])


def submit_connection(page: Page, external_id: str, **fields: str) -> None:
    page.fill("#external_id", external_id)
    for name, value in fields.items():
        page.fill(f"#{name}", value)
    page.click("#form button.primary")


def find_row(page: Page, external_id: str) -> Any:
    return page.locator("tbody tr", has_text=external_id)


@pytest.mark.parametrize(
    ("width", "script", "language"),
    [(1440, True, "en"), (360, False, "es-MX")],
    ids=["desktop", "phone, without JavaScript, in Spanish"],
)
def test_a_connection_is_added_used_renamed_disabled_and_removed(
    owner: Owner, *, width: int, script: bool, language: str
) -> None:
    number = SCRIPT_NUMBER if script else NO_SCRIPT_NUMBER
    labels = {
        "en": {"wait": "Waiting for the first message", "active": "Active", "off": "Disabled"},
        "es-MX": {"wait": "En espera del primer mensaje", "active": "Activ", "off": "Desactivad"},
    }[language]
    with owner.open_page(width=width, script=script, language=language) as page:
        owner.take_screenshot(page, f"sign-in-{width}")
        owner.sign_in(page)
        owner.take_screenshot(page, f"empty-{width}")

        submit_connection(page, number, display_name="Ventas", access_token=CANARY_TOKEN)
        expect(page.locator(".notice.good")).to_be_visible()
        expect(find_row(page, number)).to_contain_text(labels["wait"])
        expect(find_row(page, number)).to_contain_text("9ZDZ"[-4:])
        assert owner.running.simulate("whatsapp", "--to", number)["ingested"] == 1
        page.reload()
        expect(find_row(page, number)).to_contain_text(labels["active"])
        expect(find_row(page, number).locator(".number")).to_contain_text("1")
        owner.take_screenshot(page, f"active-{width}")

        find_row(page, number).locator("a[href*=edit]").click()
        page.fill("#display_name", "Ventas Norte")
        page.click("#form button.primary")
        expect(find_row(page, number)).to_contain_text("Ventas Norte")
        find_row(page, number).locator("form button").click()
        expect(find_row(page, number)).to_contain_text(labels["off"])
        assert owner.running.simulate("whatsapp", "--to", number)["skipped"] == 1

        find_row(page, number).locator("a[href*=remove]").click()
        owner.take_screenshot(page, f"remove-{width}")
        page.click("main form button")
        expect(find_row(page, number)).to_have_count(0)
        assert CANARY_TOKEN not in page.content()


def test_invalid_fields_show_their_errors_and_keep_their_values_but_the_token(
    owner: Owner,
) -> None:
    with owner.open_page() as page:
        owner.sign_in(page)
        submit_connection(
            page, "+54 9 11 5555 0001", display_name="V" * 81, access_token=CANARY_TOKEN
        )

        expect(page.locator("#external_id")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#external_id-error")).to_contain_text("phone number ID")
        expect(page.locator("#display_name-error")).to_be_visible()
        expect(page.locator("#external_id")).to_have_value("+54 9 11 5555 0001")
        expect(page.locator("#access_token")).to_have_value("")
        expect(page.locator("#errors")).to_be_focused()
        assert CANARY_TOKEN not in page.content()
        owner.check_page(page, "errors")


def test_a_number_of_another_organisation_is_refused_without_naming_it(owner: Owner) -> None:
    with owner.open_page() as page:
        owner.sign_in(page)
        submit_connection(page, "100000000000001")

        expect(page.locator("#external_id-error")).to_be_visible()
        assert "Demo" not in page.content()
        owner.check_page(page, "conflict")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_pages_pass_axe_at_both_widths_and_themes(owner: Owner, *, width: int, dark: bool) -> None:
    with owner.open_page(width=width, dark=dark) as page:
        name = f"{width}-{'dark' if dark else 'light'}"
        owner.check_page(page, f"sign-in-{name}")
        owner.sign_in(page)
        owner.check_page(page, f"empty-{name}")
        submit_connection(page, f"3{width}{int(dark)}", display_name="Ventas")
        owner.check_page(page, f"added-{name}")
        find_row(page, f"3{width}{int(dark)}").locator("a[href*=remove]").click()
        owner.check_page(page, f"remove-{name}")


def test_signing_in_and_adding_a_connection_work_with_the_keyboard_alone(owner: Owner) -> None:
    with owner.open_page() as page:
        expect(page.locator("#email")).to_be_focused()
        page.keyboard.type(owner.email)
        page.keyboard.press("Tab")
        page.keyboard.type(owner.password)
        page.keyboard.press("Enter")
        expect(page.locator("#external_id")).to_be_visible()
        page.focus("#external_id")
        page.keyboard.type("4000")
        page.keyboard.press("Enter")
        expect(find_row(page, "4000")).to_be_visible()


def test_the_page_switches_the_organisation_and_the_language(owner: Owner) -> None:
    run = owner.running.run_command
    run("org", "create", "Segunda", "--owner", owner.email)
    with owner.open_page(language="es-AR") as page:
        expect(page.locator("html")).to_have_attribute("lang", "es")
        owner.sign_in(page)
        page.select_option("#org_id", label="Segunda")
        page.click(".switch button")
        expect(page.locator(".lead")).to_contain_text("Segunda")
        page.click("a[hreflang=en], [lang=en]")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.locator(".lead")).to_contain_text("Segunda")


def test_cookies_of_a_signed_out_session_no_longer_sign_in(owner: Owner) -> None:
    with owner.open_page() as page:
        owner.sign_in(page)
        expect(page.locator("#form")).to_be_visible()
        cookies = page.context.cookies()
        page.click("form[action='/sign-out'] button")
        expect(page.locator("#email")).to_be_visible()
        page.context.add_cookies(cookies)  # type: ignore[arg-type]
        page.goto(f"{owner.running.url}/settings/channels")
        expect(page.locator("#email")).to_be_visible()


def test_the_page_shows_the_callback_url_and_hides_the_verify_token(owner: Owner) -> None:
    with owner.open_page() as page:
        owner.sign_in(page)
        callback = f"{owner.running.url}/api/webhooks/meta"
        expect(page.get_by_text(callback)).to_be_visible()
        assert "META_WEBHOOK_VERIFY_TOKEN" in page.content()
        secrets = Path(owner.running.environ["LEADPORT_DATA_DIR"]) / "secrets.env"
        token = secrets.read_text().partition("VERIFY_TOKEN=")[2].splitlines()[0]
        assert token
        assert token not in page.content()


def test_no_table_holds_an_access_token_in_plain_text(owner: Owner) -> None:
    with owner.open_page() as page:
        owner.sign_in(page)
        submit_connection(page, "5000", access_token=CANARY_TOKEN)
        expect(find_row(page, "5000")).to_be_visible()

    with psycopg.connect(owner.running.database_url) as db:
        tables = db.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname IN ('public', 'auth')"
        ).fetchall()
        for (table,) in tables:
            query = f"SELECT count(*) FROM {table} AS row WHERE row::text LIKE %s"
            assert db.execute(query, [f"%{CANARY_TOKEN[:12]}%"]).fetchone() == (0,)
