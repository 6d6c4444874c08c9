"""WhatsApp messages that the business sent itself."""

import pytest

from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel
from domain.contact import Identity, Sender
from domain.message import Direction
from interfaces.meta.parsed import IgnoredItem
from tests.support.builders import parent_identity, user_identity
from tests.support.payloads import (
    ANA,
    ANA_CONTACT,
    HOLA,
    METADATA,
    PHONE_NUMBER_ID,
    SENT_AT,
    Json,
    Object,
    count_ignored_items,
    parse_change,
    parse_changes,
    parse_messages,
    whatsapp_delivery,
    without,
)
from tests.support.whatsapp_payloads import (
    ANA_IDENTITIES,
    BSUID,
    ECHO,
    EDIT,
    REACTION,
    REVOKE,
    SHOP_NUMBER,
    count_unknown_event,
    echo_change,
)


@pytest.mark.parametrize("field", ["smb_message_echoes", "message_echoes"])
def test_echo_is_a_message_of_the_business_to_its_recipient(field: str) -> None:
    assert parse_change(whatsapp_delivery(echo_change(ECHO, field=field))) == IncomingChange(
        address=Address(Channel.WHATSAPP, PHONE_NUMBER_ID),
        external_id="wamid.ours",
        kind=ChangeKind.ECHO,
        sent_at=SENT_AT,
        person=Sender(identities=ANA_IDENTITIES),
        content={"kind": "text", "body": "hola", "content": {}},
        payload=whatsapp_delivery(
            {
                "field": field,
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": METADATA,
                    "contacts": [{}],
                    "message_echoes": [ECHO],
                },
            }
        ),
    )


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        (
            {"type": "image", "image": {"id": "1", "caption": "este"}},
            {"kind": "image", "body": "este", "content": {"media": {"id": "1"}}},
        ),
        (
            {"type": "document", "document": {"filename": "a.pdf"}},
            {
                "kind": "document",
                "body": "[document: a.pdf]",
                "content": {"media": {"filename": "a.pdf"}},
            },
        ),
        ({"type": "hologram"}, {"kind": "hologram", "body": "[hologram]", "content": {}}),
        ({"type": "text", "text": None}, {"kind": "text", "body": "[text]", "content": {}}),
    ],
)
def test_echo_has_kind_body_and_content_of_a_message(parts: Object, content: Object) -> None:
    assert parse_change(whatsapp_delivery(echo_change(ECHO | parts))).content == content


@pytest.mark.parametrize(
    ("parts", "contacts", "identities"),
    [
        ({"to_user_id": BSUID}, None, (*ANA_IDENTITIES, user_identity(BSUID))),
        ({"to": None, "to_user_id": BSUID}, None, (user_identity(BSUID),)),
        ({"to": None, "to_parent_user_id": "AR.1"}, None, (parent_identity("AR.1"),)),
        ({"to": BSUID}, None, (user_identity(BSUID),)),
        ({}, [ANA_CONTACT | {"user_id": BSUID}], (*ANA_IDENTITIES, user_identity(BSUID))),
        ({"to": None}, [ANA_CONTACT], ANA_IDENTITIES),
    ],
)
def test_recipient_of_an_echo_has_every_identity(
    parts: Object, contacts: Json, identities: tuple[Identity, ...]
) -> None:
    change = parse_change(whatsapp_delivery(echo_change(ECHO | parts, contacts=contacts)))

    assert change.person == Sender(identities=identities)


@pytest.mark.parametrize(
    ("item", "kind", "content"),
    [
        (EDIT, ChangeKind.EDIT, {"body": "adiós"}),
        (REVOKE, ChangeKind.UNSEND, {"body": "[deleted]"}),
        (REACTION, ChangeKind.REACTION, {"emoji": "👍", "by": Direction.OUTBOUND}),
    ],
)
def test_edit_unsend_and_reaction_of_the_business_are_changes(
    item: Object, kind: ChangeKind, content: Object
) -> None:
    change = parse_change(whatsapp_delivery(echo_change(item | {"from": SHOP_NUMBER, "to": ANA})))

    assert (change.kind, change.message_id) == (kind, "wamid.hola")
    assert (change.content, change.person) == (content, None)


@pytest.mark.parametrize(
    ("item", "ignored_item"),
    [
        (ECHO | {"group_id": "Z3"}, IgnoredItem("ignored", "whatsapp", "event", "group")),
        (
            ECHO | {"type": "unsupported", "unsupported": {"type": "pin"}},
            IgnoredItem("ignored", "whatsapp", "event", "unsupported: pin"),
        ),
        (without(ECHO, "to"), IgnoredItem("unknown", "whatsapp", "event", "echo without person")),
        (
            ECHO | {"id": "w" * 513},
            IgnoredItem("unknown", "whatsapp", "event", "echo with an id too long"),
        ),
        (
            ECHO | {"type": "system"},
            IgnoredItem("unknown", "whatsapp", "event", "echo without message"),
        ),
        (None, IgnoredItem("unknown", "whatsapp", "event", "echo without message")),
        ("hola", IgnoredItem("unknown", "whatsapp", "event", "echo without message")),
    ],
)
def test_echo_without_message_or_recipient_is_ignored_by_name(
    item: Json, ignored_item: IgnoredItem
) -> None:
    assert count_ignored_items(whatsapp_delivery(echo_change(item))) == {ignored_item: 1}
    assert parse_changes(whatsapp_delivery(echo_change(item, ECHO))) == [
        parse_change(whatsapp_delivery(echo_change(ECHO)))
    ]


def test_unknown_type_of_an_echo_is_reported_by_name() -> None:
    ignored_items = count_ignored_items(whatsapp_delivery(echo_change(ECHO | {"type": "hologram"})))

    assert ignored_items == {IgnoredItem("unknown", "whatsapp", "type", "hologram"): 1}


def test_messages_under_the_field_of_echoes_are_unknown() -> None:
    delivery = whatsapp_delivery(echo_change(messages=[HOLA]))

    assert parse_messages(delivery) == []
    assert parse_changes(delivery) == []
    assert count_ignored_items(delivery) == count_unknown_event("messages")
