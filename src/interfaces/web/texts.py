"""The texts of the pages in English and Spanish, and the choice of the reader's language.

The English text is the msgid in the catalogues, `locale/<language>/LC_MESSAGES/leadport.po`. The
service compiles them when it starts. The Spanish catalogue has every text. The English one has only
texts of the domain's errors, which pages show as whole sentences. Translations contain no markup:
that is in the templates.
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
"""Language code to the language's own name."""

FALLBACK_LANGUAGE = "en"
LANGUAGE_COOKIE = "leadport_language"
"""The name of the cookie with the chosen language. Without it `Accept-Language` decides."""

CATALOGUES_FOLDER = Path(__file__).parent / "locale"
CATALOGUE_DOMAIN = "leadport"

LANGUAGE_RANGE_PATTERN = re.compile(
    r"([a-z]{2,8}(?:-[a-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?(?=,|\s|$)"
)
SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts and formats of one language. In templates, `_` is an instance of this class."""

    language: str
    catalogue: Translations

    def __call__(self, text: str, **values: object) -> Markup:
        """Translate a text and fill in placeholders such as `%(name)s`.

        The function escapes each value that is not Markup.
        """
        return _fill(self.catalogue.gettext(text), values)

    def translate_plural(self, one: str, many: str, count: int) -> Markup:
        """Translate the singular or plural for `count`, and fill in `%(count)s`."""
        text = self.catalogue.ngettext(one, many, count)
        return _fill(text, {"count": self.format_number(count)})

    def format_number(self, number: int) -> str:
        """Return the number with the separators of the language."""
        return format_decimal(number, locale=self.locale)

    def format_moment(self, moment: datetime) -> str:
        """Return date and time in UTC, because the server does not know the reader's time zone."""
        moment = moment.astimezone(UTC)
        date = format_date(moment, "medium", locale=self.locale)
        return f"{date}, {format_time(moment, 'short', locale=self.locale)} UTC"

    def format_age(self, moment: datetime, now: datetime) -> str:
        """Return how long before `now` the moment was: at least one second ago.

        The moment may be later than `now`, where the sender's clock is ahead.
        """
        age = min(moment - now, -timedelta(seconds=1))
        return format_timedelta(age, add_direction=True, locale=self.locale)

    def format_wait(self, seconds: int) -> str:
        """Return a duration. One that is longer than a minute is rounded up to whole minutes."""
        if seconds > SECONDS_PER_MINUTE:
            seconds = math.ceil(seconds / SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE
        return format_timedelta(timedelta(seconds=seconds), threshold=1, locale=self.locale)

    @property
    def locale(self) -> Locale:
        """The language as a Babel locale."""
        return Locale.parse(self.language)


def select_texts(request: AnyRequest) -> Texts:
    """Return the texts in the language of the cookie, else of `Accept-Language`, else in English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen not in LANGUAGES:
        preferred = _parse_accept_language(request.headers.get("Accept-Language", ""))
        chosen = negotiate_locale(preferred, list(LANGUAGES), sep="-") or FALLBACK_LANGUAGE
    return load_all_texts()[chosen]


@cache
def load_all_texts() -> Mapping[str, Texts]:
    """Compile the catalogues and return the texts by language; later calls return the same texts."""
    return {
        language: Texts(language, load_catalogue(CATALOGUES_FOLDER, language, CATALOGUE_DOMAIN))
        for language in LANGUAGES
    }


def _fill(text: str, values: Mapping[str, object]) -> Markup:
    return escape(text) % values if values else escape(text)


def _parse_accept_language(accept_language: str) -> list[str]:
    """Return the languages of a header such as `es-MX,es;q=0.9,en;q=0.8`, the preferred one first.

    The function omits malformed entries and those with `q=0`.
    """
    weights = {
        language: float(weight or 1)
        for language, weight in LANGUAGE_RANGE_PATTERN.findall(accept_language.lower())
    }
    return [
        language
        for language in sorted(weights, key=weights.__getitem__, reverse=True)
        if weights[language]
    ]
