"""WhatsApp contacts who stop or resume marketing messages."""

import pytest

from domain.change import ChangeKind
from domain.contact import Identity, Sender
from tests.support.builders import parent_identity, user_identity
from tests.support.payloads import (
    SENT_AT,
    Object,
    count_ignored_items,
    parse_change,
    parse_changes,
    whatsapp_delivery,
    without,
)
from tests.support.whatsapp_payloads import (
    ANA_IDENTITIES,
    BSUID,
    NEW_NUMBER,
    NEW_NUMBER_IDENTITIES,
    STOP,
    count_unknown_event,
    preference_change,
)


@pytest.mark.parametrize(
    ("value", "content"), [("stop", {"marketing": False}), ("resume", {"marketing": True})]
)
@pytest.mark.parametrize(
    ("ids", "identities"),
    [
        ({}, ANA_IDENTITIES),
        ({"user_id": BSUID}, (*ANA_IDENTITIES, user_identity(BSUID))),
        ({"wa_id": None, "user_id": BSUID}, (user_identity(BSUID),)),
        ({"wa_id": BSUID}, (user_identity(BSUID),)),
        (
            {"wa_id": BSUID, "parent_user_id": "AR.1"},
            (user_identity(BSUID), parent_identity("AR.1")),
        ),
    ],
)
def test_consent_is_given_or_refused_by_a_contact(
    value: str, content: Object, ids: Object, identities: tuple[Identity, ...]
) -> None:
    change = parse_change(
        whatsapp_delivery(preference_change(STOP | {"value": value} | ids, contacts=[]))
    )

    assert change.kind is ChangeKind.CONSENT
    assert change.content == content
    assert change.person == Sender(identities=identities)
    assert (change.message_id, change.sent_at) == (None, SENT_AT)


def test_consent_without_ids_is_that_of_its_contact() -> None:
    change = parse_change(whatsapp_delivery(preference_change(without(STOP, "wa_id"))))

    assert change.person == Sender(identities=ANA_IDENTITIES)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({"value": "pause"}, "user_preferences: marketing_messages pause"),
        ({"value": None}, "user_preferences: marketing_messages"),
        ({"category": "utility_messages"}, "user_preferences: utility_messages stop"),
        ({"wa_id": None}, "consent without person"),
        ({"wa_id": "5" * 513}, "consent with an id too long"),
    ],
)
def test_unknown_preference_is_reported_by_name(parts: Object, name: str) -> None:
    delivery = whatsapp_delivery(preference_change(STOP | parts, contacts=None))

    assert count_ignored_items(delivery) == count_unknown_event(name)
    assert parse_changes(delivery) == []


def test_every_preference_of_a_change_is_read() -> None:
    items = [STOP, None, STOP | {"wa_id": NEW_NUMBER, "value": "resume"}]

    changes = parse_changes(whatsapp_delivery(preference_change(*items)))

    assert [(change.person, change.content["marketing"]) for change in changes] == [
        (Sender(identities=ANA_IDENTITIES), False),
        (Sender(identities=NEW_NUMBER_IDENTITIES), True),
    ]
