"""Renders pages: templates, notices after a redirect, cookies, and URLs of static files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.datastructures import Cookie
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Redirect, Template
from litestar.template import TemplateConfig

from interfaces.web.errors import AnyRequest
from interfaces.web.texts import LANGUAGES, select_texts

WEB_FOLDER = Path(__file__).parent
STATIC_FOLDER = WEB_FOLDER / "static"

NOTICE_COOKIE = "leadport_notice"
NOTICE_COOKIE_MAX_AGE_SECONDS = 60
NOTICE_TEXTS = {
    "added": "The connection was added.",
    "changed": "The connection was changed.",
    "enabled": "The connection is enabled.",
    "disabled": "The connection is disabled; its messages are skipped from now on.",
    "removed": "The connection was removed. Its conversations, contacts and deals are still there.",
    "signed_out": "You are signed out.",
    "session_ended": "Your session has ended. Please sign in again.",
}
"""The notices that a page can show after a redirect. The cookie holds the key, not the text."""


def make_template_config(public_url: str) -> TemplateConfig[JinjaTemplateEngine]:
    """Return the template engine. `public_url` is the base URL at which Meta reaches the service."""
    environment = Environment(
        loader=FileSystemLoader(WEB_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset_urls"] = {
        path.name: _make_asset_url(path) for path in STATIC_FOLDER.iterdir()
    }
    environment.globals["languages"] = LANGUAGES
    environment.globals["callback_url"] = f"{public_url}/api/webhooks/meta"
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment))


def render_page(
    request: AnyRequest, template: str, context: Mapping[str, object], status_code: int = 200
) -> Template:
    """Return the page. A notice of the last redirect is shown once."""
    texts = select_texts(request)
    notice = NOTICE_TEXTS.get(request.cookies.get(NOTICE_COOKIE, ""))
    common = {"_": texts, "notice": notice, "current_path": read_current_path(request)}
    page = Template(template, context={**common, **context}, status_code=status_code)
    page.headers["Content-Language"] = texts.language
    if notice:
        page.delete_cookie(NOTICE_COOKIE)
    return page


def redirect(path: str, notice: str | None = None) -> Redirect:
    """Return a redirect to a page of Leadport. `notice` is a key of `NOTICE_TEXTS`.

    The page shows the text of the notice.
    """
    response = Redirect(path, status_code=303)
    if notice:
        response.set_cookie(
            make_cookie(NOTICE_COOKIE, notice, max_age=NOTICE_COOKIE_MAX_AGE_SECONDS)
        )
    return response


def make_cookie(name: str, value: str, max_age: int | None = None) -> Cookie:
    """Return a cookie that no script can read and that other sites' forms do not send.

    `max_age` is in seconds; without it the cookie lasts until the browser is closed. Under https,
    `interfaces.web.pages` adds `Secure`.
    """
    return Cookie(key=name, value=value, max_age=max_age, httponly=True, samesite="lax")


def read_current_path(request: AnyRequest) -> str:
    """Return path and query of the request, without the parameter `lang`.

    A link to the returned path works: every URL of the pages answers GET, also the targets of forms.
    """
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    path = "/" + request.url.path.strip("/")
    return f"{path}?{urlencode(query)}" if query else path


def _make_asset_url(path: Path) -> str:
    """Return a URL with a digest of the content, so that browsers may cache the file for a year."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"/static/{path.name}?v={digest[:8]}"
