"""The sender of a WhatsApp message: its identities and its name."""

from collections.abc import Sequence

import pytest

from domain.contact import Identity, Sender
from tests.support.builders import parent_identity, phone_identity, user_identity
from tests.support.payloads import (
    ANA,
    ANA_CONTACT,
    HOLA,
    PHONE_NUMBER_ID,
    Json,
    Object,
    message_delivery,
    parse_message,
    parse_messages,
    parse_readable_messages,
    without,
)
from tests.support.whatsapp_payloads import ANA_IDENTITIES, BSUID, contact_entry, message_from_ana

SENDERS: dict[str, tuple[Object, Object, list[Identity]]] = {
    "phone": ({"from": ANA}, {"wa_id": ANA}, [*ANA_IDENTITIES]),
    "phone and user id": (
        {"from": ANA, "from_user_id": BSUID},
        {"wa_id": ANA, "user_id": BSUID},
        [*ANA_IDENTITIES, user_identity(BSUID)],
    ),
    "user id of the contact's": (
        {"from": ANA},
        {"wa_id": ANA, "user_id": "some_form"},
        [*ANA_IDENTITIES, user_identity("some_form")],
    ),
    "phone of the contact's": (
        {"from_user_id": BSUID},
        {"wa_id": ANA, "user_id": BSUID},
        [*ANA_IDENTITIES, user_identity(BSUID)],
    ),
    "user id alone": ({"from_user_id": BSUID}, {"user_id": BSUID}, [user_identity(BSUID)]),
    "user id that the contact writes otherwise": (
        {"from_user_id": BSUID},
        {"user_id": f"u{BSUID}"},
        [user_identity(BSUID)],
    ),
    "user id in the contact alone": ({}, {"user_id": BSUID}, [user_identity(BSUID)]),
    "user id in `wa_id` alone": ({}, {"wa_id": BSUID}, [user_identity(BSUID)]),
    "phone in the contact alone": ({}, {"wa_id": ANA}, [*ANA_IDENTITIES]),
    "user id in `from`": ({"from": BSUID}, {"user_id": BSUID}, [user_identity(BSUID)]),
    "user id in `from` and `wa_id`": ({"from": BSUID}, {"wa_id": BSUID}, [user_identity(BSUID)]),
    "user id in `from`, phone in the contact": (
        {"from": BSUID},
        {"wa_id": ANA, "user_id": BSUID},
        [*ANA_IDENTITIES, user_identity(BSUID)],
    ),
    "parent's user id in `from`": ({"from": "US.ENT.1a"}, {}, [parent_identity("US.ENT.1a")]),
    "parent's user id in `wa_id`": (
        {"from_user_id": BSUID},
        {"wa_id": "US.ENT.1a"},
        [user_identity(BSUID), parent_identity("US.ENT.1a")],
    ),
    "another user id in `from`": (
        {"from": "AR.9", "from_user_id": BSUID},
        {},
        [user_identity(BSUID)],
    ),
    "almost a user id in `from`": ({"from": "ARG.1"}, {}, [phone_identity("ARG.1")]),
    "parent's user id": (
        {"from_user_id": BSUID, "from_parent_user_id": "AR.ENT.1"},
        {"user_id": BSUID, "parent_user_id": "AR.ENT.1"},
        [user_identity(BSUID), parent_identity("AR.ENT.1")],
    ),
    "parent's user id of the contact's": (
        {"from": ANA, "from_user_id": BSUID},
        {"wa_id": ANA, "parent_user_id": "AR.1"},
        [*ANA_IDENTITIES, user_identity(BSUID), parent_identity("AR.1")],
    ),
    "parent's user id alone": (
        {"from_parent_user_id": "AR.ENT.1"},
        {},
        [parent_identity("AR.ENT.1")],
    ),
    "`from` and `wa_id` differ": ({"from": ANA}, {"wa_id": "541155550001"}, [*ANA_IDENTITIES]),
    "numbers": ({"from": 5491155550001}, {"wa_id": 5491155550001}, [*ANA_IDENTITIES]),
    "blanks around": ({"from": f" {ANA} "}, {"wa_id": ANA}, [*ANA_IDENTITIES]),
    "another country's": ({"from": "14155550001"}, {}, [phone_identity("14155550001")]),
    "Mexico's": (
        {"from": "5215512345678"},
        {},
        [phone_identity("5215512345678"), phone_identity("525512345678")],
    ),
    "Brazil's": (
        {"from": "551187654321"},
        {},
        [phone_identity("551187654321"), phone_identity("5511987654321")],
    ),
    "Brazil's landline": ({"from": "551132654321"}, {}, [phone_identity("551132654321")]),
    "written for people": ({"from": f"+{ANA}"}, {}, [phone_identity(f"+{ANA}"), *ANA_IDENTITIES]),
    "a sample's": ({"from": "PHONE_NUMBER"}, {}, [phone_identity("PHONE_NUMBER")]),
    "no string": ({"from": ["1"], "from_user_id": True}, {"wa_id": ANA}, [*ANA_IDENTITIES]),
}


@pytest.mark.parametrize(("ids", "contact", "identities"), SENDERS.values(), ids=SENDERS)
def test_sender_has_every_identity_with_the_phone_first(
    ids: Object, contact: Object, identities: Sequence[Identity]
) -> None:
    sent = without(HOLA, "from") | ids

    message = parse_message(message_delivery(sent, contacts=[contact_entry("Ana", **contact)]))

    assert message.sender == Sender(identities=tuple(identities), name="Ana")
    assert message.thread_external_id == f"wa:{PHONE_NUMBER_ID}:{identities[0].value}"
    assert parse_message(message.payload) == message


def requested_card(*phones: Json, origin: Json = "contact_request") -> Object:
    return {"origin": origin, "vcard": "BEGIN:VCARD", "phones": list(phones)}


ANA_PHONE = {"phone": "+54 9 11 5555-0001", "wa_id": ANA}


OTHER_PHONE = {"phone": "+54 9 11 5555-0009", "wa_id": "5491155550009"}


REQUESTED_NUMBERS: dict[str, tuple[list[Json], tuple[Identity, ...]]] = {
    "number": ([requested_card(ANA_PHONE)], ANA_IDENTITIES),
    "number without `wa_id`": ([requested_card({"phone": "+54 (9) 11 5555-0001"})], ANA_IDENTITIES),
    "number that is a number": ([requested_card({"wa_id": int(ANA)})], ANA_IDENTITIES),
    "number twice": (
        [requested_card(ANA_PHONE, ANA_PHONE), requested_card(ANA_PHONE)],
        ANA_IDENTITIES,
    ),
    "number in both forms": (
        [requested_card(ANA_PHONE, {"wa_id": "541155550001"})],
        ANA_IDENTITIES,
    ),
    "number beside another person's": (
        [requested_card(OTHER_PHONE, origin="other"), requested_card(ANA_PHONE)],
        ANA_IDENTITIES,
    ),
    "number beside a local one": (
        [requested_card(ANA_PHONE, {"phone": "011 15-5555-0001"})],
        ANA_IDENTITIES,
    ),
    "two numbers": ([requested_card(ANA_PHONE, OTHER_PHONE)], ()),
    "numbers of two": ([requested_card(ANA_PHONE), requested_card(OTHER_PHONE)], ()),
    "another person's": ([requested_card(ANA_PHONE, origin="other")], ()),
    "card of no origin": ([requested_card(ANA_PHONE, origin=None)], ()),
    "local number": ([requested_card({"phone": "011 15-5555-0001"})], ()),
    "user id": ([requested_card({"wa_id": "AR.1"})], ()),
    "no number": ([requested_card(None, {}, {"phone": None}, [])], ()),
    "no card": ([None, "x"], ()),
}


@pytest.mark.parametrize(("cards", "ids"), REQUESTED_NUMBERS.values(), ids=REQUESTED_NUMBERS)
def test_sender_has_the_number_that_the_business_requested(
    cards: list[Json], ids: tuple[Identity, ...]
) -> None:
    sent = message_from_ana(type="contacts", contacts=cards, from_user_id=BSUID)
    hidden = without(sent, "from")

    message = parse_message(
        message_delivery(hidden, contacts=[contact_entry("Ana", user_id=BSUID)])
    )

    assert message.sender.identities == (user_identity(BSUID), *ids)
    assert message.thread_external_id == f"wa:{PHONE_NUMBER_ID}:{BSUID}"
    assert parse_message(message.payload) == message


@pytest.mark.parametrize(
    ("phone", "requested"), [(ANA_PHONE, ()), (OTHER_PHONE, (phone_identity("5491155550009"),))]
)
def test_number_of_the_sender_comes_before_a_requested_one(
    phone: Object, requested: tuple[Identity, ...]
) -> None:
    sent = message_from_ana(type="contacts", contacts=[requested_card(phone)])

    ids = parse_message(message_delivery(sent)).sender.identities

    assert ids[: len(ANA_IDENTITIES) + len(requested)] == (*ANA_IDENTITIES, *requested)
    assert len(ids) == len(set(ids))


def test_contact_card_under_another_type_gives_no_number() -> None:
    sent = message_from_ana(
        type="text", text={"body": "hola"}, contacts=[requested_card(OTHER_PHONE)]
    )

    assert parse_message(message_delivery(sent)).sender.identities == ANA_IDENTITIES


BEA_CONTACT = contact_entry("Bea", wa_id="5491155550002")


CONTACT_NAMES: dict[str, tuple[Json, str]] = {
    "name": ([ANA_CONTACT], "Ana"),
    "blanks around": ([contact_entry(" Ana B ", wa_id=ANA)], "Ana B"),
    "after another's": ([BEA_CONTACT, ANA_CONTACT], "Ana"),
    "id is a number": ([BEA_CONTACT, contact_entry("Ana", wa_id=int(ANA))], "Ana"),
    "after a null": ([None, ANA_CONTACT], "Ana"),
    "not listed": (ANA_CONTACT, "Ana"),
    "others' names": ([BEA_CONTACT, contact_entry("Caro", user_id="AR.3")], ""),
    "no profile": ([{"wa_id": ANA}], ""),
    "profile is null": ([{"wa_id": ANA, "profile": None}], ""),
    "profile is a string": ([{"wa_id": ANA, "profile": "Ana"}], ""),
    "name is null": ([{"wa_id": ANA, "profile": {"name": None}}], ""),
    "username": ([{"wa_id": ANA, "profile": {"username": "@ana"}}], ""),
    "contacts are null": (None, ""),
    "contacts are none": ([], ""),
    "contacts are a string": ("Ana", ""),
}


@pytest.mark.parametrize(("contacts", "name"), CONTACT_NAMES.values(), ids=CONTACT_NAMES)
def test_name_is_that_of_the_senders_entry_in_contacts(contacts: Json, name: str) -> None:
    message = parse_message(message_delivery(HOLA, contacts=contacts))

    assert message.sender == Sender(identities=ANA_IDENTITIES, name=name)
    assert parse_message(message.payload) == message


def test_entries_of_contacts_are_matched_by_id_not_by_order() -> None:
    ids = [{"from": "1"}, {"from_user_id": "AR.2"}, {"from": "AR.3"}, {"from": "4"}]
    messages = [
        without(HOLA, "from") | message_ids | {"id": f"wamid.{n}"}
        for n, message_ids in enumerate(ids)
    ]
    contacts = [
        contact_entry("Caro", user_id="AR.3"),
        contact_entry("Bea", wa_id="2", user_id="AR.2"),
        contact_entry("Ana", wa_id="1", user_id="AR.1"),
    ]

    parsed = parse_readable_messages(message_delivery(*messages, contacts=contacts))

    assert [m.sender for m in parsed] == [
        Sender(identities=(phone_identity("1"), user_identity("AR.1")), name="Ana"),
        Sender(identities=(phone_identity("2"), user_identity("AR.2")), name="Bea"),
        Sender(identities=(user_identity("AR.3"),), name="Caro"),
        Sender(identities=(phone_identity("4"),)),
    ]
    assert [parse_messages(m.payload) for m in parsed] == [[m] for m in parsed]
    entries = [m.payload["entry"][0]["changes"][0]["value"]["contacts"] for m in parsed]
    assert entries == [[contacts[2]], [contacts[1]], [contacts[0]], [{}]]


def test_single_entry_of_contacts_matches_by_id_where_several_people_write() -> None:
    messages = [HOLA | {"from": "1", "id": "wamid.1"}, HOLA | {"from": "2", "id": "wamid.2"}]

    parsed = parse_readable_messages(
        message_delivery(*messages, contacts=[contact_entry("Ana", wa_id="2")])
    )

    assert [(m.external_id, m.sender.name) for m in parsed] == [
        ("wamid.1", ""),
        ("wamid.2", "Ana"),
    ]


def test_single_entry_of_contacts_matches_every_message_of_one_person() -> None:
    messages = [HOLA, HOLA | {"id": "wamid.2"}]

    parsed = parse_readable_messages(
        message_delivery(*messages, contacts=[contact_entry("Ana", wa_id="541155550001")])
    )

    assert [m.sender.name for m in parsed] == ["Ana", "Ana"]
