"""Instagram changes: edits, unsends, reactions and echoes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.message import Direction
from interfaces.meta.parsed import IgnoredItem
from tests.support.arbitrary_json import ANY_JSON, THOROUGH, list_paths, replace_at
from tests.support.instagram_payloads import (
    CHANGES,
    ECHO,
    OTHER_ENVELOPES,
    PHOTO_PART,
    UNSEND,
    account_item,
    edit_item,
    parse_all_items,
    reaction_item,
)
from tests.support.payloads import (
    ACCOUNT_ID,
    IVO,
    MID,
    SENT_AT,
    SENT_AT_SECONDS,
    Json,
    Object,
    bare_sample,
    direct_message,
    instagram_delivery,
    instagram_item,
    parse_change,
    without,
)

ADDRESS = Address(Channel.INSTAGRAM, ACCOUNT_ID)


def parse_only_change(event: Json) -> IncomingChange:
    (change,) = parse_all_items(instagram_delivery(event))
    assert isinstance(change, IncomingChange)
    return change


@pytest.mark.parametrize(
    ("num_edit", "external_id"),
    [
        (1, f"edit:{MID}:1"),
        ("1", f"edit:{MID}:1"),
        (" 02 ", f"edit:{MID}:2"),
        (999_999_999, f"edit:{MID}:999999999"),
    ],
)
def test_edit_has_the_new_text(num_edit: Json, external_id: str) -> None:
    event = edit_item(" adiós\n", num_edit)

    assert parse_only_change(event) == IncomingChange(
        address=ADDRESS,
        external_id=external_id,
        kind=ChangeKind.EDIT,
        sent_at=SENT_AT,
        message_id=MID,
        content={"body": " adiós\n"},
        payload=instagram_delivery(event),
    )


@pytest.mark.parametrize("num_edit", [None, {}, 1.5])
def test_edit_without_number_derives_its_id_from_the_text(num_edit: Json) -> None:
    first, again, other = (
        parse_only_change(edit_item(text, num_edit)) for text in ("uno", "uno", "dos")
    )

    assert (first.content, other.content) == ({"body": "uno"}, {"body": "dos"})
    assert first.external_id == again.external_id != other.external_id


@pytest.mark.parametrize("flag", [True, "true", 1])
@pytest.mark.parametrize(
    "event", [direct_message(), account_item(message={"mid": MID, "is_echo": True})]
)
def test_unsend_has_no_text(event: Object, flag: Json) -> None:
    unsend = replace_at(event, ("message",), event["message"] | {"is_deleted": flag, **PHOTO_PART})

    assert parse_only_change(unsend) == IncomingChange(
        address=ADDRESS,
        external_id=f"unsend:{MID}",
        kind=ChangeKind.UNSEND,
        sent_at=SENT_AT,
        message_id=MID,
        content={"body": ""},
        payload=instagram_delivery(unsend),
    )


@pytest.mark.parametrize(
    ("parts", "emoji"),
    [
        ({}, "❤️"),
        ({"emoji": None}, "love"),
        ({"emoji": " ", "reaction": "haha"}, "haha"),
        ({"emoji": None, "reaction": None}, "other"),
        ({"action": None}, "❤️"),
        ({"action": "unreact"}, None),
        ({"action": "unreact", "emoji": None, "reaction": None}, None),
        ({"emoji": "x" * 5000}, "x" * 64),
    ],
)
def test_reaction_has_emoji_or_name_unless_taken_back(parts: Object, emoji: str | None) -> None:
    event = reaction_item(**parts)
    change = parse_only_change(event)

    assert change == IncomingChange(
        address=ADDRESS,
        external_id=change.external_id,
        kind=ChangeKind.REACTION,
        sent_at=SENT_AT,
        message_id=MID,
        content={"emoji": emoji, "by": Direction.INBOUND},
        payload=instagram_delivery(event),
    )


def test_reaction_of_the_account_is_outbound() -> None:
    change = parse_only_change(account_item(**without(reaction_item(), "sender", "recipient")))

    assert change.content == {"emoji": "❤️", "by": Direction.OUTBOUND}


def test_reaction_id_is_derived_the_same_for_a_repeat_only() -> None:
    derived_id = parse_only_change(reaction_item()).external_id

    (repeat,) = parse_all_items(instagram_delivery(reaction_item(), under="standby", time=1))
    assert isinstance(repeat, IncomingChange)
    assert repeat.external_id == derived_id
    assert derived_id.startswith("derived:")
    assert derived_id not in {
        parse_only_change(reaction_item(mid="aWdfZAG1b")).external_id,
        parse_only_change(reaction_item(emoji="👍")).external_id,
        parse_only_change(reaction_item(action="unreact")).external_id,
        parse_only_change(reaction_item() | {"sender": {"id": "960000000000002"}}).external_id,
        parse_only_change(reaction_item() | {"timestamp": SENT_AT_SECONDS * 1000 + 1}).external_id,
    }


def test_echo_is_a_message_of_the_account_to_its_recipient() -> None:
    assert parse_only_change(ECHO) == IncomingChange(
        address=ADDRESS,
        external_id=MID,
        kind=ChangeKind.ECHO,
        sent_at=SENT_AT,
        person=Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, IVO),)),
        content={"kind": "text", "body": "¡hola, Ivo!", "content": {}},
        payload=instagram_delivery(ECHO),
    )


@pytest.mark.parametrize("flag", [True, "true", 1])
def test_echo_without_text_has_kind_and_content(flag: Json) -> None:
    content = parse_only_change(
        account_item(message={"mid": MID, "is_echo": flag, **PHOTO_PART})
    ).content

    assert content == {
        "kind": "image",
        "body": "",
        "content": {"attachments": [{"type": "image", "url": "https://cdn.example/1"}]},
    }


@pytest.mark.parametrize(
    ("event", "body"),
    [
        (edit_item(), "adiós"),
        (UNSEND, "[deleted]"),
        (ECHO, "¡hola, Ivo!"),
        (account_item(message={"mid": MID, "is_echo": True, **PHOTO_PART}), "[image]"),
    ],
)
def test_every_change_of_a_text_gets_a_body(event: Object, body: str) -> None:
    assert parse_change(instagram_delivery(event)).content["body"] == body


def test_echo_id_is_derived_where_meta_sends_none() -> None:
    echo = account_item(message={"text": "¡hola, Ivo!", "is_echo": True})
    derived_id = parse_only_change(echo).external_id

    assert derived_id.startswith("derived:")
    assert (
        parse_only_change(echo | {"recipient": {"id": "960000000000002"}}).external_id != derived_id
    )


@pytest.mark.parametrize("event", CHANGES.values(), ids=CHANGES)
def test_payload_of_a_change_holds_only_that_change(event: Object) -> None:
    (_, _, change) = parse_all_items(
        instagram_delivery(direct_message(text="hola"), instagram_item(read={}), standby=[event])
    )

    assert isinstance(change, IncomingChange)
    assert change.payload == instagram_delivery(event)
    assert parse_all_items(change.payload) == [change]


@pytest.mark.parametrize("event", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    "field",
    [
        "messages",
        "messaging_postbacks",
        "standby",
        "message_echoes",
        "message_edit",
        "message_reactions",
    ],
)
@pytest.mark.parametrize("envelope", OTHER_ENVELOPES)
def test_change_is_the_same_in_every_envelope(
    event: Object, field: str, envelope: Callable[[str, Json], Json]
) -> None:
    (change,) = parse_all_items(envelope(field, event))

    assert isinstance(change, IncomingChange)
    if envelope is not bare_sample:
        assert replace(change, payload={}) == replace(parse_only_change(event), payload={})
    assert change.payload["entry"][0]["messaging"] == [event]
    assert parse_all_items(change.payload) == [change]


def test_echo_belongs_to_its_sender_where_the_entry_has_no_id() -> None:
    for event in (ECHO, CHANGES["unsent echo"]):
        (change,) = parse_all_items(bare_sample("messages", event))

        assert isinstance(change, IncomingChange)
        assert change.address == ADDRESS
        assert change.payload["entry"][0]["id"] == ACCOUNT_ID


@pytest.mark.parametrize("field", ["message_echoes", "message_edit", "message_reactions"])
@pytest.mark.parametrize(
    "event", [direct_message(text="hola"), instagram_item(postback={"title": "Ver precios"})]
)
@pytest.mark.parametrize("envelope", OTHER_ENVELOPES)
def test_message_under_a_field_of_changes_is_unknown(
    event: Object, field: str, envelope: Callable[[str, Json], Json]
) -> None:
    assert parse_all_items(envelope(field, event)) == [
        IgnoredItem("unknown", "instagram", "event", f"message under {field}")
    ]
    to_itself = direct_message(text="hola", is_self=True)
    assert parse_all_items(envelope(field, to_itself)) == parse_all_items(
        instagram_delivery(to_itself)
    )


@given(st.data())
@THOROUGH
def test_arbitrary_part_of_a_change_loses_no_change_beside_it(data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(list(CHANGES.values())))
    path = data.draw(st.sampled_from(list(list_paths(event))))
    changed_event = replace_at(event, path, data.draw(ANY_JSON))

    *items, last = parse_all_items(instagram_delivery(changed_event, event))

    assert last == parse_only_change(event)
    assert items
    for item in items:
        if isinstance(item, IgnoredItem):
            assert item.name
        else:
            assert item in parse_all_items(item.payload)
