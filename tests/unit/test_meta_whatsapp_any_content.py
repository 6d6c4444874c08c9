"""Arbitrary JSON as a WhatsApp message."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.meta.json_values import (
    parse_json,
)
from interfaces.meta.placeholders import LANGUAGES, PlaceholderText
from interfaces.meta.whatsapp.content import READERS_BY_TYPE, parse_content
from tests.support.payloads import (
    Json,
    Object,
)
from tests.support.whatsapp_payloads import MEDIA, message_of_type, order_line

TYPICAL_PARTS = {
    "text": {"body": "hola"},
    "image": MEDIA | {"caption": "este", "filename": "a.pdf", "voice": True, "animated": False},
    "location": {"latitude": 1, "longitude": "2", "name": "n", "address": "a", "url": "u"},
    "contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+54"}], "org": {}}],
    "button": {"text": "Sí", "payload": "YES"},
    "interactive": {
        "type": "nfm_reply",
        "button_reply": {"id": "1", "title": "Rojo"},
        "list_reply": {"id": "1", "title": "Rojo", "description": "x"},
        "nfm_reply": {"name": "flow", "response_json": '{"talla": "M"}', "body": "Sent"},
    },
    "order": {
        "product_items": [order_line(2, 15), order_line(1, "0.5")],
        "text": "",
        "catalog_id": "19",
    },
    "unsupported": {"type": "gif"},
}


KNOWN_NAMES = sorted(
    {
        *TYPICAL_PARTS,
        "body",
        "caption",
        "id",
        "filename",
        "mime_type",
        "voice",
        "latitude",
        "longitude",
        "name",
        "address",
        "formatted_name",
        "phones",
        "phone",
        "org",
        "title",
        "payload",
        "button_reply",
        "list_reply",
        "nfm_reply",
        "response_json",
        "flow_token",
        "values",
        "product",
        "action",
        "sections",
        "product_items",
        "product_retailer_id",
        "quantity",
        "item_price",
        "currency",
        "ARS",
        "USD",
        "JPY",
        "1.5",
        "-1",
        "type",
        "forwarded",
        "referred_product",
        "from",
        "code",
        "details",
        "error_data",
        "[1]",
    }
)


STRINGS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=5) | st.sampled_from(
    KNOWN_NAMES
)


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


ARBITRARY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)


FORMS = ARBITRARY_JSON.map(json.dumps) | STRINGS | ARBITRARY_JSON


ORDER_LINES = st.fixed_dictionaries(
    {},
    optional={
        "product_retailer_id": STRINGS,
        "quantity": NUMBERS | STRINGS | st.integers(0, 10**9).map(str),
        "item_price": NUMBERS | STRINGS | st.decimals(0, 10**13, allow_nan=False).map(str),
        "currency": st.sampled_from(["ARS", "usd", "CLP", "EUR", "???"]) | ARBITRARY_JSON,
    },
)


LIKELY_PARTS = {
    "interactive": st.fixed_dictionaries(
        {
            "nfm_reply": st.fixed_dictionaries(
                {"response_json": FORMS}, optional={"name": ARBITRARY_JSON}
            )
        }
    ),
    "order": st.fixed_dictionaries({"product_items": st.lists(ORDER_LINES, max_size=3)}),
    "location": st.fixed_dictionaries({"latitude": ARBITRARY_JSON, "longitude": NUMBERS}),
}


PLACEHOLDER_TEXTS = [PlaceholderText(language) for language in LANGUAGES]


def arbitrary_parts(type: str) -> st.SearchStrategy[Any]:
    """Arbitrary JSON, more often of about the right shape."""
    right = st.just(TYPICAL_PARTS.get(type))
    likely = LIKELY_PARTS.get(type, right)
    keys = st.dictionaries(st.sampled_from(KNOWN_NAMES), ARBITRARY_JSON, max_size=6)
    return ARBITRARY_JSON | likely | keys | st.lists(keys, max_size=3)


def list_empty_values(content: Json) -> list[Json]:
    """Return the empty values of content, without those in parts that are kept as Meta sent them."""
    if isinstance(content, dict):
        members = [part for name, part in content.items() if name not in {"raw", "answers"}]
    elif isinstance(content, list):
        members = content
    else:
        return []
    empty = [part for part in members if part is None or part in ("", [], {})]
    return empty + [value for part in members for value in list_empty_values(part)]


@pytest.mark.parametrize("type", [*READERS_BY_TYPE, "hologram", "reaction"])
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_arbitrary_part_has_a_placeholder_and_no_empty_value_in_content(
    type: str, data: st.DataObject
) -> None:
    common_parts = data.draw(
        st.dictionaries(
            st.sampled_from(["context", "referral", "errors", "unsupported"]),
            ARBITRARY_JSON,
            max_size=2,
        )
    )

    message = parse_content(message_of_type(type, data.draw(arbitrary_parts(type)), **common_parts))

    assert message.kind == type
    assert not list_empty_values(message.content)
    assert parse_json(json.dumps(message.content, allow_nan=False).encode()) == message.content
    for body in (
        placeholder_text.compose(type, message.content) for placeholder_text in PLACEHOLDER_TEXTS
    ):
        assert 2 < len(body) < 300
        assert (body[0], body[-1]) == ("[", "]")


@given(ARBITRARY_JSON.filter(lambda value: isinstance(value, dict)))
@settings(deadline=None, max_examples=200)
def test_arbitrary_message_has_text_or_placeholder(json_object: Object) -> None:
    message = parse_content(json_object)

    assert message.text or all(
        placeholder_text.compose(message.kind, message.content)
        for placeholder_text in PLACEHOLDER_TEXTS
    )
