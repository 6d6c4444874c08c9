"""The kind, text and content of each type of Instagram message."""

import pytest

from interfaces.meta.instagram.content import parse_content
from interfaces.meta.parsed import MessageContent
from tests.support.instagram_payloads import (
    AD,
    AD_REFERRAL,
    PHOTO_URL,
    SHOE,
    stored_attachment,
    with_attachments,
)
from tests.support.payloads import (
    MID,
    Object,
    direct_message,
    instagram_item,
)

MESSAGES: dict[str, tuple[Object, MessageContent]] = {
    "text": ({"text": " ¿Precio?\n"}, MessageContent("text", " ¿Precio?\n")),
    "text is a number": ({"text": 42}, MessageContent("text", "42")),
    **{
        kind: (
            with_attachments(kind, url=PHOTO_URL),
            MessageContent(kind, "", stored_attachment(type=kind, url=PHOTO_URL)),
        )
        for kind in ("image", "video", "audio", "file", "share", "unsupported_type")
    },
    "image and text": (
        {"text": "este", **with_attachments("image", url=PHOTO_URL)},
        MessageContent("text", "este", stored_attachment(type="image", url=PHOTO_URL)),
    ),
    "several": (
        {
            "attachments": [
                {"type": "image", "payload": {"url": PHOTO_URL}},
                {"type": "video", "payload": {"url": "https://lookaside.example/2"}},
            ]
        },
        MessageContent(
            "image",
            "",
            {
                "attachments": [
                    {"type": "image", "url": PHOTO_URL},
                    {"type": "video", "url": "https://lookaside.example/2"},
                ]
            },
        ),
    ),
    "sticker": (
        with_attachments("image", url=PHOTO_URL, sticker_id=369239263222822),
        MessageContent(
            "image", "", stored_attachment(type="image", url=PHOTO_URL, id="369239263222822")
        ),
    ),
    "shared post": (
        with_attachments("ig_post", url=PHOTO_URL, title="Oferta de otros", ig_post_media_id="179"),
        MessageContent(
            "ig_post",
            "",
            stored_attachment(type="ig_post", url=PHOTO_URL, title="Oferta de otros", id="179"),
        ),
    ),
    "shared reel": (
        with_attachments("ig_reel", url=PHOTO_URL, title="Baile", reel_video_id=178),
        MessageContent(
            "ig_reel", "", stored_attachment(type="ig_reel", url=PHOTO_URL, title="Baile", id="178")
        ),
    ),
    "shared reel, old": (
        with_attachments("reel", url=PHOTO_URL, title="Baile", reel_video_id="178"),
        MessageContent(
            "reel", "", stored_attachment(type="reel", url=PHOTO_URL, title="Baile", id="178")
        ),
    ),
    **{
        f"shared {kind}": (
            with_attachments(kind, story_media_id="177", url=PHOTO_URL),
            MessageContent(kind, "", stored_attachment(type=kind, url=PHOTO_URL, id="177")),
        )
        for kind in ("story", "ig_story")
    },
    "story mention": (
        with_attachments("story_mention", url=PHOTO_URL, id="176"),
        MessageContent("story_mention", "", {"story": {"id": "176", "url": PHOTO_URL}}),
    ),
    "story mention, named as shared ones": (
        with_attachments("story_mention", story_media_id=177, id="176"),
        MessageContent("story_mention", "", {"story": {"id": "177"}}),
    ),
    "story mention with text": (
        {"text": "¡miren!", **with_attachments("story_mention", url=PHOTO_URL)},
        MessageContent("text", "¡miren!", {"story": {"url": PHOTO_URL}}),
    ),
    "product": (
        with_attachments("template", product={"elements": [SHOE]}),
        MessageContent(
            "template",
            "",
            stored_attachment(
                type="template",
                elements=[
                    {
                        "id": "5550001",
                        "retailer_id": "zapato-40",
                        "title": "Zapato",
                        "subtitle": "Cuero",
                        "url": "https://cdn.example/shoe",
                    }
                ],
            ),
        ),
    ),
    "cards": (
        with_attachments(
            "template", generic={"elements": [{"title": "Uno"}, None, {"title": "Dos"}]}
        ),
        MessageContent(
            "template",
            "",
            stored_attachment(type="template", elements=[{"title": "Uno"}, {"title": "Dos"}]),
        ),
    ),
    "heart": (
        stored_attachment(type="like_heart"),
        MessageContent("like_heart", "", stored_attachment(type="like_heart")),
    ),
    "heart of nothing": (
        with_attachments("like_heart"),
        MessageContent("like_heart", "", stored_attachment(type="like_heart")),
    ),
    "ephemeral": (
        stored_attachment(type="ephemeral"),
        MessageContent("ephemeral", "", stored_attachment(type="ephemeral")),
    ),
    "unknown attachment": (
        with_attachments("hologram", url=PHOTO_URL, depth=3),
        MessageContent(
            "hologram",
            "",
            {
                **stored_attachment(type="hologram", url=PHOTO_URL),
                "raw": {"url": PHOTO_URL, "depth": 3},
            },
        ),
    ),
    "unknown attachment, second": (
        {"attachments": [{"type": "image"}, {"type": "hologram", "payload": {"depth": 3}}]},
        MessageContent(
            "image",
            "",
            {"attachments": [{"type": "image"}, {"type": "hologram"}], "raw": {"depth": 3}},
        ),
    ),
    "attachment of no type": ({"attachments": [None]}, MessageContent("attachment", "")),
    "not listed": (
        {"attachments": {"type": "image"}},
        MessageContent("image", "", stored_attachment(type="image")),
    ),
    "unsupported": ({"is_unsupported": True, "attachments": []}, MessageContent("unsupported", "")),
    "supported": ({"is_unsupported": "false"}, MessageContent("unknown", "")),
    "unknown message part": (
        {"poll": {"question": "¿Rojo?"}},
        MessageContent("unknown", "", {"raw": {"poll": {"question": "¿Rojo?"}}}),
    ),
    "nothing": ({"text": " ", "attachments": None}, MessageContent("unknown", "")),
    "inline reply": (
        {"text": "sí", "reply_to": {"mid": "aWdfZAG1b"}},
        MessageContent("text", "sí", {"reply": {"message_id": "aWdfZAG1b"}}),
    ),
    "story reply": (
        {"text": "¡qué lindo!", "reply_to": {"story": {"id": 175, "url": PHOTO_URL}}},
        MessageContent(
            "text", "¡qué lindo!", {"reply": {"story": {"id": "175", "url": PHOTO_URL}}}
        ),
    ),
    "story reply with an image": (
        {"reply_to": {"story": {"id": "175"}}, **with_attachments("image", url=PHOTO_URL)},
        MessageContent(
            "image",
            "",
            {**stored_attachment(type="image", url=PHOTO_URL), "reply": {"story": {"id": "175"}}},
        ),
    ),
    "quick reply": (
        {"text": "Rojo", "quick_reply": {"payload": "RED"}},
        MessageContent(
            "text", "Rojo", {"choice": {"type": "quick_reply", "title": "Rojo", "payload": "RED"}}
        ),
    ),
    "quick reply without a title": (
        {"quick_reply": {"payload": "RED"}},
        MessageContent("text", "RED", {"choice": {"type": "quick_reply", "payload": "RED"}}),
    ),
    "quick reply of nothing": ({"text": "Rojo", "quick_reply": {}}, MessageContent("text", "Rojo")),
    "from an ad": (
        {"text": "info", "referral": AD},
        MessageContent("text", "info", {"referral": AD_REFERRAL}),
    ),
    "from an ad without text": (
        {"referral": AD},
        MessageContent("unknown", "", {"referral": AD_REFERRAL}),
    ),
    "from a video ad, incomplete": (
        {"text": "info", "referral": {"ad_id": 12, "ads_context_data": {"video_url": PHOTO_URL}}},
        MessageContent(
            "text",
            "info",
            {
                "referral": {
                    "source_type": "ad",
                    "source_id": "12",
                    "media_type": "video",
                    "media_url": PHOTO_URL,
                }
            },
        ),
    ),
    "from a link": (
        {"text": "info", "referral": {"ref": "afiche", "source": "IG_ME", "type": "OPEN_THREAD"}},
        MessageContent("text", "info", {"referral": {"source_type": "IG_ME", "ref": "afiche"}}),
    ),
    "from somewhere": (
        {"text": "info", "referral": {"type": "OPEN_THREAD"}},
        MessageContent("text", "info", {"referral": {"source_type": "OPEN_THREAD"}}),
    ),
    "about a product": (
        {"text": "¿hay?", "referral": {"product": {"id": "5550001"}}},
        MessageContent("text", "¿hay?", {"referred_product": {"id": "5550001"}}),
    ),
}


@pytest.mark.parametrize(("parts", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_message_has_kind_text_and_content(parts: Object, expected: MessageContent) -> None:
    assert parse_content(direct_message(**parts)) == expected


@pytest.mark.parametrize(
    ("postback", "expected"),
    [
        (
            {"mid": MID, "title": "Ver precios", "payload": "PRICES"},
            MessageContent(
                "postback",
                "Ver precios",
                {"choice": {"type": "postback", "title": "Ver precios", "payload": "PRICES"}},
            ),
        ),
        (
            {"payload": "PRICES", "referral": AD},
            MessageContent(
                "postback",
                "PRICES",
                {"choice": {"type": "postback", "payload": "PRICES"}, "referral": AD_REFERRAL},
            ),
        ),
        (
            {"title": None, "payload": []},
            MessageContent("postback", "", {"choice": {"type": "postback"}}),
        ),
    ],
)
def test_postback_has_title_and_payload_as_choice(
    postback: Object, expected: MessageContent
) -> None:
    assert parse_content(instagram_item(postback=postback)) == expected


@pytest.mark.parametrize("part", ["message", "postback"])
def test_referral_may_stand_beside_the_message(part: str) -> None:
    message = {"text": "info", "title": "info"}

    beside = parse_content(instagram_item(**{part: message}, referral=AD))
    within = parse_content(
        instagram_item(**{part: message | {"referral": AD}}, referral={"ref": "otro"})
    )

    assert beside == within
    assert beside.content["referral"] == AD_REFERRAL
