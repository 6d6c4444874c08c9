"""What the pages say, in the reader's language.

A text's English is its name in the catalogues, `locale/<language>/LC_MESSAGES/leadport.po`; they are
compiled when the service starts. Spanish has every text, English only those that read better in
other words than the domain's. The translations may contain no markup: it stands in the templates.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_decimal
from babel.support import Translations
from markupsafe import Markup, escape

from interfaces.catalogues import load_catalogue
from interfaces.web.errors import AnyRequest

LANGUAGES: Mapping[str, str] = {"es": "Español", "en": "English"}
"""Code to the language's own name."""

FALLBACK_LANGUAGE = "en"
LANGUAGE_COOKIE = "leadport_language"
"""Which language was chosen by hand; without it the browser's are asked."""

CATALOGUES_FOLDER = Path(__file__).parent / "locale"
CATALOGUE_DOMAIN = "leadport"

LANGUAGE_RANGE_PATTERN = re.compile(
    r"([a-z]{2,8}(?:-[a-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?(?=,|\s|$)"
)
MINUTE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Texts:
    """One language. Templates have it as `_`."""

    language: str
    catalogue: Translations

    def __call__(self, text: str, **values: object) -> Markup:
        """Translate, and put the values in for `%(name)s`; all that is no markup is escaped."""
        return _fill(self.catalogue.gettext(text), values)

    def translate_plural(self, one: str, many: str, count: int) -> Markup:
        """Translate by number, which stands for `%(count)s` in the way of the language."""
        text = self.catalogue.ngettext(one, many, count)
        return _fill(text, {"count": self.format_number(count)})

    def format_number(self, number: int) -> str:
        """Write it in the way of the language."""
        return format_decimal(number, locale=self.locale)

    def format_moment(self, moment: datetime) -> str:
        """Write date and time, always in UTC: the server does not know where the reader is."""
        moment = moment.astimezone(UTC)
        date = format_date(moment, "medium", locale=self.locale)
        return f"{date}, {format_time(moment, 'short', locale=self.locale)} UTC"

    def format_age(self, moment: datetime, now: datetime) -> str:
        """Write how long ago it was; the sender's clock may be ahead of ours."""
        age = min(moment - now, -timedelta(seconds=1))
        return format_timedelta(age, add_direction=True, locale=self.locale)

    def format_wait(self, seconds: int) -> str:
        """Write how long to wait, never less than needed."""
        if seconds > MINUTE_SECONDS:
            seconds = math.ceil(seconds / MINUTE_SECONDS) * MINUTE_SECONDS
        return format_timedelta(timedelta(seconds=seconds), threshold=1, locale=self.locale)

    @property
    def locale(self) -> Locale:
        """Babel's name for the language."""
        return Locale.parse(self.language)


def choose_texts(request: AnyRequest) -> Texts:
    """Return the texts in the language that was chosen, or that the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen not in LANGUAGES:
        preferred = _parse_accept_language(request.headers.get("Accept-Language", ""))
        chosen = negotiate_locale(preferred, list(LANGUAGES), sep="-") or FALLBACK_LANGUAGE
    return load_all_texts()[chosen]


@cache
def load_all_texts() -> Mapping[str, Texts]:
    """Compile every language."""
    return {
        language: Texts(language, load_catalogue(CATALOGUES_FOLDER, language, CATALOGUE_DOMAIN))
        for language in LANGUAGES
    }


def _fill(text: str, values: Mapping[str, object]) -> Markup:
    return escape(text) % values if values else escape(text)


def _parse_accept_language(accept_language: str) -> list[str]:
    """Read `es-MX,es;q=0.9,en;q=0.8`, leaving out what cannot be read and what is unwanted."""
    weights = {
        language: float(weight or 1)
        for language, weight in LANGUAGE_RANGE_PATTERN.findall(accept_language.lower())
    }
    return [
        language
        for language in sorted(weights, key=weights.__getitem__, reverse=True)
        if weights[language]
    ]
