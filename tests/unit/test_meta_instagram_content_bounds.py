"""Bounds of an Instagram message's content: wrong types, long strings, unknown parts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.meta.instagram.content import list_unknown_parts, parse_content
from interfaces.meta.parsed import IgnoredItem, MessageContent
from tests.support.arbitrary_json import ANY_JSON, THOROUGH, list_paths, replace_at
from tests.support.instagram_payloads import (
    AD,
    PHOTO_URL,
    SHOE,
    stored_attachment,
    with_attachments,
)
from tests.support.payloads import (
    MID,
    Json,
    Object,
    direct_message,
    instagram_item,
    without,
)

WRONG_VALUES: list[Json] = [None, True, 1.5, " ", [], {}, ["x"], {"a": "b"}]


@pytest.mark.parametrize("value", WRONG_VALUES)
def test_value_of_a_wrong_type_is_absent(value: Json) -> None:
    referral = {"source": "ADS", "ref": value, "ads_context_data": {"ad_title": value}}
    message = {
        "text": "hola",
        "attachments": [{"type": "image", "payload": {"url": value, "title": value}}],
        "reply_to": {"story": {"url": value}},
        "referral": referral,
    }

    assert parse_content(direct_message(**message)).content == {
        "attachments": [{"type": "image"}],
        "referral": {"source_type": "ad"},
    }


def test_long_strings_of_content_are_cut_at_4096_characters() -> None:
    long_text = "x" * 10_000
    message = with_attachments(
        "ig_post", url=long_text, title=long_text, ig_post_media_id=long_text
    )

    (attachment,) = parse_content(direct_message(**message)).content["attachments"]

    assert {name: len(value) for name, value in attachment.items()} == {
        "type": 7,
        "url": 4096,
        "title": 4096,
        "id": 4096,
    }
    assert parse_content(direct_message(text=long_text)).text == long_text


def test_long_choice_is_cut_but_not_the_text() -> None:
    long_text = "x" * 10_000
    cut = {"title": "x" * 4096, "payload": "x" * 4096}

    postback_content = parse_content(
        instagram_item(postback={"title": long_text, "payload": long_text})
    )
    quick_reply_content = parse_content(
        direct_message(text=long_text, quick_reply={"payload": long_text})
    )

    assert postback_content == MessageContent(
        "postback", long_text, {"choice": {"type": "postback", **cut}}
    )
    assert quick_reply_content == MessageContent(
        "text", long_text, {"choice": {"type": "quick_reply", **cut}}
    )


def test_long_attachment_type_is_cut_in_kind_and_content() -> None:
    content = parse_content(direct_message(**with_attachments("x" * 5000)))

    assert content == MessageContent("x" * 512, "", stored_attachment(type="x" * 512))


def test_unknown_attachment_is_kept_up_to_8000_bytes() -> None:
    def raw(length: int) -> Json:
        return parse_content(
            direct_message(**with_attachments("hologram", a="x" * length))
        ).content.get("raw")

    kept = raw(8000 - len('{"a": ""}'))
    assert len(json.dumps(kept)) == 8000
    assert (
        parse_content(direct_message(**with_attachments("hologram", a="ñ" * 4001))).content.get(
            "raw"
        )
        is None
    )
    assert raw(8000 - len('{"a": ""}') + 1) is None


def test_unknown_part_is_kept_up_to_16_levels() -> None:
    def nested(levels: int) -> Json:
        return {"depth": nested(levels - 1)} if levels else {}

    assert parse_content(direct_message(poll=nested(14))) == MessageContent(
        "unknown", "", {"raw": {"poll": nested(14)}}
    )
    assert parse_content(direct_message(poll=nested(15))) == MessageContent("unknown", "")


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
def test_unknown_parts_are_listed_by_name(message: Object, names: list[tuple[str, str]]) -> None:
    ignored_items = [*list_unknown_parts(direct_message(**message))]

    assert [(item.part, item.name) for item in ignored_items] == names
    assert {item[:2] for item in ignored_items} <= {("unknown", "instagram")}
    assert all(isinstance(item, IgnoredItem) for item in ignored_items)


FULL_ITEM: Object = {
    "message": {
        "mid": MID,
        "text": "hola",
        "attachments": [
            {"type": "template", "payload": {"product": {"elements": [SHOE]}, "url": PHOTO_URL}},
            {"type": "story_mention", "payload": {"url": PHOTO_URL}},
            {"type": "hologram", "payload": {"depth": 3}},
        ],
        "quick_reply": {"payload": "RED"},
        "reply_to": {"mid": "m_1", "story": {"id": "175", "url": PHOTO_URL}},
        "referral": AD | {"product": {"id": "5550001"}},
        "is_unsupported": False,
    },
    "postback": {"title": "Ver precios", "payload": "PRICES"},
    "referral": AD,
}


def has_no_empty_value(value: Json) -> bool:
    """Absent values are omitted from content."""
    if isinstance(value, dict):
        return all(map(has_no_empty_value, value.values())) and bool(value)
    if isinstance(value, list):
        return all(map(has_no_empty_value, value)) and bool(value)
    return value is not None and value != ""


@given(st.data())
@THOROUGH
def test_arbitrary_part_of_an_item_leaves_no_empty_value_in_content(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(list_paths(FULL_ITEM))[1:]))
    event = replace_at(FULL_ITEM, path, data.draw(ANY_JSON))

    message = parse_content(event)
    ignored_items = [*list_unknown_parts(event)]

    assert message.kind
    assert isinstance(message.text, str)
    own_content = without({**message.content}, "raw")
    assert not own_content or has_no_empty_value(own_content)
    assert all(item.verdict == "unknown" and item.name for item in ignored_items)


@given(st.dictionaries(st.sampled_from(["message", "postback", "referral"]), ANY_JSON))
@THOROUGH
def test_arbitrary_item_has_a_kind(event: Object) -> None:
    assert parse_content(event).kind
    assert all(item.verdict == "unknown" for item in list_unknown_parts(event))
