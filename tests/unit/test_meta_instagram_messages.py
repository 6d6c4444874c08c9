"""Instagram messages that count: their kind, body, sender, id and time."""

from datetime import UTC, datetime

import pytest

from domain.change import IncomingChange
from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import InboundMessage
from interfaces.meta.parsed import IgnoredItem, ParsedItem
from tests.support.builders import NOON
from tests.support.instagram_payloads import (
    AD,
    AD_REFERRAL,
    POSTBACK_WITHOUT_ID,
    TEXT_ITEM,
    account_item,
    ivo_sender,
    parse_all_items,
    with_attachments,
)
from tests.support.payloads import (
    ACCOUNT_ID,
    IVO,
    MID,
    SENT_AT,
    SENT_AT_SECONDS,
    Json,
    Object,
    direct_message,
    instagram_delivery,
    instagram_item,
    parse_message,
    without,
)


def test_text_is_parsed_completely() -> None:
    assert parse_message(instagram_delivery(TEXT_ITEM)) == InboundMessage(
        address=Address(Channel.INSTAGRAM, "17841400000000001"),
        external_id=MID,
        sender=Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, "960000000000001"),)),
        kind="text",
        body="hola",
        sent_at=SENT_AT,
        thread_external_id="ig:17841400000000001:960000000000001",
        payload={
            "object": "instagram",
            "entry": [{"id": "17841400000000001", "time": 1795347000900, "messaging": [TEXT_ITEM]}],
        },
    )


MESSAGES: dict[str, tuple[Object, str, str]] = {
    "text": ({"text": "¿Precio?"}, "text", "¿Precio?"),
    "text as written": ({"text": " a\n\n👋 "}, "text", " a\n\n👋 "),
    "text with an image": ({"text": "este", **with_attachments("image")}, "text", "este"),
    "image": (with_attachments("image"), "image", "[image]"),
    "images": (with_attachments("image", "image"), "image", "[image]"),
    "video": (with_attachments("video"), "video", "[video]"),
    "audio": (with_attachments("audio"), "audio", "[audio]"),
    "file": (with_attachments("file"), "file", "[file]"),
    "share": (with_attachments("share"), "share", "[share]"),
    "shared post": (with_attachments("ig_post", title="Oferta de otros"), "ig_post", "[ig_post]"),
    "shared post, old and new": (
        with_attachments("share", "ig_post", title="Oferta"),
        "share",
        "[share]",
    ),
    "shared reel": (
        with_attachments("ig_reel", title="Baile", reel_video_id="1"),
        "ig_reel",
        "[ig_reel]",
    ),
    "shared reel, old": (with_attachments("reel", title="Baile"), "reel", "[reel]"),
    "shared story": (with_attachments("story", story_media_id="1"), "story", "[story]"),
    "shared story, new": (with_attachments("ig_story"), "ig_story", "[ig_story]"),
    "story mention": (with_attachments("story_mention"), "story_mention", "[story_mention]"),
    "template": (
        with_attachments("template", generic={"elements": [{"title": "Zapato"}]}),
        "template",
        "[template]",
    ),
    "product": (with_attachments("template", product={"elements": []}), "template", "[template]"),
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
    "unknown attachment": (with_attachments("hologram", title="…"), "hologram", "[hologram]"),
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
    "story reply without text": (
        {"reply_to": {"story": {"id": "1"}}, **with_attachments("image")},
        "image",
        "[image]",
    ),
    "quick reply": ({"text": "Rojo", "quick_reply": {"payload": "RED"}}, "text", "Rojo"),
    "quick reply without a title": ({"quick_reply": {"payload": "RED"}}, "text", "RED"),
    "text from an ad": ({"text": "info", "referral": AD}, "text", "info"),
    "image from an ad": ({"referral": AD, **with_attachments("image")}, "image", "[image]"),
    "ad without text": ({"referral": AD}, "unknown", "[unknown]"),
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
def test_message_counts_with_its_text_or_placeholder(parts: Object, kind: str, body: str) -> None:
    sent = direct_message(**parts)

    message = parse_message(instagram_delivery(sent))

    assert (message.kind, message.body) == (kind, body)
    assert (message.external_id, message.sender, message.sent_at) == (MID, ivo_sender(), SENT_AT)
    assert message.thread_external_id == f"ig:{ACCOUNT_ID}:{IVO}"
    assert parse_message(message.payload) == message
    assert message.payload == instagram_delivery(sent)


@pytest.mark.parametrize(
    ("postback", "body"),
    [
        ({"mid": MID, "title": "Ver precios", "payload": "PRICES"}, "Ver precios"),
        ({"mid": MID, "payload": "PRICES"}, "PRICES"),
        ({"mid": MID, "title": "", "payload": None}, "[postback]"),
    ],
)
def test_postback_counts_with_its_title_or_payload(postback: Object, body: str) -> None:
    message = parse_message(instagram_delivery(instagram_item(postback=postback)))

    assert (message.kind, message.body, message.external_id) == ("postback", body, MID)
    assert message.thread_external_id == f"ig:{ACCOUNT_ID}:{IVO}"
    assert parse_message(message.payload) == message


@pytest.mark.parametrize("under", ["messaging", "standby"])
def test_message_has_content_beside_its_text(under: str) -> None:
    sent = direct_message(
        text="info",
        reply_to={"mid": "aWdfZAG1b"},
        **with_attachments("image", url="https://c.example"),
    )

    message = parse_message(instagram_delivery(sent | {"referral": AD}, under=under))

    assert message.content == {
        "attachments": [{"type": "image", "url": "https://c.example"}],
        "reply": {"message_id": "aWdfZAG1b"},
        "referral": AD_REFERRAL,
    }


def test_id_is_derived_from_content_where_meta_sends_none() -> None:
    derived_id = parse_message(instagram_delivery(POSTBACK_WITHOUT_ID)).external_id

    assert derived_id.startswith("derived:")
    assert (
        parse_message(instagram_delivery(POSTBACK_WITHOUT_ID, under="standby", time=1)).external_id
        == derived_id
    )
    assert derived_id not in {
        parse_message(
            instagram_delivery(POSTBACK_WITHOUT_ID | {"timestamp": SENT_AT_SECONDS * 1000 + 1})
        ).external_id,
        parse_message(
            instagram_delivery(POSTBACK_WITHOUT_ID | {"sender": {"id": "960000000000002"}})
        ).external_id,
        parse_message(
            instagram_delivery(POSTBACK_WITHOUT_ID | {"postback": {"title": "Ver horarios"}})
        ).external_id,
        parse_message(instagram_delivery(POSTBACK_WITHOUT_ID, id="17841400000000002")).external_id,
    }


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
def test_time_is_the_messages_own_or_that_of_arrival(timestamp: Json, sent_at: datetime) -> None:
    sent = TEXT_ITEM | {"timestamp": timestamp}

    assert parse_message(instagram_delivery(sent, time=None)).sent_at == sent_at


DAYS_AGO = 1795000000000


@pytest.mark.parametrize("time", [SENT_AT_SECONDS, SENT_AT_SECONDS * 1000, DAYS_AGO, None, "x"])
def test_time_of_the_entry_does_not_replace_that_of_the_message(time: Json) -> None:
    sent = TEXT_ITEM | {"timestamp": (SENT_AT_SECONDS - 600) * 1000}

    assert parse_message(instagram_delivery(sent, time=time)).sent_at == datetime(
        2026, 11, 22, 11, 20, tzinfo=UTC
    )


def test_message_without_time_has_that_of_its_entry() -> None:
    sent = without(TEXT_ITEM, "timestamp")

    assert parse_message(instagram_delivery(sent, time=SENT_AT_SECONDS)).sent_at == SENT_AT


def test_dashboard_test_message_counts_like_any_other() -> None:
    value = {
        "sender": {"id": "12334"},
        "recipient": {"id": "23245"},
        "timestamp": str(SENT_AT_SECONDS),
        "message": {"mid": "random_mid", "text": "random_text"},
    }

    change = {"field": "messages", "value": value}
    message = parse_message(
        instagram_delivery(change, under="changes", id="0", time=SENT_AT_SECONDS)
    )

    assert message.address == Address(Channel.INSTAGRAM, "0")
    assert (message.external_id, message.sender) == ("random_mid", ivo_sender("12334"))
    assert (message.body, message.sent_at) == ("random_text", SENT_AT)


@pytest.mark.parametrize(
    ("sender", "id"), [({"id": 960000000000001}, IVO), ({"id": f" {IVO} ", "name": "Ivo"}, IVO)]
)
def test_sender_is_identified_by_id_only(sender: Json, id: str) -> None:
    assert parse_message(instagram_delivery(TEXT_ITEM | {"sender": sender})).sender == ivo_sender(
        id
    )


def test_long_type_is_cut_at_512_characters() -> None:
    assert (
        parse_message(instagram_delivery(direct_message(**with_attachments("x" * 5000)))).kind
        == "x" * 512
    )


def test_message_with_unknown_part_counts_and_the_part_is_reported() -> None:
    def parse_pair(event: Object) -> tuple[ParsedItem, ParsedItem]:
        item, ignored_item = parse_all_items(instagram_delivery(event))
        return item, ignored_item

    hologram: Object = {"attachments": [{"type": "hologram"}]}

    message, ignored_item = parse_pair(direct_message(**hologram))
    assert isinstance(message, InboundMessage)
    assert message.kind == "hologram"
    assert ignored_item == IgnoredItem("unknown", "instagram", "attachment", "hologram")

    message, ignored_item = parse_pair(direct_message(poll={"question": "¿Rojo?"}))
    assert isinstance(message, InboundMessage)
    assert message.content == {"raw": {"poll": {"question": "¿Rojo?"}}}
    assert ignored_item == IgnoredItem("unknown", "instagram", "type", "poll")

    echo, ignored_item = parse_pair(account_item(message={"mid": MID, "is_echo": True, **hologram}))
    assert isinstance(echo, IncomingChange)
    assert ignored_item == IgnoredItem("unknown", "instagram", "attachment", "hologram")
