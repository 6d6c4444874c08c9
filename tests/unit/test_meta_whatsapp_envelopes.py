"""WhatsApp deliveries of every shape: batches, malformed envelopes, broken messages."""

from dataclasses import replace

import pytest

from domain.connection import Address, Channel
from domain.inbound import BrokenMessage
from tests.support.payloads import (
    ANA,
    HOLA,
    PHONE_NUMBER_ID,
    WABA_ID,
    Json,
    Object,
    message_delivery,
    parse_broken_message,
    parse_message,
    parse_messages,
    parse_readable_messages,
    whatsapp_change,
    whatsapp_delivery,
    without,
)
from tests.support.whatsapp_payloads import STATUS, contact_entry


def test_every_message_goes_to_the_number_of_its_own_change() -> None:
    def messages_with_ids(*numbers: int) -> list[Object]:
        return [HOLA | {"id": f"wamid.{n}"} for n in numbers]

    first = whatsapp_delivery(
        whatsapp_change(*messages_with_ids(1, 2), to="1001"),
        whatsapp_change(statuses=[STATUS], to="1001"),
        whatsapp_change(*messages_with_ids(3), to="1002"),
    )
    second = whatsapp_delivery(
        whatsapp_change(*messages_with_ids(4, 5), to="1003"),
        whatsapp_change(*messages_with_ids(6), to="1001"),
    )
    delivery = first | {"entry": [*first["entry"], *second["entry"]]}

    messages = parse_readable_messages(delivery)

    assert [(m.address.external_id, m.external_id, m.thread_external_id) for m in messages] == [
        ("1001", "wamid.1", f"wa:1001:{ANA}"),
        ("1001", "wamid.2", f"wa:1001:{ANA}"),
        ("1002", "wamid.3", f"wa:1002:{ANA}"),
        ("1003", "wamid.4", f"wa:1003:{ANA}"),
        ("1003", "wamid.5", f"wa:1003:{ANA}"),
        ("1001", "wamid.6", f"wa:1001:{ANA}"),
    ]
    assert parse_messages([first, second]) == messages
    assert [parse_messages(m.payload) for m in messages] == [[m] for m in messages]


def test_payload_of_a_message_holds_only_that_message() -> None:
    delivery = whatsapp_delivery(
        whatsapp_change(HOLA | {"id": "wamid.1"}, HOLA, statuses=[STATUS], errors=[{"code": 1}]),
        whatsapp_change(HOLA | {"id": "wamid.2"}),
    )

    payloads = [message.payload for message in parse_messages(delivery)]

    assert payloads == [
        message_delivery(HOLA | {"id": "wamid.1"}),
        message_delivery(HOLA),
        message_delivery(HOLA | {"id": "wamid.2"}),
    ]


BROKEN_ITEMS = {
    "null": None,
    "a string": "hola",
    "a number": 7,
    "a list": [HOLA],
    "an empty object": {},
    "without a sender": without(HOLA, "from"),
    "with a sender that is null": HOLA | {"from": None},
    "with a sender that is an object": HOLA | {"from": {"id": ANA}},
    "of an unknown type without a sender": {"id": "wamid.1", "type": "hologram"},
}


@pytest.mark.parametrize("broken", BROKEN_ITEMS.values(), ids=BROKEN_ITEMS)
def test_broken_message_counts_and_hides_no_message_beside_it(broken: Json) -> None:
    expected = BrokenMessage(
        address=Address(Channel.WHATSAPP, PHONE_NUMBER_ID),
        reason="`from` and `from_user_id` are missing"
        if isinstance(broken, dict)
        else "the item of `messages` is not an object",
        payload=message_delivery(broken, contacts=[{}]),
    )

    messages = parse_messages(message_delivery(broken, HOLA))

    assert messages == [expected, parse_message(message_delivery(HOLA))]
    assert parse_broken_message(expected.payload) == expected


def test_item_that_is_no_object_is_broken_beside_a_single_contact() -> None:
    assert (
        parse_broken_message(message_delivery(None)).reason
        == "the item of `messages` is not an object"
    )


def test_message_without_sender_is_broken_beside_several_contacts() -> None:
    delivery = message_delivery(
        without(HOLA, "from"), contacts=[contact_entry("Ana", wa_id="1"), contact_entry("Bea")]
    )

    broken = parse_broken_message(delivery)

    assert broken.reason == "`from` and `from_user_id` are missing"
    assert parse_broken_message(broken.payload) == broken


@pytest.mark.parametrize("name", ["id", "from", "from_user_id"])
def test_message_with_an_id_over_512_characters_is_broken(name: str) -> None:
    longest, longer = (message_delivery(HOLA | {name: "5" * length}) for length in (512, 513))

    assert parse_message(longest).address == Address(Channel.WHATSAPP, PHONE_NUMBER_ID)
    assert parse_broken_message(longer) == BrokenMessage(
        address=Address(Channel.WHATSAPP, PHONE_NUMBER_ID),
        reason="an id is longer than 512 characters",
        payload=longer,
    )


ENTRY = message_delivery(HOLA)["entry"][0]


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param([message_delivery(HOLA)], id="in a list"),
        pytest.param({"entry": [ENTRY]}, id="without an object"),
        pytest.param({"object": None, "entry": [ENTRY]}, id="object is null"),
        pytest.param(
            {"object": "whatsapp_business_account", "entry": ENTRY}, id="entry not listed"
        ),
        pytest.param(whatsapp_delivery() | {"entry": [None, ENTRY, 7]}, id="odd entries beside it"),
        pytest.param(
            whatsapp_delivery(None, whatsapp_change(HOLA), "x", []), id="odd changes beside it"
        ),
        pytest.param(message_delivery(messages=HOLA), id="messages not listed"),
        pytest.param(
            message_delivery(HOLA, tomorrow=[{}], statuses=None),
            id="unknown keys",
        ),
    ],
)
def test_message_is_the_same_in_every_shape_of_envelope(delivery: Json) -> None:
    assert parse_message(delivery) == parse_message(message_delivery(HOLA))


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param(whatsapp_change(HOLA), id="bare"),
        pytest.param(
            whatsapp_change(HOLA, messaging_product=None), id="bare, known by its metadata"
        ),
        pytest.param(
            whatsapp_change(HOLA) | {"object": "whatsapp_business_account"}, id="without entries"
        ),
        pytest.param(
            {"object": "whatsapp_business_account", "entry": [whatsapp_change(HOLA)]},
            id="without changes",
        ),
    ],
)
def test_change_without_envelope_is_parsed(delivery: Json) -> None:
    message, usual = (
        parse_message(delivery),
        parse_message(message_delivery(HOLA)),
    )

    assert replace(message, payload={}) == replace(usual, payload={})
    assert parse_message(message.payload) == message


def test_change_without_envelope_and_metadata_is_known_by_its_product() -> None:
    value = without(whatsapp_change(HOLA)["value"], "metadata")

    message = parse_message({"field": "messages", "value": value})

    assert message.address == Address(Channel.WHATSAPP, "")
    assert (message.external_id, message.body) == ("wamid.hola", "hola")


@pytest.mark.parametrize(
    ("metadata", "number"),
    [
        ({"phone_number_id": " 1001 "}, "1001"),
        ({"phone_number_id": 1001}, "1001"),
        ({"phone_number_id": None}, ""),
        ({}, ""),
        (None, ""),
        ("1001", ""),
        ([{"phone_number_id": "1001"}], ""),
    ],
)
def test_message_counts_with_malformed_metadata(metadata: Json, number: str) -> None:
    message = parse_message(message_delivery(HOLA, metadata=metadata))

    assert message.address == Address(Channel.WHATSAPP, number)
    assert parse_message(message.payload) == message


ODD_VALUES: list[Json] = [None, True, 7, 1.5, "x", [], {}, [None], [[]], [[HOLA]]]


DELIVERIES_WITHOUT_MESSAGES: dict[str, Json] = {
    **{f"{shape}": shape for shape in ODD_VALUES},
    **{f"entry {shape}": whatsapp_delivery() | {"entry": shape} for shape in ODD_VALUES},
    **{
        f"changes {shape}": whatsapp_delivery() | {"entry": [{"id": WABA_ID, "changes": shape}]}
        for shape in ODD_VALUES
    },
    **{
        f"value {shape}": whatsapp_delivery(whatsapp_change() | {"value": shape})
        for shape in ODD_VALUES
    },
    **{f"messages {shape}": message_delivery(messages=shape) for shape in ODD_VALUES[:6]},
    **{
        f"object {shape}": message_delivery(HOLA) | {"object": shape}
        for shape in ("page", "user", "instagram", 7)
    },
}


@pytest.mark.parametrize(
    "delivery", DELIVERIES_WITHOUT_MESSAGES.values(), ids=DELIVERIES_WITHOUT_MESSAGES
)
def test_malformed_delivery_holds_no_message(delivery: Json) -> None:
    assert parse_messages(delivery) == []
