"""What stands for a message without words: short, in brackets, in the language of the readers.

A text's English is its name in the catalogue, `locale/<language>/LC_MESSAGES/bodies.po`. English
calls a type by Meta's own word, other languages only the types that are listed here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any, TypeAlias

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal, is_currency

from interfaces.catalogues import load_catalogue

Content: TypeAlias = Mapping[str, Any]

SOURCE = "en"
LANGUAGES = (SOURCE, "es")
CATALOGUES = Path(__file__).parent / "locale"
DOMAIN = "bodies"

KINDS = frozenset(
    {
        *("text", "image", "video", "audio", "voice", "sticker", "document", "file", "location"),
        *("contacts", "button", "interactive", "form", "order", "request_welcome", "errors"),
        *("unsupported", "unknown", "deleted"),
        # What WhatsApp cannot show has a type of its own.
        *("gif", "group_invite", "hsm", "link_preview", "list", "media_placeholder"),
        *("poll_creation", "product"),
        # Instagram's attachments
        *("attachment", "ephemeral", "ig_post", "ig_reel", "ig_story", "like_heart", "postback"),
        *("reel", "share", "story", "story_mention", "template", "unsupported_type"),
    }
)
"""The types that have a name in every language."""

LONGEST = 120
"""Of a type, and of what is said about it; in a list of conversations there is room for less."""

TOKEN = "flow_token"  # noqa: S105 - no secret: the business's own mark on its form


@dataclass(frozen=True, slots=True)
class PlaceholderText:
    """One language's bodies. Raises ValueError for a language that is not there."""

    language: str = SOURCE

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(f"no bodies in {self.language!r}")

    def __call__(self, kind: str, content: Content) -> str:
        """Write `[image]`, `[location: Av. Corrientes 1234]`: of nothing but kind and content."""
        name = self._name("form" if kind == "interactive" and "flow" in content else kind)
        about = _short(self._about(kind, content))
        return f"[{name}: {about}]" if about else f"[{name}]"

    def _name(self, kind: str) -> str:
        if kind in KINDS:
            return self._catalogue.gettext(kind)
        return _short(kind) or self._catalogue.gettext("unknown")

    def _about(self, kind: str, content: Content) -> str:
        about = ""
        match kind:
            case "document":
                about = content.get("media", {}).get("filename", "")
            case "location":
                about = _place(content.get("location", {}))
            case "contacts":
                about = ", ".join(filter(None, map(_person, content.get("contacts", ()))))
            case "interactive":
                about = ", ".join(_answers(content.get("flow", {}).get("answers")))
            case "order":
                about = self._goods(content.get("order", {}))
            case "unsupported" | "unknown" if "unsupported" in content:
                about = self._name(content["unsupported"]["type"])
        return about

    def _goods(self, order: Content) -> str:
        parts = []
        if "count" in order:
            count = order["count"]
            text = self._catalogue.ngettext("%(count)s item", "%(count)s items", count)
            parts.append(text % {"count": format_decimal(count, locale=self.language)})
        if "total" in order:
            parts.append(self._amount(**order["total"]))
        return ", ".join(parts)

    def _amount(self, amount: str, currency: str) -> str:
        """Write it as people do who pay with it, and call the currency by its code."""
        locale = _country(currency) or Locale.parse(self.language)
        pattern = locale.decimal_formats[None].pattern
        return f"{format_currency(Decimal(amount), currency, pattern, locale)} {currency}"

    @property
    def _catalogue(self) -> NullTranslations:
        return _catalogue(self.language)


@cache
def _catalogue(language: str) -> NullTranslations:
    if language == SOURCE:
        return NullTranslations()
    return load_catalogue(CATALOGUES, language, DOMAIN)


def _country(currency: str) -> Locale | None:
    """Where it is paid with: codes begin with the country's (ISO 4217), but EUR has none."""
    try:
        return Locale.parse(f"und_{currency[:2]}") if is_currency(currency) else None
    except UnknownLocaleError:
        return None


def _place(location: Content) -> str:
    if called := [location[part] for part in ("name", "address") if part in location]:
        return ", ".join(called)
    degrees = [location[part] for part in ("latitude", "longitude") if part in location]
    # To the decimetre, and with a point in every language, as maps take it.
    shown = [f"{each:.6f}".rstrip("0").rstrip(".") for each in degrees]
    return ", ".join(shown) if len(shown) == len(("latitude", "longitude")) else ""


def _person(card: Content) -> str:
    phones = (phone["phone"] for phone in card.get("phones", ()) if "phone" in phone)
    return str(card.get("name") or next(phones, ""))


def _answers(answers: Any) -> Iterator[str]:
    """Yield what was filled in, without its names, which no reader has ever seen."""
    match answers:
        case bool() | "":
            return
        case str() | int() | float():
            yield str(answers)
        case list():
            for answer in answers:
                yield from _answers(answer)
        case dict():
            for name, answer in answers.items():
                if name == TOKEN:
                    continue
                # Objects in a list are files: nothing but ids.
                is_list = isinstance(answer, list)
                yield from _answers(
                    [each for each in answer if not isinstance(each, dict)] if is_list else answer
                )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"
