"""Placeholders of messages without text, in English and in Spanish."""

import ast
from inspect import getsource
from typing import Any

import pytest
from babel import Locale

from interfaces.meta import placeholders
from interfaces.meta.placeholders import (
    CATALOGUE_DOMAIN,
    CATALOGUE_FOLDER,
    LANGUAGES,
    TRANSLATED_KINDS,
    PlaceholderText,
)
from interfaces.meta.whatsapp.content import READERS_BY_TYPE
from tests.support.translations import translations

ENGLISH, SPANISH = PlaceholderText(), PlaceholderText("es")


def order_content(amount: str, currency: str, count: int = 3) -> dict[str, Any]:
    return {"order": {"count": count, "total": {"amount": amount, "currency": currency}}}


def form_content(answers: Any) -> dict[str, Any]:
    return {"flow": {"name": "flow", "answers": answers}}


PLACEHOLDERS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "image": ("image", {"media": {"id": "1"}}, "[image]", "[imagen]"),
    "image of Instagram": ("image", {"attachments": [{"title": "x"}]}, "[image]", "[imagen]"),
    "voice note": ("voice", {}, "[voice]", "[nota de voz]"),
    "blank text": ("text", {}, "[text]", "[texto]"),
    "deleted": ("deleted", {}, "[deleted]", "[eliminado]"),
    "document": ("document", {"media": {"id": "1"}}, "[document]", "[documento]"),
    "named document": (
        "document",
        {"media": {"filename": "lista de precios.pdf"}},
        "[document: lista de precios.pdf]",
        "[documento: lista de precios.pdf]",
    ),
    "caption's edit": ("document", {}, "[document]", "[documento]"),
    "place": (
        "location",
        {"location": {"latitude": 1, "longitude": 2, "name": "Taller", "address": "Calle 1"}},
        "[location: Taller, Calle 1]",
        "[ubicación: Taller, Calle 1]",
    ),
    "address": (
        "location",
        {"location": {"address": "Av. Corrientes 1234"}},
        "[location: Av. Corrientes 1234]",
        "[ubicación: Av. Corrientes 1234]",
    ),
    "position": (
        "location",
        {"location": {"latitude": -34.60370000001, "longitude": -58.3816}},
        "[location: -34.6037, -58.3816]",
        "[ubicación: -34.6037, -58.3816]",
    ),
    "round position": (
        "location",
        {"location": {"latitude": 0, "longitude": 100}},
        "[location: 0, 100]",
        "[ubicación: 0, 100]",
    ),
    "half a position": ("location", {"location": {"latitude": 1}}, "[location]", "[ubicación]"),
    "contacts": (
        "contacts",
        {"contacts": [{"name": "Ana Gómez", "phones": [{"phone": "+54"}]}, {"name": "Ivo"}]},
        "[contacts: Ana Gómez, Ivo]",
        "[contactos: Ana Gómez, Ivo]",
    ),
    "contacts without names": (
        "contacts",
        {"contacts": [{"vcard": "x"}, {"phones": [{"type": "CELL"}, {"phone": "+54 11"}]}]},
        "[contacts: +54 11]",
        "[contactos: +54 11]",
    ),
    "contacts without names and numbers": (
        "contacts",
        {"contacts": [{"vcard": "x"}]},
        "[contacts]",
        "[contactos]",
    ),
    "order": (
        "order",
        order_content("45.00", "ARS"),
        "[order: 3 items, 45,00 ARS]",
        "[pedido: 3 artículos, 45,00 ARS]",
    ),
    "order of one": (
        "order",
        order_content("45.00", "ARS", count=1),
        "[order: 1 item, 45,00 ARS]",
        "[pedido: 1 artículo, 45,00 ARS]",
    ),
    "order of many": (
        "order",
        {"order": {"count": 12500}},
        "[order: 12,500 items]",
        "[pedido: 12.500 artículos]",
    ),
    "order without count": ("order", {"order": {"items": [{}]}}, "[order]", "[pedido]"),
    "form": (
        "interactive",
        form_content({"nombre": "Ana", "correo": "ana@x.example", "talla": 42, "nota": ""}),
        "[form: Ana, ana@x.example, 42]",
        "[formulario: Ana, ana@x.example, 42]",
    ),
    "form's token": (
        "interactive",
        form_content({"flow_token": "t-1", "talla": "M"}),
        "[form: M]",
        "[formulario: M]",
    ),
    "form's choices, files and consent": (
        "interactive",
        form_content({"a": ["rojo", "azul"], "foto": [{"id": "9"}], "acepta": True, "nada": None}),
        "[form: rojo, azul]",
        "[formulario: rojo, azul]",
    ),
    "address form": (
        "interactive",
        form_content({"saved_address_id": "", "values": {"name": "Ana", "city": "Rosario"}}),
        "[form: Ana, Rosario]",
        "[formulario: Ana, Rosario]",
    ),
    "form as a list": (
        "interactive",
        form_content([{"nombre": "Ana", "flow_token": "t-1"}, "M"]),
        "[form: Ana, M]",
        "[formulario: Ana, M]",
    ),
    "unreadable form": ("interactive", {"flow": {"raw": "{"}}, "[form]", "[formulario]"),
    "interactive of nothing": ("interactive", {}, "[interactive]", "[respuesta interactiva]"),
    "unsupported": ("unsupported", {}, "[unsupported]", "[no compatible]"),
    "unsupported poll": (
        "unsupported",
        {"unsupported": {"type": "poll_creation"}},
        "[unsupported: poll_creation]",
        "[no compatible: encuesta]",
    ),
    "unsupported, of an unknown type": (
        "unknown",
        {"unsupported": {"type": "hologram"}},
        "[unknown: hologram]",
        "[desconocido: hologram]",
    ),
    "reel": ("ig_reel", {"attachments": [{"title": "Baile"}]}, "[ig_reel]", "[reel]"),
    "story mention": (
        "story_mention",
        {"story": {"id": "1"}},
        "[story_mention]",
        "[mención en una historia]",
    ),
    "unknown type": ("hologram", {"raw": {"a": 1}}, "[hologram]", "[hologram]"),
    "type of many lines": ("holo\n\n gram", {}, "[holo gram]", "[holo gram]"),
    "no type": ("", {}, "[unknown]", "[desconocido]"),
    "text of the catalogue": ("%(count)s item", {}, "[%(count)s item]", "[%(count)s item]"),
}


@pytest.mark.parametrize(
    ("kind", "content", "english", "spanish"), PLACEHOLDERS.values(), ids=PLACEHOLDERS
)
def test_placeholder_is_composed_of_kind_and_content(
    kind: str, content: dict[str, Any], english: str, spanish: str
) -> None:
    assert ENGLISH.compose(kind, content) == english
    assert SPANISH.compose(kind, content) == spanish


@pytest.mark.parametrize(
    ("amount", "currency", "english", "spanish"),
    [
        ("1234567.50", "ARS", "1.234.567,50 ARS", "1.234.567,50 ARS"),
        ("1234.50", "BRL", "1.234,50 BRL", "1.234,50 BRL"),
        ("1234.50", "MXN", "1,234.50 MXN", "1,234.50 MXN"),
        ("1234.50", "USD", "1,234.50 USD", "1,234.50 USD"),
        ("1234", "CLP", "1.234 CLP", "1.234 CLP"),
        ("1234.500", "KWD", "1,234.500 KWD", "1,234.500 KWD"),
        ("1234567.50", "INR", "12,34,567.50 INR", "12,34,567.50 INR"),
        ("0.00", "EUR", "0.00 EUR", "0,00 EUR"),
        ("1234.50", "EUR", "1,234.50 EUR", "1.234,50 EUR"),
        ("1234", "XAF", "1,234 XAF", "1.234 XAF"),
        ("1234.50", "ZZZ", "1,234.50 ZZZ", "1.234,50 ZZZ"),
        ("9" * 18 + ".99", "ARS", f"{'.'.join(['999'] * 6)},99 ARS", None),
    ],
)
def test_amount_is_written_as_in_the_currencys_country(
    amount: str, currency: str, english: str, spanish: str | None
) -> None:
    assert (
        ENGLISH.compose("order", order_content(amount, currency)) == f"[order: 3 items, {english}]"
    )
    spanish = spanish or english
    assert (
        SPANISH.compose("order", order_content(amount, currency))
        == f"[pedido: 3 artículos, {spanish}]"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholder_is_composed_for_any_currency(language: str) -> None:
    for currency in [*Locale.parse("en").currencies, "ars", "AR", "A", "", "🙃", "[x]"]:
        body = PlaceholderText(language).compose("order", order_content("1234.50", currency))

        assert body.endswith(f" {currency}".rstrip() + "]")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("hologram" * 60, {}),
        ("unsupported", {"unsupported": {"type": "x" * 4000}}),
        ("document", {"media": {"filename": "a\u2028b " * 1000}}),
        ("location", {"location": {"name": "n" * 4000, "address": "a" * 4000}}),
        ("contacts", {"contacts": [{"name": f"Ana {n}"} for n in range(300)]}),
        ("interactive", form_content({"a": ["x y"] * 4000, "b": 10**390})),
    ],
)
def test_placeholder_is_one_short_line(kind: str, content: dict[str, Any], language: str) -> None:
    body = PlaceholderText(language).compose(kind, content)

    assert len(body) < 300
    assert body.endswith("…]")
    assert len(body.splitlines()) == 1


@pytest.mark.parametrize("language", ["", "fr", "es_AR", "EN"])
def test_unknown_language_raises_value_error(language: str) -> None:
    with pytest.raises(ValueError, match="no bodies"):
        PlaceholderText(language)


def list_plural_texts() -> set[str]:
    """The first argument of each call of ngettext in the module."""
    calls = [
        call for call in ast.walk(ast.parse(getsource(placeholders))) if isinstance(call, ast.Call)
    ]
    return {
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "ngettext"
    }


def test_spanish_catalogue_has_every_text_and_no_other() -> None:
    assert list_plural_texts()
    assert (
        set(translations(CATALOGUE_FOLDER, "es", CATALOGUE_DOMAIN))
        == TRANSLATED_KINDS | list_plural_texts()
    )


def test_translations_keep_format_fields_and_have_no_brackets_or_colons() -> None:
    for text, strings in translations(CATALOGUE_FOLDER, "es", CATALOGUE_DOMAIN).items():
        for string in strings:
            assert string
            assert string.count("%(count)s") == text.count("%(count)s") == string.count("%")
            assert not set("[]:\n") & set(string)


def test_every_known_type_is_translated() -> None:
    assert set(READERS_BY_TYPE) <= TRANSLATED_KINDS


def test_english_placeholder_is_metas_word() -> None:
    assert {ENGLISH.compose(kind, {}) for kind in TRANSLATED_KINDS} == {
        f"[{kind}]" for kind in TRANSLATED_KINDS
    }
