"""WhatsApp contacts whose number or user id changes."""

import pytest

from domain.change import ChangeKind
from domain.connection import Address, Channel
from domain.contact import Identity, Sender
from tests.support.builders import parent_identity, phone_identity, user_identity
from tests.support.payloads import (
    ANA,
    ANA_CONTACT,
    PHONE_NUMBER_ID,
    SENT_AT,
    Json,
    Object,
    count_ignored_items,
    message_delivery,
    parse_change,
    whatsapp_delivery,
    without,
)
from tests.support.whatsapp_payloads import (
    ANA_IDENTITIES,
    BSUID,
    NEW_BSUID,
    NEW_NUMBER,
    NEW_NUMBER_IDENTITIES,
    USER_ID_UPDATE,
    count_unknown_event,
    identity_content,
    system_item,
    user_id_update_change,
)

SYSTEM_ITEMS: dict[str, tuple[Object, tuple[Identity, ...], tuple[Identity, ...]]] = {
    "number": (
        system_item("user_changed_number", wa_id=NEW_NUMBER),
        ANA_IDENTITIES,
        NEW_NUMBER_IDENTITIES,
    ),
    "number, as it was": (
        without(system_item("user_changed_number", new_wa_id=NEW_NUMBER, customer=ANA), "from"),
        ANA_IDENTITIES,
        NEW_NUMBER_IDENTITIES,
    ),
    "number, under its old name": (
        system_item("customer_changed_number", new_wa_id=NEW_NUMBER),
        ANA_IDENTITIES,
        NEW_NUMBER_IDENTITIES,
    ),
    "number, the old one in the text": (
        without(
            system_item(
                "user_changed_number", wa_id=NEW_NUMBER, body=f"x from {ANA} to {NEW_NUMBER}"
            ),
            "from",
        ),
        ANA_IDENTITIES,
        NEW_NUMBER_IDENTITIES,
    ),
    "number and user id": (
        system_item(
            "user_changed_number", wa_id=NEW_NUMBER, user_id=NEW_BSUID, parent_user_id="AR.ENT.2"
        )
        | {"from_user_id": BSUID, "from_parent_user_id": "AR.ENT.1"},
        (*ANA_IDENTITIES, user_identity(BSUID), parent_identity("AR.ENT.1")),
        (*NEW_NUMBER_IDENTITIES, user_identity(NEW_BSUID), parent_identity("AR.ENT.2")),
    ),
    "number and user ids, the old ones by name": (
        system_item(
            "user_changed_number",
            wa_id=NEW_NUMBER,
            user_id=NEW_BSUID,
            parent_user_id="AR.ENT.2",
            previous_user_id=BSUID,
            previous_parent_user_id="AR.ENT.1",
        ),
        (*ANA_IDENTITIES, user_identity(BSUID), parent_identity("AR.ENT.1")),
        (*NEW_NUMBER_IDENTITIES, user_identity(NEW_BSUID), parent_identity("AR.ENT.2")),
    ),
    "user id, the old one of the parent only": (
        without(
            system_item(
                "user_changed_user_id",
                user_id=NEW_BSUID,
                parent_user_id="AR.ENT.2",
                previous_parent_user_id="AR.ENT.1",
            ),
            "from",
        ),
        (parent_identity("AR.ENT.1"),),
        (user_identity(NEW_BSUID), parent_identity("AR.ENT.2")),
    ),
    "number in `from` already": (
        system_item("user_changed_number", wa_id=NEW_NUMBER, customer=ANA) | {"from": NEW_NUMBER},
        ANA_IDENTITIES,
        NEW_NUMBER_IDENTITIES,
    ),
    "a sample's": (
        system_item("user_changed_number", wa_id="NEW_NUMBER", customer="OLD")
        | {"from": "PHONE_NUMBER"},
        (phone_identity("PHONE_NUMBER"), phone_identity("OLD")),
        (phone_identity("NEW_NUMBER"),),
    ),
    "user id": (
        system_item("user_changed_user_id", user_id=NEW_BSUID, previous_user_id=BSUID),
        (*ANA_IDENTITIES, user_identity(BSUID)),
        (user_identity(NEW_BSUID),),
    ),
    "user id, the old one in `from_user_id`": (
        system_item("user_changed_user_id", user_id=NEW_BSUID) | {"from_user_id": BSUID},
        (*ANA_IDENTITIES, user_identity(BSUID)),
        (user_identity(NEW_BSUID),),
    ),
    "user id, the old one in the text": (
        without(
            system_item(
                "user_changed_user_id",
                user_id=NEW_BSUID,
                body=f"User Ana changed from {BSUID} to {NEW_BSUID}",
            ),
            "from",
        ),
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "user id, and a name that tells lies": (
        without(
            system_item(
                "user_changed_user_id",
                user_id=NEW_BSUID,
                body=f"User x changed from AR.9 to AR.8 changed from {BSUID} to {NEW_BSUID} ",
            ),
            "from",
        ),
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "user id, and a text without ids": (
        system_item("user_changed_user_id", user_id=NEW_BSUID, body="Ana moved from here to there"),
        ANA_IDENTITIES,
        (user_identity(NEW_BSUID),),
    ),
    "user id, the new one in `from_user_id`": (
        system_item("user_changed_user_id", user_id=NEW_BSUID, previous_user_id=BSUID)
        | {"from": None, "from_user_id": NEW_BSUID},
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "user id and number": (
        system_item("user_changed_user_id", user_id=NEW_BSUID, wa_id=NEW_NUMBER),
        ANA_IDENTITIES,
        (*NEW_NUMBER_IDENTITIES, user_identity(NEW_BSUID)),
    ),
    "user id and the same number": (
        system_item("user_changed_user_id", user_id=NEW_BSUID, wa_id=ANA),
        ANA_IDENTITIES,
        (*ANA_IDENTITIES, user_identity(NEW_BSUID)),
    ),
    "user id and parent's": (
        system_item("user_changed_user_id", user_id=NEW_BSUID, parent_user_id="AR.2"),
        ANA_IDENTITIES,
        (user_identity(NEW_BSUID), parent_identity("AR.2")),
    ),
    "user id where a number should be": (
        system_item("user_changed_user_id", wa_id=NEW_BSUID),
        ANA_IDENTITIES,
        (user_identity(NEW_BSUID),),
    ),
}


@pytest.mark.parametrize(("item", "old", "new"), SYSTEM_ITEMS.values(), ids=SYSTEM_ITEMS)
def test_system_message_replaces_old_identities_by_new_ones(
    item: Object, old: tuple[Identity, ...], new: tuple[Identity, ...]
) -> None:
    change = parse_change(message_delivery(item, contacts=None))

    assert (change.kind, change.external_id) == (ChangeKind.IDENTITY, "wamid.new")
    assert change.person == Sender(identities=old)
    assert change.content == identity_content(*new)
    assert (change.message_id, change.sent_at) == (None, SENT_AT)


def test_system_message_without_old_identity_is_unknown() -> None:
    item = without(system_item("user_changed_user_id", user_id=NEW_BSUID), "from")

    assert count_ignored_items(message_delivery(item, contacts=None)) == count_unknown_event(
        "identity without person"
    )


USER_ID_UPDATES: dict[str, tuple[Object, tuple[Identity, ...], tuple[Identity, ...]]] = {
    "user id": (
        USER_ID_UPDATE,
        (*ANA_IDENTITIES, user_identity(BSUID)),
        (user_identity(NEW_BSUID),),
    ),
    "user id of a hidden number": (
        without(USER_ID_UPDATE, "wa_id"),
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "parent's": (
        without(USER_ID_UPDATE, "user_id", "wa_id")
        | {"parent_user_id": {"previous": "AR.1", "current": "AR.2"}},
        (parent_identity("AR.1"),),
        (parent_identity("AR.2"),),
    ),
    "both": (
        USER_ID_UPDATE | {"parent_user_id": {"previous": "AR.ENT.1", "current": "AR.ENT.2"}},
        (*ANA_IDENTITIES, user_identity(BSUID), parent_identity("AR.ENT.1")),
        (user_identity(NEW_BSUID), parent_identity("AR.ENT.2")),
    ),
    "the first one": (
        USER_ID_UPDATE | {"user_id": {"current": NEW_BSUID}},
        ANA_IDENTITIES,
        (user_identity(NEW_BSUID),),
    ),
}


@pytest.mark.parametrize(("item", "old", "new"), USER_ID_UPDATES.values(), ids=USER_ID_UPDATES)
def test_user_id_update_replaces_old_identities_by_new_ones(
    item: Object, old: tuple[Identity, ...], new: tuple[Identity, ...]
) -> None:
    change = parse_change(whatsapp_delivery(user_id_update_change(item, contacts=None)))

    assert (change.kind, change.address) == (
        ChangeKind.IDENTITY,
        Address(Channel.WHATSAPP, PHONE_NUMBER_ID),
    )
    assert change.person == Sender(identities=old)
    assert change.content == identity_content(*new)
    assert change.sent_at == SENT_AT


def test_previous_user_id_of_the_item_precedes_that_of_its_contact() -> None:
    contacts = [ANA_CONTACT | {"user_id": "AR.9"}]

    change = parse_change(
        whatsapp_delivery(user_id_update_change(USER_ID_UPDATE, contacts=contacts))
    )

    assert change.person == Sender(identities=(*ANA_IDENTITIES, user_identity(BSUID)))


def test_user_id_update_without_old_id_uses_its_contact() -> None:
    item = USER_ID_UPDATE | {"wa_id": None, "user_id": {"current": NEW_BSUID}}
    contacts = [ANA_CONTACT | {"user_id": NEW_BSUID}]

    assert parse_change(
        whatsapp_delivery(user_id_update_change(item, contacts=contacts))
    ).person == Sender(identities=ANA_IDENTITIES)


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (without(USER_ID_UPDATE, "user_id"), "identity without a new one"),
        (USER_ID_UPDATE | {"user_id": NEW_BSUID}, "identity without a new one"),
        (USER_ID_UPDATE | {"user_id": {"previous": BSUID}}, "identity without a new one"),
        (USER_ID_UPDATE | {"wa_id": 7.5, "user_id": {"current": BSUID}}, "identity without person"),
        (None, "identity without a new one"),
    ],
)
def test_user_id_update_without_new_id_or_contact_is_unknown(item: Json, name: str) -> None:
    assert count_ignored_items(
        whatsapp_delivery(user_id_update_change(item, contacts=None))
    ) == count_unknown_event(name)
