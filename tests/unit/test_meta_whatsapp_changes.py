"""WhatsApp changes of messages: edits, unsends, reactions; and what all changes have in common."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel
from domain.message import Direction
from tests.support.arbitrary_json import list_paths, replace_at
from tests.support.builders import NOON
from tests.support.payloads import (
    ANA,
    ANA_CONTACT,
    HOLA,
    METADATA,
    PHONE_NUMBER_ID,
    SENT_AT,
    SENT_AT_SECONDS,
    WABA_ID,
    Json,
    Object,
    count_ignored_items,
    message_delivery,
    parse_change,
    parse_changes,
    parse_messages,
    whatsapp_change,
    whatsapp_delivery,
    without,
)
from tests.support.whatsapp_payloads import (
    BSUID,
    ECHO,
    EDIT,
    NEW_NUMBER,
    REACTION,
    REVOKE,
    STOP,
    USER_ID_UPDATE,
    count_unknown_event,
    echo_change,
    edit_item,
    item_from_ana,
    preference_change,
    reaction_item,
    system_item,
    user_id_update_change,
)


def test_edit_has_the_new_text() -> None:
    assert parse_change(message_delivery(EDIT)) == IncomingChange(
        address=Address(Channel.WHATSAPP, PHONE_NUMBER_ID),
        external_id="wamid.new",
        kind=ChangeKind.EDIT,
        sent_at=SENT_AT,
        message_id="wamid.hola",
        content={"body": "adiós"},
        payload={
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": WABA_ID,
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": METADATA,
                                "contacts": [ANA_CONTACT],
                                "messages": [EDIT],
                            },
                        }
                    ],
                }
            ],
        },
    )


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ({"type": "text", "text": {"body": " a\n"}}, " a\n"),
        ({"text": {"body": "adiós"}, "context": {"id": "M0"}}, "adiós"),
        ({"type": "image", "image": {"caption": "otra"}}, "otra"),
        ({"type": "image", "image": {"id": "1"}}, "[image]"),
        ({"type": "video", "video": None}, "[video]"),
        ({"type": "document", "document": {"filename": "a.pdf"}}, "[document]"),
        ({"type": "text", "text": {}}, "[text]"),
        ({"type": "hologram"}, "[hologram]"),
    ],
)
def test_edit_of_a_caption_has_text_or_placeholder(message: Object, body: str) -> None:
    assert parse_change(message_delivery(edit_item(**message))).content == {"body": body}


def test_revoke_is_an_unsend_without_text() -> None:
    change = parse_change(message_delivery(REVOKE))

    assert (change.kind, change.message_id) == (ChangeKind.UNSEND, "wamid.hola")
    assert (change.external_id, change.sent_at) == ("wamid.new", SENT_AT)
    assert (change.content, change.person) == ({"body": "[deleted]"}, None)


@pytest.mark.parametrize(
    ("part", "emoji"),
    [
        ({"emoji": "👍🏽"}, "👍🏽"),
        ({}, None),
        ({"emoji": ""}, None),
        ({"emoji": None}, None),
        ({"emoji": {"a": 1}}, None),
        ({"emoji": "x" * 1000}, "x" * 64),
    ],
)
def test_reaction_has_emoji_unless_taken_back(part: Object, emoji: str | None) -> None:
    change = parse_change(message_delivery(reaction_item(**part)))

    assert (change.kind, change.message_id) == (ChangeKind.REACTION, "wamid.hola")
    assert change.content == {"emoji": emoji, "by": Direction.INBOUND}


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (item_from_ana("edit"), "edit without text"),
        (item_from_ana("edit", edit=None), "edit without text"),
        (edit_item(), "edit without text"),
        (item_from_ana("edit", edit={"message": {"type": "image"}}), "edit without message"),
        (item_from_ana("revoke"), "unsend without message"),
        (item_from_ana("revoke", revoke={"original_message_id": [" "]}), "unsend without message"),
        (item_from_ana("reaction", reaction={"emoji": "👍"}), "reaction without message"),
        (reaction_item(message_id="w" * 513), "reaction with an id too long"),
        (REVOKE | {"id": "w" * 513}, "unsend with an id too long"),
        (system_item("user_changed_number"), "identity without a new one"),
        (system_item("user_changed_number", wa_id=None), "identity without a new one"),
        (system_item("user_changed_number", wa_id="5" * 513), "identity with an id too long"),
        (system_item("user_changed_user_id", wa_id=["1"]), "identity without a new one"),
        (system_item("user_changed_planet", wa_id=NEW_NUMBER), "system: user_changed_planet"),
        (item_from_ana("system"), "system: none"),
        (item_from_ana("system", system=None), "system: none"),
    ],
)
def test_change_without_target_is_ignored_and_hides_no_change(item: Object, name: str) -> None:
    assert count_ignored_items(message_delivery(item)) == count_unknown_event(name)
    assert parse_changes(message_delivery(item, EDIT)) == [parse_change(message_delivery(EDIT))]


def test_change_with_ids_of_512_characters_is_accepted() -> None:
    change = parse_change(message_delivery(reaction_item(message_id="w" * 512) | {"id": "x" * 512}))

    assert (change.message_id, change.external_id) == ("w" * 512, "x" * 512)


@pytest.mark.parametrize(
    ("item", "make_change"), [(STOP, preference_change), (USER_ID_UPDATE, user_id_update_change)]
)
def test_change_id_is_derived_the_same_for_a_repeat_only(item: Object, make_change: Any) -> None:
    def derive_id(to: str = PHONE_NUMBER_ID, **parts: Json) -> str:
        return parse_change(whatsapp_delivery(make_change(item | parts, to=to))).external_id

    assert derive_id() == derive_id()
    assert len(derive_id()) < 64
    assert (
        len(
            {
                derive_id(),
                derive_id(to="1002"),
                derive_id(wa_id=NEW_NUMBER),
                derive_id(timestamp=SENT_AT_SECONDS + 1),
            }
        )
        == 4
    )


def test_derived_ids_of_several_kinds_of_change_differ() -> None:
    items = [without(item, "id") for item in (EDIT, REVOKE, REACTION)]

    changes = parse_changes(message_delivery(*items))

    assert [change.external_id.split(":")[0] for change in changes] == [
        "edit",
        "unsend",
        "reaction",
    ]
    assert len({change.external_id for change in changes}) == 3


@pytest.mark.parametrize("timestamp", [None, "yesterday", "0"])
def test_time_of_a_change_without_time_is_that_of_arrival(timestamp: Json) -> None:
    assert (
        parse_change(whatsapp_delivery(preference_change(STOP | {"timestamp": timestamp}))).sent_at
        == NOON
    )


MIXED_DELIVERY = whatsapp_delivery(
    whatsapp_change(
        HOLA, EDIT, REVOKE, REACTION, system_item("user_changed_number", wa_id=NEW_NUMBER)
    ),
    user_id_update_change(USER_ID_UPDATE),
    preference_change(STOP),
    echo_change(ECHO, EDIT | {"to": ANA}, REVOKE | {"to": ANA}, REACTION | {"to": ANA}),
)


def test_payload_of_a_change_holds_only_that_change() -> None:
    changes = parse_changes(MIXED_DELIVERY)

    assert len(changes) == 10
    for change in changes:
        assert parse_changes(change.payload) == [change]
        assert parse_messages(change.payload) == []


ODD_PARTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([[], {}, [None], [{}], {"a": 1}, "5" * 600, BSUID, "AR.ENT.1", "stop", "edit"]),
)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_arbitrary_part_of_an_entry_loses_nothing_beside_it(data: st.DataObject) -> None:
    (entry,) = MIXED_DELIVERY["entry"]
    path = data.draw(st.sampled_from(list(list_paths(entry))))
    changed_entry = replace_at(entry, path, data.draw(ODD_PARTS))

    changes = parse_changes(MIXED_DELIVERY | {"entry": [changed_entry, entry]})

    assert changes[-10:] == parse_changes(MIXED_DELIVERY)
    for change in changes[:-10]:
        assert parse_changes(change.payload) == [change]
