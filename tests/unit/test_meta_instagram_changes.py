"""What people do on Instagram to what was said, and what nobody needs to hear of."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import InboundMessage
from domain.message import Direction
from interfaces.meta.instagram.parser import parse_items
from interfaces.meta.parsed import IgnoredItem, ParsedItem
from tests.support.builders import NOON
from tests.support.payloads import (
    ACCOUNT,
    IVO,
    MID,
    SECONDS,
    SENT_AT,
    Json,
    Object,
    bare,
    change_in,
    changed,
    dm,
    flat,
    instagram,
    item,
    without,
)
from tests.unit.test_json_values import ANYTHING, THOROUGH, paths, replaced

ADDRESS = Address(Channel.INSTAGRAM, ACCOUNT)


def ours(**event: Json) -> Object:
    """Something the account did, to Ivo."""
    return item(**event) | {"sender": {"id": ACCOUNT}, "recipient": {"id": IVO}}


def leaves_of(delivery: Json) -> list[ParsedItem]:
    entries = delivery.get("entry", [delivery])
    return [leaf for entry in entries for leaf in parse_items(entry, NOON)]


def change_of(event: Json) -> IncomingChange:
    (change,) = leaves_of(instagram(event))
    assert isinstance(change, IncomingChange)
    return change


def note_of(event: Json) -> IgnoredItem:
    (note,) = leaves_of(instagram(event))
    assert isinstance(note, IgnoredItem)
    return note


def edit(text: Json = "adiós", num_edit: Json = 1, mid: Json = MID) -> Object:
    return item(message_edit={"mid": mid, "text": text, "num_edit": num_edit})


def reaction(**parts: Json) -> Object:
    return item(reaction={"mid": MID, "action": "react", "reaction": "love", "emoji": "❤️"} | parts)


ECHO = ours(message={"mid": MID, "text": "¡hola, Ivo!", "is_echo": True})
UNSEND = dm(is_deleted=True)
PHOTO: Object = {"attachments": [{"type": "image", "payload": {"url": "https://cdn.example/1"}}]}


@pytest.mark.parametrize(
    ("num_edit", "external_id"),
    [
        *((1, f"edit:{MID}:1"), ("1", f"edit:{MID}:1"), (" 02 ", f"edit:{MID}:2")),
        (999_999_999, f"edit:{MID}:999999999"),
    ],
)
def test_an_edit_has_the_new_text(num_edit: Json, external_id: str) -> None:
    event = edit(" adiós\n", num_edit)

    assert change_of(event) == IncomingChange(
        address=ADDRESS,
        external_id=external_id,
        kind=ChangeKind.EDIT,
        sent_at=SENT_AT,
        message_id=MID,
        content={"body": " adiós\n"},
        payload=instagram(event),
    )


@pytest.mark.parametrize("num_edit", [None, {}, 1.5])
def test_an_edit_without_a_number_is_known_by_its_text(num_edit: Json) -> None:
    first, again, other = (change_of(edit(text, num_edit)) for text in ("uno", "uno", "dos"))

    assert (first.content, other.content) == ({"body": "uno"}, {"body": "dos"})
    assert first.external_id == again.external_id != other.external_id


@pytest.mark.parametrize("yes", [True, "true", 1])
@pytest.mark.parametrize("event", [dm(), ours(message={"mid": MID, "is_echo": True})])
def test_what_is_unsent_leaves_no_words(event: Object, yes: Json) -> None:
    unsent = replaced(event, ("message",), event["message"] | {"is_deleted": yes, **PHOTO})

    assert change_of(unsent) == IncomingChange(
        address=ADDRESS,
        external_id=f"unsend:{MID}",
        kind=ChangeKind.UNSEND,
        sent_at=SENT_AT,
        message_id=MID,
        content={"body": ""},
        payload=instagram(unsent),
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
def test_a_reaction_is_an_emoji_or_a_word_until_it_is_taken_back(
    parts: Object, emoji: str | None
) -> None:
    event = reaction(**parts)
    change = change_of(event)

    assert change == IncomingChange(
        address=ADDRESS,
        external_id=change.external_id,
        kind=ChangeKind.REACTION,
        sent_at=SENT_AT,
        message_id=MID,
        content={"emoji": emoji, "by": Direction.INBOUND},
        payload=instagram(event),
    )


def test_the_account_may_react_too() -> None:
    change = change_of(ours(**without(reaction(), "sender", "recipient")))

    assert change.content == {"emoji": "❤️", "by": Direction.OUTBOUND}


def test_a_reaction_has_an_id_that_only_a_repeat_derives() -> None:
    given = change_of(reaction()).external_id

    (repeat,) = leaves_of(instagram(reaction(), under="standby", time=1))
    assert isinstance(repeat, IncomingChange)
    assert repeat.external_id == given
    assert given.startswith("derived:")
    assert given not in {
        change_of(reaction(mid="aWdfZAG1b")).external_id,
        change_of(reaction(emoji="👍")).external_id,
        change_of(reaction(action="unreact")).external_id,
        change_of(reaction() | {"sender": {"id": "960000000000002"}}).external_id,
        change_of(reaction() | {"timestamp": SECONDS * 1000 + 1}).external_id,
    }


def test_an_echo_is_what_the_account_told_somebody() -> None:
    assert change_of(ECHO) == IncomingChange(
        address=ADDRESS,
        external_id=MID,
        kind=ChangeKind.ECHO,
        sent_at=SENT_AT,
        person=Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, IVO),)),
        content={"kind": "text", "body": "¡hola, Ivo!", "content": {}},
        payload=instagram(ECHO),
    )


@pytest.mark.parametrize("yes", [True, "true", 1])
def test_an_echo_without_words_has_its_kind_and_content(yes: Json) -> None:
    content = change_of(ours(message={"mid": MID, "is_echo": yes, **PHOTO})).content

    assert content == {
        "kind": "image",
        "body": "",
        "content": {"attachments": [{"type": "image", "url": "https://cdn.example/1"}]},
    }


@pytest.mark.parametrize(
    ("event", "body"),
    [
        (edit(), "adiós"),
        (UNSEND, "[deleted]"),
        (ECHO, "¡hola, Ivo!"),
        (ours(message={"mid": MID, "is_echo": True, **PHOTO}), "[image]"),
    ],
)
def test_what_has_no_words_gets_a_body_all_the_same(event: Object, body: str) -> None:
    assert change_in(instagram(event)).content["body"] == body


def test_an_echo_without_an_id_gets_one_that_a_repeat_derives() -> None:
    echo = ours(message={"text": "¡hola, Ivo!", "is_echo": True})
    given = change_of(echo).external_id

    assert given.startswith("derived:")
    assert change_of(echo | {"recipient": {"id": "960000000000002"}}).external_id != given


CHANGES = {
    "edit": edit(),
    "unsend": UNSEND,
    "unsent echo": ours(message={"mid": MID, "is_echo": True, "is_deleted": True}),
    "reaction": reaction(),
    "reaction taken back": reaction(action="unreact"),
    "our reaction": ours(reaction={"mid": MID, "action": "react", "emoji": "👍"}),
    "echo": ECHO,
    "echo of a story mention": ours(
        message={"mid": MID, "is_echo": True, "attachments": [{"type": "story_mention"}]}
    ),
}


@pytest.mark.parametrize("event", CHANGES.values(), ids=CHANGES)
def test_a_changes_payload_holds_it_alone_and_is_read_the_same(event: Object) -> None:
    (_, _, change) = leaves_of(instagram(dm(text="hola"), item(read={}), standby=[event]))

    assert isinstance(change, IncomingChange)
    assert change.payload == instagram(event)
    assert leaves_of(change.payload) == [change]


@pytest.mark.parametrize("event", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    "field",
    [
        *("messages", "messaging_postbacks", "standby"),
        *("message_echoes", "message_edit", "message_reactions"),
    ],
)
@pytest.mark.parametrize("envelope", [changed, flat, bare])
def test_a_change_may_come_in_many_envelopes(
    event: Object, field: str, envelope: Callable[[str, Json], Json]
) -> None:
    (change,) = leaves_of(envelope(field, event))

    assert isinstance(change, IncomingChange)
    if envelope is not bare:
        assert replace(change, payload={}) == replace(change_of(event), payload={})
    assert change.payload["entry"][0]["messaging"] == [event]
    assert leaves_of(change.payload) == [change]


def test_an_echo_belongs_to_its_sender_where_the_entry_has_no_name() -> None:
    for event in (ECHO, CHANGES["unsent echo"]):
        (change,) = leaves_of(bare("messages", event))

        assert isinstance(change, IncomingChange)
        assert change.address == ADDRESS
        assert change.payload["entry"][0]["id"] == ACCOUNT


@pytest.mark.parametrize("field", ["message_echoes", "message_edit", "message_reactions"])
@pytest.mark.parametrize("event", [dm(text="hola"), item(postback={"title": "Ver precios"})])
@pytest.mark.parametrize("envelope", [changed, flat, bare])
def test_nobody_sends_messages_under_the_fields_of_changes(
    event: Object, field: str, envelope: Callable[[str, Json], Json]
) -> None:
    assert leaves_of(envelope(field, event)) == [
        IgnoredItem("unknown", "instagram", "event", f"message under {field}")
    ]
    to_itself = dm(text="hola", is_self=True)
    assert leaves_of(envelope(field, to_itself)) == leaves_of(instagram(to_itself))


EVENTS: dict[str, tuple[Json, tuple[str, ...]]] = {
    name: (event, (reason, "instagram", "event", called))
    for name, event, reason, called in [
        ("new, announced", edit(num_edit=0), "ignored", "message_edit 0"),
        (
            "new, announced without names",
            {"timestamp": SECONDS, "message_edit": {"mid": MID, "num_edit": "0"}},
            "ignored",
            "message_edit 0",
        ),
        ("new, announced at length", edit(num_edit="00"), "ignored", "message_edit 0"),
        ("edit, endlessly often", edit(num_edit="9" * 5000), "unknown", "edit with an id too long"),
        ("edit is a string", item(message_edit="adiós"), "unknown", "edit without text"),
        ("edit without text", edit(text=" "), "unknown", "edit without text"),
        ("edit without message", edit(mid=None), "unknown", "edit without message"),
        ("edit, id too long", edit(mid="a" * 512), "unknown", "edit with an id too long"),
        (
            "unsend without message",
            dm(mid=" ", is_deleted=True),
            "unknown",
            "unsend without message",
        ),
        (
            "unsend, id too long",
            dm(mid="a" * 512, is_deleted=True),
            "unknown",
            "unsend with an id too long",
        ),
        ("reaction without message", reaction(mid=None), "unknown", "reaction without message"),
        (
            "reaction, id too long",
            reaction(mid="a" * 513),
            "unknown",
            "reaction with an id too long",
        ),
        ("reaction by nobody", reaction() | {"sender": None}, "unknown", "reaction without sender"),
        ("reaction is a list", item(reaction=["❤️"]), "unknown", "reaction without message"),
        ("echo to nobody", without(ECHO, "recipient"), "unknown", "echo without recipient"),
        (
            "echo, id too long",
            dm(mid="a" * 513, is_echo=True),
            "unknown",
            "echo with an id too long",
        ),
        (
            "echo, recipient too long",
            ECHO | {"recipient": {"id": "9" * 513}},
            "unknown",
            "echo with an id too long",
        ),
        ("to itself", dm(text="hola", is_self=True), "ignored", "is_self"),
        ("to itself, echo", dm(text="hola", is_self=True, is_echo=True), "ignored", "is_self"),
        ("to itself, unsent", dm(is_self="true", is_deleted=True), "ignored", "is_self"),
        ("seen", item(read={"mid": MID}), "ignored", "read"),
        ("seen by nobody", {"timestamp": SECONDS, "read": {"mid": MID}}, "ignored", "read"),
        ("seen, and more", item(tomorrow={}, read={"mid": MID}), "ignored", "read"),
        ("referral alone", item(referral={"ref": "afiche"}), "ignored", "referral"),
        *(
            (name, item(**{name: {"metadata": "x"}}), "ignored", name)
            for name in (
                *("pass_thread_control", "take_thread_control", "request_thread_control"),
                *("app_roles", "optin", "policy_enforcement", "response_feedback"),
            )
        ),
        ("empty", item(), "ignored", "empty"),
        ("nothing at all", {}, "ignored", "empty"),
        ("message is null", item(message=None, reaction=None), "ignored", "empty"),
        ("of tomorrow", item(tomorrow={}), "unknown", "tomorrow"),
        ("of tomorrow, and of the day after", item(b={}, a={}), "unknown", "b"),
        ("of a tomorrow without name", item(**{"": {}}), "unknown", "none"),
        ("null", None, "unknown", "no object"),
        ("a string", "hola", "unknown", "no object"),
    ]
}


@pytest.mark.parametrize("under", ["messaging", "standby"])
@pytest.mark.parametrize(("event", "note"), EVENTS.values(), ids=EVENTS)
def test_the_rest_is_only_noted_and_hides_no_message(
    event: Json, note: tuple[str, ...], under: str
) -> None:
    first, message, last = leaves_of(instagram(event, dm(text="hola"), event, under=under))

    assert note_of(event) == first == last == note
    assert isinstance(message, InboundMessage)


@pytest.mark.parametrize("value", [dm(text="hola"), {"id": "1", "text": "¡lindo!"}, None, "x", 7])
@pytest.mark.parametrize(
    ("field", "reason", "name"),
    [
        *(
            (field, "ignored", field)
            for field in (
                *("comments", "live_comments", "mentions", "story_insights"),
                *("messaging_seen", "messaging_referral", "messaging_optins"),
                *("messaging_handover", "messaging_handovers"),
                *("messaging_policy_enforcement", "response_feedback"),
            )
        ),
        ("tomorrow", "unknown", "tomorrow"),
        *(("", "unknown", "none"), (None, "unknown", "none"), ([], "unknown", "none")),
    ],
)
@pytest.mark.parametrize("envelope", [changed, flat, bare])
def test_other_fields_are_noted_by_name(
    field: Json, reason: str, name: str, value: Json, envelope: Callable[[str, Json], Json]
) -> None:
    assert leaves_of(envelope(field, value)) == [(reason, "instagram", "field", name)]


def test_a_message_with_something_new_in_it_counts_and_is_noted() -> None:
    def noted(event: Object) -> tuple[ParsedItem, ParsedItem]:
        leaf, note = leaves_of(instagram(event))
        return leaf, note

    hologram: Object = {"attachments": [{"type": "hologram"}]}

    message, note = noted(dm(**hologram))
    assert isinstance(message, InboundMessage)
    assert message.kind == "hologram"
    assert note == IgnoredItem("unknown", "instagram", "attachment", "hologram")

    message, note = noted(dm(poll={"question": "¿Rojo?"}))
    assert isinstance(message, InboundMessage)
    assert message.content == {"raw": {"poll": {"question": "¿Rojo?"}}}
    assert note == IgnoredItem("unknown", "instagram", "type", "poll")

    echo, note = noted(ours(message={"mid": MID, "is_echo": True, **hologram}))
    assert isinstance(echo, IncomingChange)
    assert note == IgnoredItem("unknown", "instagram", "attachment", "hologram")


@given(st.data())
@THOROUGH
def test_anything_may_stand_anywhere_in_a_change(data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(list(CHANGES.values())))
    path = data.draw(st.sampled_from(list(paths(event))))
    strange = replaced(event, path, data.draw(ANYTHING))

    *found, last = leaves_of(instagram(strange, event))

    assert last == change_of(event)
    assert found
    for leaf in found:
        if isinstance(leaf, IgnoredItem):
            assert leaf.name
        else:
            assert leaf in leaves_of(leaf.payload)
