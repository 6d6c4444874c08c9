"""What an Instagram message says, and what it carries besides."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.meta.instagram.content import list_unknown_parts, parse_content
from interfaces.meta.parsed import IgnoredItem, MessageContent
from tests.support.payloads import MID, Json, Object, dm, item, without
from tests.unit.test_json_values import ANYTHING, THOROUGH, paths, replaced

PHOTO = "https://lookaside.example/1"
AD: Object = {
    "ref": "verano",
    "ad_id": "1202000000000001",
    "source": "ADS",
    "type": "OPEN_THREAD",
    "ads_context_data": {
        "ad_title": "Rebajas de verano",
        "photo_url": "https://cdn.example/ad",
        "post_id": "1790000000000001",
        "product_id": "5550001",
    },
}
FROM_AD: Object = {
    "source_type": "ad",
    "source_id": "1202000000000001",
    "ref": "verano",
    "headline": "Rebajas de verano",
    "media_type": "image",
    "media_url": "https://cdn.example/ad",
    "post_id": "1790000000000001",
    "product_id": "5550001",
}
SHOE: Object = {
    "id": "5550001",
    "retailer_id": "zapato-40",
    "title": "Zapato",
    "subtitle": "Cuero",
    "image_url": "https://cdn.example/shoe",
}


def attached(kind: str, **payload: Json) -> Object:
    return {"attachments": [{"type": kind, "payload": payload}]}


def listed(**attachment: Json) -> Object:
    return {"attachments": [attachment]}


MESSAGES: dict[str, tuple[Object, MessageContent]] = {
    "text": ({"text": " ¿Precio?\n"}, MessageContent("text", " ¿Precio?\n")),
    "text is a number": ({"text": 42}, MessageContent("text", "42")),
    **{
        kind: (
            attached(kind, url=PHOTO),
            MessageContent(kind, "", listed(type=kind, url=PHOTO)),
        )
        for kind in ("image", "video", "audio", "file", "share", "unsupported_type")
    },
    "image and text": (
        {"text": "este", **attached("image", url=PHOTO)},
        MessageContent("text", "este", listed(type="image", url=PHOTO)),
    ),
    "several": (
        {
            "attachments": [
                {"type": "image", "payload": {"url": PHOTO}},
                {"type": "video", "payload": {"url": "https://lookaside.example/2"}},
            ]
        },
        MessageContent(
            "image",
            "",
            {
                "attachments": [
                    {"type": "image", "url": PHOTO},
                    {"type": "video", "url": "https://lookaside.example/2"},
                ]
            },
        ),
    ),
    "sticker": (
        attached("image", url=PHOTO, sticker_id=369239263222822),
        MessageContent("image", "", listed(type="image", url=PHOTO, id="369239263222822")),
    ),
    "shared post": (
        attached("ig_post", url=PHOTO, title="Oferta de otros", ig_post_media_id="179"),
        MessageContent(
            "ig_post", "", listed(type="ig_post", url=PHOTO, title="Oferta de otros", id="179")
        ),
    ),
    "shared reel": (
        attached("ig_reel", url=PHOTO, title="Baile", reel_video_id=178),
        MessageContent("ig_reel", "", listed(type="ig_reel", url=PHOTO, title="Baile", id="178")),
    ),
    "shared reel, old": (
        attached("reel", url=PHOTO, title="Baile", reel_video_id="178"),
        MessageContent("reel", "", listed(type="reel", url=PHOTO, title="Baile", id="178")),
    ),
    **{
        f"shared {kind}": (
            attached(kind, story_media_id="177", url=PHOTO),
            MessageContent(kind, "", listed(type=kind, url=PHOTO, id="177")),
        )
        for kind in ("story", "ig_story")
    },
    "story mention": (
        attached("story_mention", url=PHOTO, id="176"),
        MessageContent("story_mention", "", {"story": {"id": "176", "url": PHOTO}}),
    ),
    "story mention, named as shared ones": (
        attached("story_mention", story_media_id=177, id="176"),
        MessageContent("story_mention", "", {"story": {"id": "177"}}),
    ),
    "story mention with words": (
        {"text": "¡miren!", **attached("story_mention", url=PHOTO)},
        MessageContent("text", "¡miren!", {"story": {"url": PHOTO}}),
    ),
    "product": (
        attached("template", product={"elements": [SHOE]}),
        MessageContent(
            "template",
            "",
            listed(
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
        attached("template", generic={"elements": [{"title": "Uno"}, None, {"title": "Dos"}]}),
        MessageContent(
            "template", "", listed(type="template", elements=[{"title": "Uno"}, {"title": "Dos"}])
        ),
    ),
    "heart": (
        listed(type="like_heart"),
        MessageContent("like_heart", "", listed(type="like_heart")),
    ),
    "heart of nothing": (
        attached("like_heart"),
        MessageContent("like_heart", "", listed(type="like_heart")),
    ),
    "ephemeral": (
        listed(type="ephemeral"),
        MessageContent("ephemeral", "", listed(type="ephemeral")),
    ),
    "attachment of tomorrow": (
        attached("hologram", url=PHOTO, depth=3),
        MessageContent(
            "hologram",
            "",
            {**listed(type="hologram", url=PHOTO), "raw": {"url": PHOTO, "depth": 3}},
        ),
    ),
    "attachment of tomorrow, second": (
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
        MessageContent("image", "", listed(type="image")),
    ),
    "unsupported": ({"is_unsupported": True, "attachments": []}, MessageContent("unsupported", "")),
    "supported": ({"is_unsupported": "false"}, MessageContent("unknown", "")),
    "message of tomorrow": (
        {"poll": {"question": "¿Rojo?"}},
        MessageContent("unknown", "", {"raw": {"poll": {"question": "¿Rojo?"}}}),
    ),
    "nothing": ({"text": " ", "attachments": None}, MessageContent("unknown", "")),
    "inline reply": (
        {"text": "sí", "reply_to": {"mid": "aWdfZAG1b"}},
        MessageContent("text", "sí", {"reply": {"message_id": "aWdfZAG1b"}}),
    ),
    "story reply": (
        {"text": "¡qué lindo!", "reply_to": {"story": {"id": 175, "url": PHOTO}}},
        MessageContent("text", "¡qué lindo!", {"reply": {"story": {"id": "175", "url": PHOTO}}}),
    ),
    "story reply with an image": (
        {"reply_to": {"story": {"id": "175"}}, **attached("image", url=PHOTO)},
        MessageContent(
            "image",
            "",
            {**listed(type="image", url=PHOTO), "reply": {"story": {"id": "175"}}},
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
        MessageContent("text", "info", {"referral": FROM_AD}),
    ),
    "from an ad without words": (
        {"referral": AD},
        MessageContent("unknown", "", {"referral": FROM_AD}),
    ),
    "from a video ad, incomplete": (
        {"text": "info", "referral": {"ad_id": 12, "ads_context_data": {"video_url": PHOTO}}},
        MessageContent(
            "text",
            "info",
            {
                "referral": {
                    "source_type": "ad",
                    "source_id": "12",
                    "media_type": "video",
                    "media_url": PHOTO,
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
def test_a_message_says_its_words_and_carries_the_rest(
    parts: Object, expected: MessageContent
) -> None:
    assert parse_content(dm(**parts)) == expected


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
                {"choice": {"type": "postback", "payload": "PRICES"}, "referral": FROM_AD},
            ),
        ),
        (
            {"title": None, "payload": []},
            MessageContent("postback", "", {"choice": {"type": "postback"}}),
        ),
    ],
)
def test_a_tap_says_what_the_button_says(postback: Object, expected: MessageContent) -> None:
    assert parse_content(item(postback=postback)) == expected


@pytest.mark.parametrize("part", ["message", "postback"])
def test_where_they_come_from_may_stand_beside_what_they_said(part: str) -> None:
    what = {"text": "info", "title": "info"}

    beside = parse_content(item(**{part: what}, referral=AD))
    within = parse_content(item(**{part: what | {"referral": AD}}, referral={"ref": "otro"}))

    assert beside == within
    assert beside.content["referral"] == FROM_AD


WRONG: list[Json] = [None, True, 1.5, " ", [], {}, ["x"], {"a": "b"}]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_has_another_type_than_it_should_is_absent(wrong: Json) -> None:
    referral = {"source": "ADS", "ref": wrong, "ads_context_data": {"ad_title": wrong}}
    message = {
        "text": "hola",
        "attachments": [{"type": "image", "payload": {"url": wrong, "title": wrong}}],
        "reply_to": {"story": {"url": wrong}},
        "referral": referral,
    }

    assert parse_content(dm(**message)).content == {
        "attachments": [{"type": "image"}],
        "referral": {"source_type": "ad"},
    }


def test_strings_without_end_are_cut() -> None:
    endless = "x" * 10_000
    message = attached("ig_post", url=endless, title=endless, ig_post_media_id=endless)

    (attachment,) = parse_content(dm(**message)).content["attachments"]

    assert {name: len(value) for name, value in attachment.items()} == {
        "type": 7,
        "url": 4096,
        "title": 4096,
        "id": 4096,
    }
    assert parse_content(dm(text=endless)).text == endless


def test_a_choice_without_end_is_cut_but_not_its_words() -> None:
    endless = "x" * 10_000
    cut = {"title": "x" * 4096, "payload": "x" * 4096}

    tap = parse_content(item(postback={"title": endless, "payload": endless}))
    answer = parse_content(dm(text=endless, quick_reply={"payload": endless}))

    assert tap == MessageContent("postback", endless, {"choice": {"type": "postback", **cut}})
    assert answer == MessageContent("text", endless, {"choice": {"type": "quick_reply", **cut}})


def test_a_type_without_end_is_cut_everywhere() -> None:
    what = parse_content(dm(**attached("x" * 5000)))

    assert what == MessageContent("x" * 512, "", listed(type="x" * 512))


def test_what_is_unknown_is_kept_unless_it_is_large() -> None:
    def raw(length: int) -> Json:
        return parse_content(dm(**attached("hologram", a="x" * length))).content.get("raw")

    kept = raw(8000 - len('{"a": ""}'))
    assert len(json.dumps(kept)) == 8000
    assert parse_content(dm(**attached("hologram", a="ñ" * 4001))).content.get("raw") is None
    assert raw(8000 - len('{"a": ""}') + 1) is None


def test_what_is_unknown_and_nested_without_end_is_not_kept() -> None:
    def nested(levels: int) -> Json:
        return {"depth": nested(levels - 1)} if levels else {}

    assert parse_content(dm(poll=nested(14))) == MessageContent(
        "unknown", "", {"raw": {"poll": nested(14)}}
    )
    assert parse_content(dm(poll=nested(15))) == MessageContent("unknown", "")


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({"text": "hola", "poll": {}}, []),
        ({"attachments": [{"type": "image"}, {"type": "like_heart"}]}, []),
        (
            {"text": "hola", "attachments": [{"type": "hologram"}, {"type": "image"}]},
            [("attachment", "hologram")],
        ),
        (
            {"attachments": [{"type": 7}, None]},
            [("attachment", "7"), ("attachment", "none")],
        ),
        ({"poll": {}, "song": None, "": 1}, [("type", "poll"), ("type", "song"), ("type", "none")]),
        ({"is_unsupported": True, "poll": {}}, []),
        ({}, []),
    ],
)
def test_what_meta_has_added_is_named(message: Object, names: list[tuple[str, str]]) -> None:
    found = [*list_unknown_parts(dm(**message))]

    assert [(note.part, note.name) for note in found] == names
    assert {note[:2] for note in found} <= {("unknown", "instagram")}
    assert all(isinstance(note, IgnoredItem) for note in found)


FULL: Object = {
    "message": {
        "mid": MID,
        "text": "hola",
        "attachments": [
            {"type": "template", "payload": {"product": {"elements": [SHOE]}, "url": PHOTO}},
            {"type": "story_mention", "payload": {"url": PHOTO}},
            {"type": "hologram", "payload": {"depth": 3}},
        ],
        "quick_reply": {"payload": "RED"},
        "reply_to": {"mid": "m_1", "story": {"id": "175", "url": PHOTO}},
        "referral": AD | {"product": {"id": "5550001"}},
        "is_unsupported": False,
    },
    "postback": {"title": "Ver precios", "payload": "PRICES"},
    "referral": AD,
}


def nothing_empty(value: Json) -> bool:
    """The promise of content: what is absent is absent."""
    if isinstance(value, dict):
        return all(map(nothing_empty, value.values())) and bool(value)
    if isinstance(value, list):
        return all(map(nothing_empty, value)) and bool(value)
    return value is not None and value != ""


@given(st.data())
@THOROUGH
def test_anything_may_stand_anywhere_in_it(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(paths(FULL))[1:]))
    event = replaced(FULL, path, data.draw(ANYTHING))

    what = parse_content(event)
    notes = [*list_unknown_parts(event)]

    assert what.kind
    assert isinstance(what.text, str)
    ours = without({**what.content}, "raw")
    assert not ours or nothing_empty(ours)
    assert all(note.reason == "unknown" and note.name for note in notes)


@given(st.dictionaries(st.sampled_from(["message", "postback", "referral"]), ANYTHING))
@THOROUGH
def test_any_item_is_read(event: Object) -> None:
    assert parse_content(event).kind
    assert all(note.reason == "unknown" for note in list_unknown_parts(event))
