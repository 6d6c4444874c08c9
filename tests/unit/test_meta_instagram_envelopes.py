"""Instagram deliveries of every shape: batches, other envelopes, broken messages."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from domain.connection import Address, Channel
from domain.inbound import BrokenMessage
from tests.support.instagram_payloads import (
    OTHER_ENVELOPES,
    POSTBACK_WITHOUT_ID,
    TEXT_ITEM,
    ivo_sender,
)
from tests.support.payloads import (
    ACCOUNT_ID,
    IVO,
    Json,
    Object,
    bare_sample,
    delivery_with_change,
    delivery_with_field,
    direct_message,
    instagram_delivery,
    instagram_item,
    parse_broken_message,
    parse_message,
    parse_messages,
    parse_readable_messages,
    without,
)

ENVELOPES: dict[str, Json] = {
    "standby": instagram_delivery(TEXT_ITEM, under="standby"),
    "messaging is an object": instagram_delivery(messaging=TEXT_ITEM),
    "changes": delivery_with_change("messages", TEXT_ITEM),
    "changes, standby": delivery_with_change("standby", TEXT_ITEM),
    "changes, value listed": delivery_with_change("messages", [TEXT_ITEM]),
    "flat": delivery_with_field("messages", TEXT_ITEM),
    "flat, standby": delivery_with_field("standby", TEXT_ITEM),
    "bare": bare_sample("messages", TEXT_ITEM),
    "bare in a list": [bare_sample("messages", TEXT_ITEM)],
    "in a list": [instagram_delivery(TEXT_ITEM)],
    "beside an empty one": [instagram_delivery(), None, instagram_delivery(TEXT_ITEM)],
    "without an object": without(instagram_delivery(TEXT_ITEM), "object"),
    "changes without an object": without(delivery_with_change("messages", TEXT_ITEM), "object"),
    "object is null": instagram_delivery(TEXT_ITEM) | {"object": None},
    "entry is an object": instagram_delivery()
    | {"entry": instagram_delivery(TEXT_ITEM)["entry"][0]},
    "beside odd entries": instagram_delivery()
    | {"entry": [None, 7, *instagram_delivery(TEXT_ITEM)["entry"]]},
    "beside odd keys": instagram_delivery(
        TEXT_ITEM, standby=None, changes=[None, 7], tomorrow=[{}]
    ),
    "without the account's id": instagram_delivery(TEXT_ITEM, id=None),
    "the account's id is a number": instagram_delivery(TEXT_ITEM, id=17841400000000001),
}


@pytest.mark.parametrize("delivery", ENVELOPES.values(), ids=ENVELOPES)
def test_message_is_the_same_in_every_envelope(delivery: Json) -> None:
    message, usual = parse_message(delivery), parse_message(instagram_delivery(TEXT_ITEM))

    assert replace(message, payload={}) == replace(usual, payload={})
    assert message.payload["entry"][0]["messaging"] == [TEXT_ITEM]
    assert parse_message(message.payload) == message


@pytest.mark.parametrize("envelope", OTHER_ENVELOPES)
def test_postback_is_the_same_in_every_envelope(envelope: Callable[[str, Json], Json]) -> None:
    message = parse_message(envelope("messaging_postbacks", POSTBACK_WITHOUT_ID))

    assert message.body == "Ver precios"
    assert message.external_id == parse_message(instagram_delivery(POSTBACK_WITHOUT_ID)).external_id


def test_comment_hides_no_message_beside_it() -> None:
    comment = {"field": "comments", "value": {"id": "1", "text": "¡lindo!"}}

    (message,) = parse_readable_messages(instagram_delivery(TEXT_ITEM, changes=[comment]))

    assert message.payload == instagram_delivery(TEXT_ITEM)


def test_every_message_goes_to_the_account_of_its_own_entry() -> None:
    def messages_with_ids(*numbers: int) -> list[Object]:
        return [direct_message(mid=f"mid.{n}", text="hola") for n in numbers]

    changes = [{"field": "messages", "value": value} for value in messages_with_ids(4, 5)]
    entries = [
        {
            "id": "17841",
            "messaging": messages_with_ids(1, 2),
            "standby": messages_with_ids(3),
            "changes": changes,
        },
        {
            "id": "17842",
            "messaging": [
                *messages_with_ids(6),
                instagram_item(read={"mid": "mid.1"}),
                *messages_with_ids(7),
            ],
        },
        {"id": "17843", "field": "messages", "value": messages_with_ids(8)[0]},
        {"id": "17841", "messaging": messages_with_ids(9)},
    ]

    messages = parse_readable_messages({"object": "instagram", "entry": entries})

    accounts = [*["17841"] * 5, "17842", "17842", "17843", "17841"]
    assert [(m.address, m.external_id, m.thread_external_id) for m in messages] == [
        (Address(Channel.INSTAGRAM, account), f"mid.{n}", f"ig:{account}:{IVO}")
        for n, account in enumerate(accounts, start=1)
    ]
    assert [parse_messages(m.payload) for m in messages] == [[m] for m in messages]
    assert [len(m.payload["entry"][0]["messaging"]) for m in messages] == [1] * 9


BROKEN_ITEMS: dict[str, tuple[Json, str]] = {
    "message is a string": (instagram_item(message="hola"), "`message` is not an object"),
    "message is a number": (instagram_item(message=0), "`message` is not an object"),
    "message is a list": (instagram_item(message=[]), "`message` is not an object"),
    "postback is a string": (instagram_item(postback="PRICES"), "`postback` is not an object"),
    "no sender": (without(TEXT_ITEM, "sender"), "`sender.id` is missing"),
    "sender is null": (TEXT_ITEM | {"sender": None}, "`sender.id` is missing"),
    "sender is a string": (TEXT_ITEM | {"sender": IVO}, "`sender.id` is missing"),
    "sender without an id": (TEXT_ITEM | {"sender": {}}, "`sender.id` is missing"),
    "sender's id is blank": (TEXT_ITEM | {"sender": {"id": " "}}, "`sender.id` is missing"),
    "sender's id too long": (
        TEXT_ITEM | {"sender": {"id": "9" * 513}},
        "an id is longer than 512 characters",
    ),
    "mid too long": (direct_message(mid="a" * 513), "an id is longer than 512 characters"),
}


@pytest.mark.parametrize(("broken", "reason"), BROKEN_ITEMS.values(), ids=BROKEN_ITEMS)
def test_broken_message_counts_and_hides_no_message_beside_it(broken: Json, reason: str) -> None:
    expected = BrokenMessage(
        address=Address(Channel.INSTAGRAM, ACCOUNT_ID),
        reason=reason,
        payload=instagram_delivery(broken),
    )

    assert parse_messages(instagram_delivery(broken, TEXT_ITEM)) == [
        expected,
        parse_message(instagram_delivery(TEXT_ITEM)),
    ]
    assert parse_broken_message(expected.payload) == expected


def test_ids_of_512_characters_are_accepted() -> None:
    message = parse_message(
        instagram_delivery(direct_message(mid="a" * 512) | {"sender": {"id": "9" * 512}})
    )

    assert (message.external_id, message.sender) == ("a" * 512, ivo_sender("9" * 512))


ODD_VALUES: list[Json] = [None, True, 7, 1.5, "x", [], {}, [None], [[]], [[TEXT_ITEM]]]


DELIVERIES_WITHOUT_MESSAGES: dict[str, Json] = {
    **{f"entry {shape}": instagram_delivery() | {"entry": shape} for shape in ODD_VALUES},
    **{f"messaging {shape}": instagram_delivery(messaging=shape) for shape in ODD_VALUES},
    **{f"standby {shape}": instagram_delivery(standby=shape) for shape in ODD_VALUES},
    **{f"changes {shape}": instagram_delivery(changes=shape) for shape in ODD_VALUES},
    **{f"value {shape}": delivery_with_change("messages", shape) for shape in ODD_VALUES},
    **{
        f"object {shape}": instagram_delivery(TEXT_ITEM) | {"object": shape}
        for shape in ("page", "user", "whatsapp_business_account", 7)
    },
}


@pytest.mark.parametrize(
    "delivery", DELIVERIES_WITHOUT_MESSAGES.values(), ids=DELIVERIES_WITHOUT_MESSAGES
)
def test_malformed_delivery_holds_no_message(delivery: Json) -> None:
    assert parse_messages(delivery) == []
