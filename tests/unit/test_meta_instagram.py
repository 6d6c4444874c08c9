"""Which items of Instagram's are messages, and in which envelopes they come."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import BrokenMessage, InboundMessage
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
    broken_in,
    changed,
    changes_in,
    decoded,
    dm,
    flat,
    instagram,
    item,
    message_in,
    messages_in,
    notes_in,
    without,
)

HOLA = dm(text="hola")
AD: Object = {
    "source": "ADS",
    "type": "OPEN_THREAD",
    "ad_id": "1202000000000001",
    "ads_context_data": {"ad_title": "Rebajas de verano", "photo_url": "https://cdn.example/1"},
}


def attached(*types: str, **payload: Json) -> Object:
    """Everything Meta attaches is a type and a payload."""
    return {"attachments": [{"type": name, "payload": payload} for name in types]}


def ivo(id: str = IVO) -> Sender:
    return Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, id),))


def test_a_text_becomes_a_message() -> None:
    assert message_in(instagram(HOLA)) == InboundMessage(
        address=Address(Channel.INSTAGRAM, "17841400000000001"),
        external_id=MID,
        sender=Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, "960000000000001"),)),
        kind="text",
        body="hola",
        sent_at=SENT_AT,
        thread_external_id="ig:17841400000000001:960000000000001",
        payload={
            "object": "instagram",
            "entry": [{"id": "17841400000000001", "time": 1795347000900, "messaging": [HOLA]}],
        },
    )


MESSAGES: dict[str, tuple[Object, str, str]] = {
    "text": ({"text": "¿Precio?"}, "text", "¿Precio?"),
    "text as written": ({"text": " a\n\n👋 "}, "text", " a\n\n👋 "),
    "text with an image": ({"text": "este", **attached("image")}, "text", "este"),
    "image": (attached("image"), "image", "[image]"),
    "images": (attached("image", "image"), "image", "[image]"),
    "video": (attached("video"), "video", "[video]"),
    "audio": (attached("audio"), "audio", "[audio]"),
    "file": (attached("file"), "file", "[file]"),
    "share": (attached("share"), "share", "[share]"),
    "shared post": (attached("ig_post", title="Oferta de otros"), "ig_post", "[ig_post]"),
    "shared post, old and new": (attached("share", "ig_post", title="Oferta"), "share", "[share]"),
    "shared reel": (attached("ig_reel", title="Baile", reel_video_id="1"), "ig_reel", "[ig_reel]"),
    "shared reel, old": (attached("reel", title="Baile"), "reel", "[reel]"),
    "shared story": (attached("story", story_media_id="1"), "story", "[story]"),
    "shared story, new": (attached("ig_story"), "ig_story", "[ig_story]"),
    "story mention": (attached("story_mention"), "story_mention", "[story_mention]"),
    "template": (
        attached("template", generic={"elements": [{"title": "Zapato"}]}),
        "template",
        "[template]",
    ),
    "product": (attached("template", product={"elements": []}), "template", "[template]"),
    "heart": ({"attachments": [{"type": "like_heart"}]}, "like_heart", "[like_heart]"),
    "heart of nothing": (
        {"attachments": [{"type": "like_heart", "payload": {}}]},
        "like_heart",
        "[like_heart]",
    ),
    "ephemeral": ({"attachments": [{"type": "ephemeral"}]}, "ephemeral", "[ephemeral]"),
    "unsupported attachment": (
        {"attachments": [{"type": "unsupported_type"}]},
        "unsupported_type",
        "[unsupported_type]",
    ),
    "attachment of tomorrow": (attached("hologram", title="…"), "hologram", "[hologram]"),
    "attachment of no type": ({"attachments": [{}]}, "attachment", "[attachment]"),
    "attachment is null": ({"attachments": [None]}, "attachment", "[attachment]"),
    "attachment not listed": ({"attachments": {"type": "image"}}, "image", "[image]"),
    "unsupported": ({"is_unsupported": True}, "unsupported", "[unsupported]"),
    "unsupported, none attached": (
        {"is_unsupported": True, "attachments": []},
        "unsupported",
        "[unsupported]",
    ),
    "inline reply": ({"text": "sí", "reply_to": {"mid": "aWdfZAG1b"}}, "text", "sí"),
    "story reply": ({"text": "¡qué lindo!", "reply_to": {"story": {}}}, "text", "¡qué lindo!"),
    "story reply without words": (
        {"reply_to": {"story": {"id": "1"}}, **attached("image")},
        "image",
        "[image]",
    ),
    "quick reply": ({"text": "Rojo", "quick_reply": {"payload": "RED"}}, "text", "Rojo"),
    "quick reply without a title": ({"quick_reply": {"payload": "RED"}}, "text", "RED"),
    "text from an ad": ({"text": "info", "referral": AD}, "text", "info"),
    "image from an ad": ({"referral": AD, **attached("image")}, "image", "[image]"),
    "ad without words": ({"referral": AD}, "unknown", "[unknown]"),
    "text about a product": ({"text": "¿hay?", "referral": {"product": {}}}, "text", "¿hay?"),
    "blank text": ({"text": " \n"}, "unknown", "[unknown]"),
    "nothing": ({}, "unknown", "[unknown]"),
    "text is null": ({"text": None, "attachments": None}, "unknown", "[unknown]"),
    "flags that say no": (
        {"text": "hola", "is_echo": False, "is_self": "false", "is_deleted": None},
        "text",
        "hola",
    ),
}


@pytest.mark.parametrize(("parts", "kind", "body"), MESSAGES.values(), ids=MESSAGES)
def test_what_a_person_sends_counts_with_their_words_or_a_placeholder(
    parts: Object, kind: str, body: str
) -> None:
    sent = dm(**parts)

    message = message_in(instagram(sent))

    assert (message.kind, message.body) == (kind, body)
    assert (message.external_id, message.sender, message.sent_at) == (MID, ivo(), SENT_AT)
    assert message.thread_external_id == f"ig:{ACCOUNT}:{IVO}"
    assert message_in(message.payload) == message
    assert message.payload == instagram(sent)


@pytest.mark.parametrize(
    ("postback", "body"),
    [
        ({"mid": MID, "title": "Ver precios", "payload": "PRICES"}, "Ver precios"),
        ({"mid": MID, "payload": "PRICES"}, "PRICES"),
        ({"mid": MID, "title": "", "payload": None}, "[postback]"),
    ],
)
def test_a_tap_on_a_button_or_an_ice_breaker_counts(postback: Object, body: str) -> None:
    message = message_in(instagram(item(postback=postback)))

    assert (message.kind, message.body, message.external_id) == ("postback", body, MID)
    assert message.thread_external_id == f"ig:{ACCOUNT}:{IVO}"
    assert message_in(message.payload) == message


@pytest.mark.parametrize("under", ["messaging", "standby"])
def test_a_message_carries_more_than_its_words(under: str) -> None:
    sent = dm(
        text="info", reply_to={"mid": "aWdfZAG1b"}, **attached("image", url="https://c.example")
    )

    message = message_in(instagram(sent | {"referral": AD}, under=under))

    assert message.content == {
        "attachments": [{"type": "image", "url": "https://c.example"}],
        "reply": {"message_id": "aWdfZAG1b"},
        "referral": {
            "source_type": "ad",
            "source_id": "1202000000000001",
            "headline": "Rebajas de verano",
            "media_type": "image",
            "media_url": "https://cdn.example/1",
        },
    }


OLD_TAP = item(postback={"title": "Ver precios", "payload": "PRICES"})


def test_an_id_is_derived_where_meta_gave_none() -> None:
    given = message_in(instagram(OLD_TAP)).external_id

    assert given.startswith("derived:")
    assert message_in(instagram(OLD_TAP, under="standby", time=1)).external_id == given
    assert given not in {
        message_in(instagram(OLD_TAP | {"timestamp": SECONDS * 1000 + 1})).external_id,
        message_in(instagram(OLD_TAP | {"sender": {"id": "960000000000002"}})).external_id,
        message_in(instagram(OLD_TAP | {"postback": {"title": "Ver horarios"}})).external_id,
        message_in(instagram(OLD_TAP, id="17841400000000002")).external_id,
    }


NOT_COUNTED: dict[str, Json] = {
    **{
        f"{flag} is {yes!r}": dm(text="hola", **{flag: yes})
        for flag in ("is_echo", "is_deleted", "is_self")
        for yes in (True, "true", 1)
    },
    "echo of a story mention": dm(is_echo=True, **attached("story_mention")),
    "reaction": item(reaction={"mid": MID, "action": "react", "reaction": "love", "emoji": "❤️"}),
    "reaction taken back": item(reaction={"mid": MID, "action": "unreact"}),
    "seen": item(read={"mid": MID}),
    "seen by nobody": {"timestamp": SECONDS * 1000, "read": {"mid": MID}},
    "edit": item(message_edit={"mid": MID, "text": "adiós", "num_edit": 1}),
    "edit, counted in a string": item(message_edit={"mid": MID, "text": "adiós", "num_edit": "1"}),
    "edit of nothing": {"timestamp": SECONDS, "message_edit": {"mid": MID, "num_edit": 0}},
    "referral alone": item(referral={"ref": "afiche", "source": "IG_ME", "type": "OPEN_THREAD"}),
    **{
        name: item(**{name: {"previous_owner_app_id": "1", "metadata": "x"}})
        for name in (
            *("pass_thread_control", "take_thread_control", "request_thread_control", "app_roles"),
            *("optin", "policy_enforcement", "response_feedback", "tomorrow"),
        )
    },
    "empty": item(),
    "message is null": item(message=None),
    "null": None,
    "a string": "hola",
}


@pytest.mark.parametrize("under", ["messaging", "standby"])
@pytest.mark.parametrize("event", NOT_COUNTED.values(), ids=NOT_COUNTED)
def test_what_is_no_message_does_not_count_and_hides_none(event: Json, under: str) -> None:
    assert decoded(instagram(event, under=under)) == []
    assert decoded(instagram(event, HOLA, event, under=under)) == decoded(instagram(HOLA))


@pytest.mark.parametrize("event", NOT_COUNTED.values(), ids=NOT_COUNTED)
@pytest.mark.parametrize("envelope", [changed, flat, bare])
def test_what_is_no_message_does_not_count_in_other_envelopes_either(
    event: Json, envelope: Callable[[str, Json], Json]
) -> None:
    assert decoded(envelope("messages", event)) == []


@pytest.mark.parametrize("under", ["messaging", "standby"])
@pytest.mark.parametrize("event", NOT_COUNTED.values(), ids=NOT_COUNTED)
def test_what_is_no_message_is_a_change_or_noted(event: Json, under: str) -> None:
    delivery = instagram(event, under=under)

    assert len(changes_in(delivery)) + notes_in(delivery).total() == 1
    assert notes_in(instagram(HOLA)).total() == len(changes_in(instagram(HOLA))) == 0


ENVELOPES: dict[str, Json] = {
    "standby": instagram(HOLA, under="standby"),
    "messaging is an object": instagram(messaging=HOLA),
    "changes": changed("messages", HOLA),
    "changes, standby": changed("standby", HOLA),
    "changes, value listed": changed("messages", [HOLA]),
    "flat": flat("messages", HOLA),
    "flat, standby": flat("standby", HOLA),
    "bare": bare("messages", HOLA),
    "bare in a list": [bare("messages", HOLA)],
    "in a list": [instagram(HOLA)],
    "beside an empty one": [instagram(), None, instagram(HOLA)],
    "without an object": without(instagram(HOLA), "object"),
    "changes without an object": without(changed("messages", HOLA), "object"),
    "object is null": instagram(HOLA) | {"object": None},
    "entry is an object": instagram() | {"entry": instagram(HOLA)["entry"][0]},
    "beside strange entries": instagram() | {"entry": [None, 7, *instagram(HOLA)["entry"]]},
    "beside strange keys": instagram(HOLA, standby=None, changes=[None, 7], tomorrow=[{}]),
    "without the account's id": instagram(HOLA, id=None),
    "the account's id is a number": instagram(HOLA, id=17841400000000001),
}


@pytest.mark.parametrize("delivery", ENVELOPES.values(), ids=ENVELOPES)
def test_the_same_item_may_come_in_many_envelopes(delivery: Json) -> None:
    message, usual = message_in(delivery), message_in(instagram(HOLA))

    assert replace(message, payload={}) == replace(usual, payload={})
    assert message.payload["entry"][0]["messaging"] == [HOLA]
    assert message_in(message.payload) == message


@pytest.mark.parametrize("envelope", [changed, flat, bare])
def test_a_tap_may_come_in_other_envelopes_too(envelope: Callable[[str, Json], Json]) -> None:
    message = message_in(envelope("messaging_postbacks", OLD_TAP))

    assert message.body == "Ver precios"
    assert message.external_id == message_in(instagram(OLD_TAP)).external_id


@pytest.mark.parametrize("envelope", [changed, flat, bare])
@pytest.mark.parametrize(
    "field",
    [
        *("comments", "live_comments", "mentions", "story_insights", "message_reactions"),
        *("messaging_seen", "messaging_handover", "messaging_optins", "message_echoes"),
        *("message_edit", "messaging_referral", "tomorrow", "", None, 7),
    ],
)
def test_other_fields_do_not_count_whatever_they_hold(
    field: str, envelope: Callable[[str, Json], Json]
) -> None:
    comment = {"from": {"id": IVO, "username": "ivo"}, "id": "1", "text": "¡lindo!", "media": {}}

    for value in (comment, {"media_id": "1", "comment_id": "2"}, HOLA, OLD_TAP):
        assert decoded(envelope(field, value)) == []


def test_a_comment_hides_no_message() -> None:
    comment = {"field": "comments", "value": {"id": "1", "text": "¡lindo!"}}

    (message,) = messages_in(instagram(HOLA, changes=[comment]))

    assert message.payload == instagram(HOLA)


def test_every_message_is_read_and_goes_to_the_account_of_its_own_entry() -> None:
    def numbered(*numbers: int) -> list[Object]:
        return [dm(mid=f"mid.{n}", text="hola") for n in numbers]

    changes = [{"field": "messages", "value": value} for value in numbered(4, 5)]
    entries = [
        {"id": "17841", "messaging": numbered(1, 2), "standby": numbered(3), "changes": changes},
        {"id": "17842", "messaging": [*numbered(6), item(read={"mid": "mid.1"}), *numbered(7)]},
        {"id": "17843", "field": "messages", "value": numbered(8)[0]},
        {"id": "17841", "messaging": numbered(9)},
    ]

    found = messages_in({"object": "instagram", "entry": entries})

    accounts = [*["17841"] * 5, "17842", "17842", "17843", "17841"]
    assert [(m.address, m.external_id, m.thread_external_id) for m in found] == [
        (Address(Channel.INSTAGRAM, account), f"mid.{n}", f"ig:{account}:{IVO}")
        for n, account in enumerate(accounts, start=1)
    ]
    assert [decoded(m.payload) for m in found] == [[m] for m in found]
    assert [len(m.payload["entry"][0]["messaging"]) for m in found] == [1] * 9


@pytest.mark.parametrize(
    ("timestamp", "sent_at"),
    [
        (1795347000000, SENT_AT),
        ("1795347000000", SENT_AT),
        (1795347000, SENT_AT),
        ("1795347000", SENT_AT),
        (None, NOON),
        ("yesterday", NOON),
        (0, NOON),
        (1795521601000, NOON),
    ],
)
def test_the_time_is_the_messages_own_unless_it_is_absurd(
    timestamp: Json, sent_at: datetime
) -> None:
    sent = HOLA | {"timestamp": timestamp}

    assert message_in(instagram(sent, time=None)).sent_at == sent_at


DAYS_AGO = 1795000000000


@pytest.mark.parametrize("time", [SECONDS, SECONDS * 1000, DAYS_AGO, None, "x"])
def test_when_meta_notified_us_is_not_when_they_wrote(time: Json) -> None:
    sent = HOLA | {"timestamp": (SECONDS - 600) * 1000}

    assert message_in(instagram(sent, time=time)).sent_at == datetime(
        2026, 11, 22, 11, 20, tzinfo=UTC
    )


def test_what_has_no_time_was_sent_when_meta_told_of_it() -> None:
    sent = without(HOLA, "timestamp")

    assert message_in(instagram(sent, time=SECONDS)).sent_at == SENT_AT


def test_metas_test_message_is_like_any_other() -> None:
    value = {
        "sender": {"id": "12334"},
        "recipient": {"id": "23245"},
        "timestamp": str(SECONDS),
        "message": {"mid": "random_mid", "text": "random_text"},
    }

    change = {"field": "messages", "value": value}
    message = message_in(instagram(change, under="changes", id="0", time=SECONDS))

    assert message.address == Address(Channel.INSTAGRAM, "0")
    assert (message.external_id, message.sender) == ("random_mid", ivo("12334"))
    assert (message.body, message.sent_at) == ("random_text", SENT_AT)


@pytest.mark.parametrize(
    ("sender", "id"), [({"id": 960000000000001}, IVO), ({"id": f" {IVO} ", "name": "Ivo"}, IVO)]
)
def test_the_sender_is_an_id_and_nothing_else(sender: Json, id: str) -> None:
    assert message_in(instagram(HOLA | {"sender": sender})).sender == ivo(id)


BROKEN: dict[str, tuple[Json, str]] = {
    "message is a string": (item(message="hola"), "`message` is not an object"),
    "message is a number": (item(message=0), "`message` is not an object"),
    "message is a list": (item(message=[]), "`message` is not an object"),
    "postback is a string": (item(postback="PRICES"), "`postback` is not an object"),
    "no sender": (without(HOLA, "sender"), "`sender.id` is missing"),
    "sender is null": (HOLA | {"sender": None}, "`sender.id` is missing"),
    "sender is a string": (HOLA | {"sender": IVO}, "`sender.id` is missing"),
    "sender without an id": (HOLA | {"sender": {}}, "`sender.id` is missing"),
    "sender's id is blank": (HOLA | {"sender": {"id": " "}}, "`sender.id` is missing"),
    "sender's id too long": (
        HOLA | {"sender": {"id": "9" * 513}},
        "an id is longer than 512 characters",
    ),
    "mid too long": (dm(mid="a" * 513), "an id is longer than 512 characters"),
}


@pytest.mark.parametrize(("broken", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_counts_as_broken_and_hides_none(broken: Json, reason: str) -> None:
    expected = BrokenMessage(
        address=Address(Channel.INSTAGRAM, ACCOUNT), reason=reason, payload=instagram(broken)
    )

    assert decoded(instagram(broken, HOLA)) == [expected, message_in(instagram(HOLA))]
    assert broken_in(expected.payload) == expected


def test_ids_may_be_as_long_as_an_index_holds() -> None:
    message = message_in(instagram(dm(mid="a" * 512) | {"sender": {"id": "9" * 512}}))

    assert (message.external_id, message.sender) == ("a" * 512, ivo("9" * 512))


def test_a_type_without_end_is_cut() -> None:
    assert message_in(instagram(dm(**attached("x" * 5000)))).kind == "x" * 512


STRANGE: list[Json] = [None, True, 7, 1.5, "x", [], {}, [None], [[]], [[HOLA]]]
NOTHING: dict[str, Json] = {
    **{f"entry {shape}": instagram() | {"entry": shape} for shape in STRANGE},
    **{f"messaging {shape}": instagram(messaging=shape) for shape in STRANGE},
    **{f"standby {shape}": instagram(standby=shape) for shape in STRANGE},
    **{f"changes {shape}": instagram(changes=shape) for shape in STRANGE},
    **{f"value {shape}": changed("messages", shape) for shape in STRANGE},
    **{
        f"object {shape}": instagram(HOLA) | {"object": shape}
        for shape in ("page", "user", "whatsapp_business_account", 7)
    },
}


@pytest.mark.parametrize("delivery", NOTHING.values(), ids=NOTHING)
def test_where_no_message_is_none_is_found(delivery: Json) -> None:
    assert decoded(delivery) == []
