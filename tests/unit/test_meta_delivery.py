"""Parsing a delivery of either channel into messages, changes and ignored items."""

from collections import Counter
from typing import Any

import pytest

from domain.change import ChangeKind
from interfaces.meta.delivery import MetaDeliveryParser, ParsedDelivery
from interfaces.meta.parsed import IgnoredItem
from interfaces.meta.placeholders import PlaceholderText
from tests.support.builders import NOON
from tests.support.payloads import (
    ANA,
    HOLA,
    Json,
    Object,
    count_ignored_items,
    direct_message,
    encode,
    instagram_delivery,
    instagram_item,
    message_delivery,
    parse_changes,
    parse_message,
    parse_messages,
    whatsapp_change,
    whatsapp_delivery,
    without,
)

IMAGE = without(HOLA, "text") | {"id": "wamid.image", "type": "image", "image": {"id": "1"}}
EDIT = {"original_message_id": "wamid.hola", "message": {"type": "image", "image": {"id": "2"}}}
CHANGES_WITHOUT_TEXT: dict[str, Object] = {
    "edit": whatsapp_change(without(HOLA, "text") | {"type": "edit", "edit": EDIT}),
    "unsend": whatsapp_change(
        without(HOLA, "text") | {"type": "revoke", "revoke": {"original_message_id": "wamid.hola"}}
    ),
    "echo": whatsapp_change(message_echoes=[IMAGE | {"to": ANA}], field="smb_message_echoes"),
}


def test_delivery_is_parsed_into_messages_changes_and_ignored_items() -> None:
    mixed_change = whatsapp_change(IMAGE, statuses=[{"id": "wamid.ours"}] * 2)
    delivery = whatsapp_delivery(
        mixed_change,
        CHANGES_WITHOUT_TEXT["edit"],
        whatsapp_change(HOLA),
        whatsapp_change(field="calls"),
    )

    parsed = MetaDeliveryParser().parse(encode(delivery), NOON)

    assert [m.payload for m in parsed.messages] == [
        message_delivery(IMAGE),
        message_delivery(HOLA),
    ]
    assert [(c.kind, c.external_id) for c in parsed.changes] == [(ChangeKind.EDIT, "wamid.hola")]
    assert parsed.ignored_items == {
        IgnoredItem("ignored", "whatsapp", "event", "statuses"): 2,
        IgnoredItem("ignored", "whatsapp", "field", "calls"): 1,
    }


def test_instagram_delivery_is_parsed_into_messages_changes_and_ignored_items() -> None:
    delivery = instagram_delivery(
        direct_message(text="hola"),
        instagram_item(message_edit={"mid": "m", "text": "a", "num_edit": 1}),
        instagram_item(read={}),
    )

    parsed = MetaDeliveryParser().parse(encode(delivery), NOON)

    assert [m.payload for m in parsed.messages] == [
        parse_message(instagram_delivery(direct_message(text="hola"))).payload
    ]
    assert [c.kind for c in parsed.changes] == [ChangeKind.EDIT]
    assert parsed.ignored_items == {IgnoredItem("ignored", "instagram", "event", "read"): 1}


@pytest.mark.parametrize("body", [b"[]", b"null", b"7"])
def test_body_without_envelope_is_an_empty_delivery(body: bytes) -> None:
    assert MetaDeliveryParser().parse(body, NOON) == ParsedDelivery()


class ShoutingPlaceholderText(PlaceholderText):
    """Composes a placeholder of its arguments."""

    def compose(self, kind: str, content: Any) -> str:
        return f"{kind.upper()} {content}"


def test_message_without_text_gets_placeholder_of_its_kind_and_content() -> None:
    (message,) = (
        MetaDeliveryParser(ShoutingPlaceholderText())
        .parse(encode(message_delivery(IMAGE)), NOON)
        .messages
    )

    assert getattr(message, "body", None) == "IMAGE {'media': {'id': '1'}}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("edit", {"body": "IMAGE {}"}),
        ("unsend", {"body": "DELETED {}"}),
        (
            "echo",
            {
                "kind": "image",
                "body": "IMAGE {'media': {'id': '1'}}",
                "content": {"media": {"id": "1"}},
            },
        ),
    ],
)
def test_change_without_text_gets_placeholder_as_body(name: str, content: Object) -> None:
    (change,) = (
        MetaDeliveryParser(ShoutingPlaceholderText())
        .parse(encode(whatsapp_delivery(CHANGES_WITHOUT_TEXT[name])), NOON)
        .changes
    )

    assert change.content == content


def test_text_is_not_replaced_by_placeholder() -> None:
    edit = {"original_message_id": "wamid.hola", "message": {"text": {"body": "adiós"}}}
    delivery = whatsapp_delivery(
        whatsapp_change(HOLA, HOLA | {"type": "edit", "edit": edit}),
        whatsapp_change(message_echoes=[HOLA | {"to": ANA}], field="message_echoes"),
    )

    parsed = MetaDeliveryParser(ShoutingPlaceholderText()).parse(encode(delivery), NOON)

    assert [getattr(m, "body", None) for m in parsed.messages] == ["hola"]
    assert [c.content["body"] for c in parsed.changes] == ["adiós", "hola"]


def test_broken_message_gets_no_placeholder() -> None:
    (broken,) = (
        MetaDeliveryParser(ShoutingPlaceholderText())
        .parse(encode(message_delivery(None)), NOON)
        .messages
    )

    assert parse_messages(broken.payload) == [broken]


@pytest.mark.parametrize(
    ("object", "channel"),
    [
        ("page", "page"),
        ("user", "user"),
        (7, "7"),
        ("WhatsApp_Business_Account", "WhatsApp_Business_Account"),
        ("x" * 65, "x" * 64),
        ("a\u202eb\tc", "a?b?c"),
    ],
)
def test_delivery_of_unknown_object_is_ignored_by_its_name(object: Json, channel: str) -> None:
    delivery = message_delivery(HOLA) | {"object": object}

    assert count_ignored_items(delivery) == {IgnoredItem("unknown", channel, "field", "object"): 1}
    assert parse_messages(delivery) == []
    assert count_ignored_items([delivery, delivery]).total() == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        [None],
        {"a": 1},
        {"object": None},
        {"messaging_product": "whatsapp", "metadata": {}, "history": [{"errors": []}]},
    ],
)
def test_body_that_is_no_delivery_is_ignored_as_unknown(body: Json) -> None:
    assert count_ignored_items(body) == {IgnoredItem("unknown", "none", "field", "object"): 1}


@pytest.mark.parametrize("name", ["object", "field"])
def test_delivery_without_object_is_not_unknown(name: str) -> None:
    samples = {
        "object": without(message_delivery(HOLA), "object"),
        "field": whatsapp_change(HOLA),
    }

    assert count_ignored_items(samples[name]) == {}


def test_names_of_ignored_items_are_short_and_printable() -> None:
    long_fields = [whatsapp_change(field=f"{'x' * 64}{n}") for n in range(3)]
    unprintable_field = whatsapp_change(field="a\nb\x7f\u200b\u2028ñ ")

    assert count_ignored_items(whatsapp_delivery(*long_fields, unprintable_field)) == {
        IgnoredItem("unknown", "whatsapp", "field", "x" * 64): 3,
        IgnoredItem("unknown", "whatsapp", "field", "a?b???ñ"): 1,
    }


def test_ignored_items_are_always_a_counter() -> None:
    assert isinstance(MetaDeliveryParser().parse(b"{}", NOON).ignored_items, Counter)
    assert parse_changes({}) == []
