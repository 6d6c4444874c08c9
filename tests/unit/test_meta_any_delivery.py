"""Arbitrary JSON in and around deliveries never loses a message beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.meta.delivery import MetaDeliveryParser
from tests.support.arbitrary_json import ANY_JSON, THOROUGH, list_paths, replace_at
from tests.support.builders import NOON
from tests.support.payloads import (
    HOLA,
    Json,
    direct_message,
    encode,
    instagram_delivery,
    message_delivery,
    parse_changes,
    parse_message,
    parse_messages,
    whatsapp_change,
    whatsapp_delivery,
)

ODD_VALUES = [
    rb'"\u0000"',
    rb'"\ud83d"',
    b'"\x00"',
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5000,
    b"-" + b"9" * 5000,
    b"1" + b"0" * 4999,
    b'"\n"',
    b"9" * 350,
    b"0.0000000000000000001",
]


@pytest.mark.parametrize("odd_value", ODD_VALUES, ids=lambda odd_value: repr(odd_value[:12]))
def test_odd_value_beside_a_message_does_not_lose_it(odd_value: bytes) -> None:
    whatsapp = whatsapp_delivery(
        whatsapp_change(HOLA, tomorrow="HERE"), whatsapp_change(tomorrow="HERE")
    )
    instagram = instagram_delivery({"read": "HERE"}, direct_message(text="hola"), tomorrow="HERE")

    for delivery in (whatsapp, instagram):
        body = encode(delivery).replace(b'"HERE"', odd_value)
        assert MetaDeliveryParser().parse(body, NOON).messages == [parse_message(delivery)]


@pytest.mark.parametrize("odd_value", ODD_VALUES, ids=lambda odd_value: repr(odd_value[:12]))
@pytest.mark.parametrize("name", ["timestamp", "context", "text", "type"])
def test_odd_value_inside_a_message_does_not_lose_it(odd_value: bytes, name: str) -> None:
    delivery = message_delivery(HOLA | {name: "HERE"})

    (message,) = (
        MetaDeliveryParser().parse(encode(delivery).replace(b'"HERE"', odd_value), NOON).messages
    )

    assert parse_message(message.payload) == message
    assert parse_message(message.payload).external_id == "wamid.hola"


GOOD_DELIVERIES = {
    "whatsapp": whatsapp_delivery(
        whatsapp_change(HOLA), whatsapp_change(statuses=[{"id": "wamid.ours", "status": "read"}])
    ),
    "instagram": instagram_delivery(
        direct_message(text="hola"), standby=[], changes=[{"field": "comments"}]
    ),
}


@given(ANY_JSON)
@THOROUGH
def test_arbitrary_json_is_parsed_and_payloads_parse_the_same(value: Json) -> None:
    for message in parse_messages(value):
        assert parse_messages(message.payload) == [message]
    for change in parse_changes(value):
        assert parse_changes(change.payload) == [change]


@pytest.mark.parametrize("channel", GOOD_DELIVERIES)
@given(st.data())
@THOROUGH
def test_arbitrary_part_of_an_entry_loses_nothing_beside_it(
    channel: str, data: st.DataObject
) -> None:
    (entry,) = GOOD_DELIVERIES[channel]["entry"]
    path = data.draw(st.sampled_from(list(list_paths(entry))))
    part = data.draw(ANY_JSON)
    delivery = GOOD_DELIVERIES[channel] | {"entry": [replace_at(entry, path, part), entry]}

    messages = parse_messages(delivery)

    assert messages[-1] == parse_message(GOOD_DELIVERIES[channel])
    assert [parse_messages(message.payload) for message in messages] == [
        [message] for message in messages
    ]


@pytest.mark.parametrize("channel", GOOD_DELIVERIES)
@given(st.data())
@THOROUGH
def test_arbitrary_envelope_is_parsed(channel: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(["object", "entry"]))

    for message in parse_messages(GOOD_DELIVERIES[channel] | {path: data.draw(ANY_JSON)}):
        assert parse_messages(message.payload) == [message]
