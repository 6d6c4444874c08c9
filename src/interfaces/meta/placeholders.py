"""Composes placeholders, such as `[image]`: the body of a message without text (D51).

The English text of a placeholder is its message id in the catalogue
`locale/<language>/LC_MESSAGES/bodies.po`. English placeholders use Meta's name of a type; the
other languages translate the types in TRANSLATED_KINDS and use Meta's name for every other type.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal, is_currency

from interfaces.catalogues import load_catalogue

SOURCE_LANGUAGE = "en"
LANGUAGES = (SOURCE_LANGUAGE, "es")
CATALOGUE_FOLDER = Path(__file__).parent / "locale"
CATALOGUE_DOMAIN = "bodies"

TRANSLATED_KINDS = frozenset(
    {
        # Types of WhatsApp messages; `deleted` replaces a message that was unsent.
        "audio",
        "button",
        "contacts",
        "deleted",
        "document",
        "errors",
        "file",
        "form",
        "image",
        "interactive",
        "location",
        "order",
        "request_welcome",
        "sticker",
        "text",
        "unknown",
        "unsupported",
        "video",
        "voice",
        # Types inside WhatsApp's `unsupported` messages.
        "gif",
        "group_invite",
        "hsm",
        "link_preview",
        "list",
        "media_placeholder",
        "poll_creation",
        "product",
        # Types of Instagram messages and attachments.
        "attachment",
        "ephemeral",
        "ig_post",
        "ig_reel",
        "ig_story",
        "like_heart",
        "postback",
        "reel",
        "share",
        "story",
        "story_mention",
        "template",
        "unsupported_type",
    }
)
"""The types that have a name in every language."""

MAX_DETAIL_CHARACTERS = 120
"""The maximum length of the type, and of the detail after it.

A list of conversations shows fewer characters of a body.
"""

FLOW_TOKEN_FIELD = "flow_token"  # noqa: S105 - the name of a field, not a secret
"""The field in which WhatsApp returns the id that the business gave to its form."""


@dataclass(frozen=True, slots=True)
class PlaceholderText:
    """Composes the placeholders of one language.

    Raises ValueError for a language that is not in LANGUAGES.
    """

    language: str = SOURCE_LANGUAGE

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(f"no bodies in {self.language!r}")

    def compose(self, kind: str, content: Mapping[str, Any]) -> str:
        """Return the placeholder of a message, such as `[location: Av. Corrientes 1234]`.

        The same kind and content give the same placeholder. It is one line.
        """
        is_form = kind == "interactive" and "flow" in content
        kind_name = self._name_kind("form" if is_form else kind)
        detail = _shorten_line(self._describe_content(kind, content))
        return f"[{kind_name}: {detail}]" if detail else f"[{kind_name}]"

    def _name_kind(self, kind: str) -> str:
        if kind in TRANSLATED_KINDS:
            return self._catalogue.gettext(kind)
        return _shorten_line(kind) or self._catalogue.gettext("unknown")

    def _describe_content(self, kind: str, content: Mapping[str, Any]) -> str:
        """Return the detail after the type's name; "" for a type without one."""
        detail = ""
        match kind:
            case "document":
                detail = content.get("media", {}).get("filename", "")
            case "location":
                detail = _describe_location(content.get("location", {}))
            case "contacts":
                names = map(_name_contact, content.get("contacts", ()))
                detail = ", ".join(filter(None, names))
            case "interactive":
                detail = ", ".join(_list_answers(content.get("flow", {}).get("answers")))
            case "order":
                detail = self._describe_order(content.get("order", {}))
            case "unsupported" | "unknown" if "unsupported" in content:
                detail = self._name_kind(content["unsupported"]["type"])
        return detail

    def _describe_order(self, order: Mapping[str, Any]) -> str:
        parts = []
        if "count" in order:
            count = order["count"]
            text = self._catalogue.ngettext("%(count)s item", "%(count)s items", count)
            parts.append(text % {"count": format_decimal(count, locale=self.language)})
        if "total" in order:
            parts.append(self._format_amount(**order["total"]))
        return ", ".join(parts)

    def _format_amount(self, amount: str, currency: str) -> str:
        """Write the amount as in the currency's country, and the currency by its code."""
        locale = _find_locale(currency) or Locale.parse(self.language)
        pattern = locale.decimal_formats[None].pattern
        return f"{format_currency(Decimal(amount), currency, pattern, locale)} {currency}"

    @property
    def _catalogue(self) -> NullTranslations:
        return _load_catalogue(self.language)


@cache
def _load_catalogue(language: str) -> NullTranslations:
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    return load_catalogue(CATALOGUE_FOLDER, language, CATALOGUE_DOMAIN)


def _find_locale(currency: str) -> Locale | None:
    """Return the locale of the currency's country; None for a currency without one, like EUR.

    A currency code begins with the code of its country (ISO 4217).
    """
    try:
        return Locale.parse(f"und_{currency[:2]}") if is_currency(currency) else None
    except UnknownLocaleError:
        return None


def _describe_location(location: Mapping[str, Any]) -> str:
    """Return name and address; without both, latitude and longitude if both are there."""
    if texts := [location[part] for part in ("name", "address") if part in location]:
        return ", ".join(texts)
    coordinates = [location[part] for part in ("latitude", "longitude") if part in location]
    # Six decimals are about a decimetre. Maps expect a point in every language.
    numbers = [f"{degrees:.6f}".rstrip("0").rstrip(".") for degrees in coordinates]
    return ", ".join(numbers) if len(numbers) == len(("latitude", "longitude")) else ""


def _name_contact(card: Mapping[str, Any]) -> str:
    """Return the name on a contact card, else its first phone number, else ""."""
    phones = (phone["phone"] for phone in card.get("phones", ()) if "phone" in phone)
    return str(card.get("name") or next(phones, ""))


def _list_answers(answers: Any) -> Iterator[str]:
    """Yield the values that were filled into a form, without the names of its fields.

    The names are internal to the form. The function omits True, False and "", because they mean
    nothing without the name of their field.
    """
    match answers:
        case bool() | "":
            return
        case str() | int() | float():
            yield str(answers)
        case list():
            for answer in answers:
                yield from _list_answers(answer)
        case dict():
            for field, answer in answers.items():
                if field == FLOW_TOKEN_FIELD:
                    continue
                if isinstance(answer, list):
                    # Objects in a field's list are uploaded files: they hold only ids.
                    yield from _list_answers(
                        [each for each in answer if not isinstance(each, dict)]
                    )
                else:
                    yield from _list_answers(answer)


def _shorten_line(text: str) -> str:
    """Return the text on one line, cut to 120 characters with an ellipsis at its end."""
    line = " ".join(text.split())
    if len(line) <= MAX_DETAIL_CHARACTERS:
        return line
    return f"{line[: MAX_DETAIL_CHARACTERS - 1].rstrip()}…"
