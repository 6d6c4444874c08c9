"""WhatsApp conversations in which another app or Meta's Business Agent answers: field `standby`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.change import ChangeKind
from interfaces.meta.parsed import IgnoredItem
from tests.support.arbitrary_json import ANY_JSON, THOROUGH, list_paths, replace_at
from tests.support.builders import parent_identity, user_identity
from tests.support.payloads import (
    ANA_CONTACT,
    HOLA,
    METADATA,
    Json,
    Object,
    count_ignored_items,
    message_delivery,
    parse_change,
    parse_changes,
    parse_message,
    parse_messages,
    parse_readable_messages,
    whatsapp_change,
    whatsapp_delivery,
    without,
)
from tests.support.whatsapp_payloads import (
    ANA_IDENTITIES,
    BSUID,
    EDIT,
    NEW_NUMBER,
    NEW_NUMBER_IDENTITIES,
    REACTION,
    REVOKE,
    STATUS,
    contact_entry,
)

AGENT_MESSAGE: Object = {
    "to": ANA_CONTACT["wa_id"],
    "type": "text",
    "text": {"body": "¿en qué te ayudo?"},
}
AGENT_ECHO: Object = {
    "id": "wamid.agent",
    "timestamp": HOLA["timestamp"],
    "message": AGENT_MESSAGE,
}


def standby_delivery(
    field: str = "standby", outer: Object | None = None, **standby: Json
) -> Object:
    """A delivery with a part `standby`; `outer` has the parts beside it."""
    value = {"contacts": None, **(outer or {}), "standby": standby}
    return whatsapp_delivery(whatsapp_change(field=field, **value))


def agent_echo(**message: Json) -> Object:
    """An echo with other members of its part `message`."""
    return AGENT_ECHO | {"message": AGENT_MESSAGE | message}


@pytest.mark.parametrize("field", ["standby", "messages"])
@pytest.mark.parametrize(
    "delivery",
    [
        standby_delivery(messages=[HOLA], contacts=[ANA_CONTACT]),
        standby_delivery(messages=[HOLA], outer={"contacts": [ANA_CONTACT]}),
        standby_delivery(
            messages=[HOLA], contacts=[ANA_CONTACT], outer={"contacts": [ANA_CONTACT]}
        ),
        standby_delivery(
            messages=[HOLA],
            contacts=[contact_entry("Ivo", wa_id="7")],
            outer={"contacts": [ANA_CONTACT]},
        ),
        standby_delivery(
            messages=HOLA, contacts=ANA_CONTACT, metadata=METADATA, outer={"metadata": None}
        ),
        whatsapp_delivery(whatsapp_change(HOLA)),
        whatsapp_delivery(whatsapp_change(HOLA, standby={})),
    ],
    ids=[
        "contacts inside",
        "beside",
        "in both",
        "in both, others",
        "metadata inside",
        "flat",
        "{}",
    ],
)
def test_message_in_standby_counts_as_one_in_messages(delivery: Object, field: str) -> None:
    delivery = replace_at(delivery, ("entry", 0, "changes", 0, "field"), field)
    message, expected = parse_message(delivery), parse_message(message_delivery(HOLA))

    for name in ("address", "external_id", "sender", "kind", "body", "content", "sent_at"):
        assert getattr(message, name) == getattr(expected, name)
    assert message.thread_external_id == expected.thread_external_id
    assert count_ignored_items(delivery) == {}
    assert parse_messages(message.payload) == [message]


def test_payload_of_a_message_is_in_the_same_field_and_part() -> None:
    change = parse_message(standby_delivery(messages=[HOLA], contacts=[ANA_CONTACT])).payload[
        "entry"
    ][0]["changes"][0]

    assert change == {
        "field": "standby",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": METADATA,
            "contacts": [ANA_CONTACT],
            "standby": {"messages": [HOLA]},
        },
    }


def test_message_without_an_id_is_the_same_in_messages_and_standby() -> None:
    message = without(HOLA, "id")

    in_standby = parse_message(standby_delivery(messages=[message], contacts=[ANA_CONTACT]))

    assert in_standby.external_id == parse_message(message_delivery(message)).external_id


def test_all_messages_beside_and_inside_are_read() -> None:
    inside = HOLA | {"id": "wamid.inside"}
    delivery = standby_delivery(
        messages=[inside], outer={"messages": [HOLA], "contacts": [ANA_CONTACT]}
    )

    assert [message.external_id for message in parse_readable_messages(delivery)] == [
        "wamid.hola",
        "wamid.inside",
    ]


@pytest.mark.parametrize("echo", [AGENT_ECHO, AGENT_ECHO | AGENT_MESSAGE | {"message": None}])
def test_echo_with_its_message_one_level_deeper(echo: Object) -> None:
    delivery = standby_delivery(message_echoes=[echo])
    change = parse_change(delivery)

    assert (change.kind, change.external_id) == (ChangeKind.ECHO, "wamid.agent")
    assert change.person
    assert change.person.identities == ANA_IDENTITIES
    assert change.content == {"kind": "text", "body": "¿en qué te ayudo?", "content": {}}
    assert parse_messages(delivery) == []
    assert count_ignored_items(delivery) == {}
    assert parse_changes(change.payload) == [change]


@pytest.mark.parametrize(
    ("message", "identities"),
    [
        ({"to": None, "recipient": BSUID}, (user_identity(BSUID),)),
        ({"to": None, "recipient": "AR.ENT.1"}, (parent_identity("AR.ENT.1"),)),
        ({"recipient": BSUID}, (*ANA_IDENTITIES, user_identity(BSUID))),
        ({"to_user_id": BSUID, "recipient": "AR.9"}, (*ANA_IDENTITIES, user_identity(BSUID))),
        ({"recipient": "somebody"}, ANA_IDENTITIES),
    ],
)
def test_recipient_of_an_echo_by_user_id(message: Object, identities: Json) -> None:
    person = parse_change(standby_delivery(message_echoes=[agent_echo(**message)])).person

    assert person
    assert person.identities == identities


def test_echo_takes_no_ids_of_a_contact_who_wrote() -> None:
    contact = ANA_CONTACT | {"user_id": BSUID}
    delivery = standby_delivery(
        contacts=[contact], messages=[HOLA], message_echoes=[agent_echo(to=NEW_NUMBER)]
    )
    person = parse_change(delivery).person

    assert person
    assert person.identities == NEW_NUMBER_IDENTITIES


def test_messages_find_their_contact_beside_an_echo_to_another_person() -> None:
    """A single entry of `contacts` belongs to the messages even where its id differs."""
    contact = contact_entry("Ana", wa_id="541155550001")
    delivery = standby_delivery(
        contacts=[contact], messages=[HOLA], message_echoes=[agent_echo(to=NEW_NUMBER)]
    )

    assert parse_message(delivery).sender.name == "Ana"


@pytest.mark.parametrize(
    ("item", "kind"),
    [(EDIT, ChangeKind.EDIT), (REVOKE, ChangeKind.UNSEND), (REACTION, ChangeKind.REACTION)],
)
def test_change_in_standby_is_one_in_messages(item: Object, kind: ChangeKind) -> None:
    change = parse_change(standby_delivery(messages=[item]))

    assert change.kind is kind
    assert parse_changes(change.payload) == [change]


@pytest.mark.parametrize(
    ("standby", "ignored"),
    [
        ({}, {}),
        ({"statuses": [STATUS, STATUS]}, {("ignored", "statuses"): 2}),
        ({"conversation_context": {"owner": "agent"}}, {("ignored", "conversation_context"): 1}),
        ({"tomorrow": [1]}, {("unknown", "tomorrow"): 1}),
        ({"message_echoes": [agent_echo(recipient_type="group")]}, {("ignored", "group"): 1}),
        (
            {"message_echoes": [AGENT_ECHO | {"message": None}]},
            {("unknown", "echo without person"): 1},
        ),
    ],
)
def test_other_parts_of_standby_do_not_count(
    standby: Object, ignored: dict[tuple[str, str], int]
) -> None:
    delivery = standby_delivery(**standby)

    assert parse_messages(delivery) == []
    assert parse_changes(delivery) == []
    assert {(item.verdict, item.name): n for item, n in count_ignored_items(delivery).items()} == (
        ignored
    )


@pytest.mark.parametrize("context", [{}, {"owner": "agent"}, [{"owner": "agent"}], "agent", None])
@pytest.mark.parametrize("field", ["messages", "standby"])
def test_conversation_context_beside_messages_is_no_unknown_part(field: str, context: Json) -> None:
    delivery = message_delivery(HOLA, field=field, conversation_context=context)

    assert parse_message(delivery).external_id == "wamid.hola"
    assert not any(item.verdict == "unknown" for item in count_ignored_items(delivery))


@pytest.mark.parametrize("standby", [None, "x", 7, [], ["x"], [None], {"messages": None}])
def test_standby_of_another_shape_loses_nothing_beside_it(standby: Json) -> None:
    delivery = message_delivery(HOLA, standby=standby)

    assert parse_message(delivery) == parse_message(message_delivery(HOLA))


GOOD_STANDBY = standby_delivery(
    contacts=[ANA_CONTACT], messages=[HOLA], message_echoes=[AGENT_ECHO], statuses=[STATUS]
)


@given(st.data())
@THOROUGH
def test_arbitrary_part_of_standby_loses_nothing_beside_it(data: st.DataObject) -> None:
    (entry,) = GOOD_STANDBY["entry"]
    path = data.draw(st.sampled_from(list(list_paths(entry))))
    part = data.draw(ANY_JSON)
    delivery = GOOD_STANDBY | {"entry": [replace_at(entry, path, part), entry]}

    messages, changes = parse_messages(delivery), parse_changes(delivery)

    assert messages[-1] == parse_message(GOOD_STANDBY)
    assert changes[-1] == parse_change(GOOD_STANDBY)
    assert [parse_messages(message.payload) for message in messages] == [[m] for m in messages]
    assert [parse_changes(change.payload) for change in changes] == [[c] for c in changes]


def test_handover_is_ignored() -> None:
    change = whatsapp_change(field="messaging_handovers", control_passed={})

    assert count_ignored_items(whatsapp_delivery(change)) == {
        IgnoredItem("ignored", "whatsapp", "field", "messaging_handovers"): 1
    }
