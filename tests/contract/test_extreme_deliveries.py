"""Deliveries with huge, deep, repeated and unstorable values are stored as far as possible."""

import json
from collections.abc import Callable

import pytest

from tests.support.builders import NOON
from tests.support.mutations import (
    DUPLICATE,
    INTACT_TEXT,
    SERIAL,
    Json,
    Object,
    encode_body,
    make_account_entry,
    make_change,
    make_entry,
    make_instagram_delivery,
    make_intact_direct_message,
    make_intact_message,
    make_whatsapp_delivery,
    nest,
    write_raw,
)
from tests.support.posting import PostingHarness

pytestmark = pytest.mark.slow


@pytest.fixture(params=["memory", "postgres"])
def harness(request: pytest.FixtureRequest) -> PostingHarness:
    """The webhook endpoint over each storage in turn."""
    harness: PostingHarness = request.getfixturevalue(f"{request.param}_harness")
    return harness


def make_other_message(**parts: Json) -> Object:
    """Make a message of WhatsApp to stand beside the intact one."""
    return make_intact_message() | {"from": "15550100142", "id": f"other.{SERIAL}"} | parts


def make_other_direct_message(**parts: Json) -> Object:
    """Make a message of Instagram to stand beside the intact one."""
    return make_intact_direct_message() | {"message": {"mid": f"other.{SERIAL}", **parts}}


def encode_with_intact(message: Json) -> bytes:
    """Encode a delivery with the message, and the intact one after it."""
    if isinstance(message, dict) and "recipient" in message:
        return encode_body(
            make_instagram_delivery(make_account_entry(message, make_intact_direct_message()))
        )
    return encode_body(
        make_whatsapp_delivery(make_entry(make_change(message, make_intact_message())))
    )


def test_text_of_three_megabytes_is_stored_whole(harness: PostingHarness) -> None:
    text = "otra vez " * 333_333

    posted = harness.post(encode_with_intact(make_other_message(text={"body": text})))

    assert posted.intact_text == INTACT_TEXT
    message = posted.find_message(f"other.{SERIAL}")
    assert message
    assert message.body == text


def test_thousand_messages_of_three_megabytes_are_all_stored(harness: PostingHarness) -> None:
    text = "otra vez " * 320
    messages = [
        make_other_message(id=f"{n}.{SERIAL}", text={"body": text}, **{"from": f"155501{n:05}"})
        for n in range(1000)
    ]

    posted = harness.post(
        encode_body(
            make_whatsapp_delivery(make_entry(make_change(*messages, make_intact_message())))
        )
    )

    assert posted.counters["ingested"] == 1001
    for n in range(0, 1000, 100):
        message = posted.find_message(f"{n}.{SERIAL}")
        assert message
        assert message.body == text


DEEP_VALUES = [write_raw(nest(900)), write_raw(nest(900, '{"a":', "}", "0"))]
MESSAGES_WITH_VALUE: dict[str, Callable[[Json], Object]] = {
    "text": lambda deep: make_other_message(text=deep),
    "body": lambda deep: make_other_message(text={"body": deep}),
    "unknown type": lambda deep: make_other_message(type="hologram", hologram={"a": deep}),
    "choice": lambda deep: make_other_message(
        type="interactive", interactive={"button_reply": deep}
    ),
    "form": lambda deep: make_other_message(
        type="interactive", interactive={"nfm_reply": {"response_json": deep}}
    ),
    "form with raw answers": lambda deep: make_other_message(
        type="interactive", interactive={"nfm_reply": {"response_json": nest(900), "name": deep}}
    ),
    "reply": lambda deep: make_other_message(context=deep),
    "referral": lambda deep: make_other_message(referral={"source_id": deep}),
    "unknown part": lambda deep: make_other_message(thoughts=deep),
    "time": lambda deep: make_other_message(timestamp=deep),
    "id": lambda deep: make_other_message(id=deep),
    "unknown part beside NUL": lambda deep: make_other_message(
        thoughts=deep, text={"body": "a\x00b"}
    ),
    "unknown part beside a lone surrogate": lambda deep: make_other_message(
        thoughts=deep, text={"body": "a\ud800b"}
    ),
    "Instagram's text": lambda deep: make_other_direct_message(text=deep),
    "Instagram's attachment": lambda deep: make_other_direct_message(
        attachments=[{"type": "x", "payload": deep}]
    ),
    "Instagram's unknown part": lambda deep: make_other_direct_message(thoughts=deep),
    "Instagram's id": lambda deep: make_other_direct_message(mid=deep),
}


@pytest.mark.parametrize("deep", DEEP_VALUES, ids=["lists", "objects"])
@pytest.mark.parametrize("where", MESSAGES_WITH_VALUE)
def test_value_nested_900_deep_prevents_no_message_from_being_stored(
    harness: PostingHarness, where: str, deep: str
) -> None:
    posted = harness.post(encode_with_intact(MESSAGES_WITH_VALUE[where](deep)))

    assert posted.counters == {"received": 2, "ingested": 2, "skipped": 0, "failed": 0}
    assert posted.intact_text == INTACT_TEXT


@pytest.mark.parametrize("deep", DEEP_VALUES, ids=["lists", "objects"])
def test_unreadable_message_nested_900_deep_is_stored_as_failed(
    harness: PostingHarness, deep: str
) -> None:
    posted = harness.post(encode_with_intact(make_other_message(thoughts=deep, **{"from": None})))

    assert posted.counters == {"received": 2, "ingested": 1, "skipped": 0, "failed": 1}
    assert posted.intact_text == INTACT_TEXT


def test_value_nested_500000_deep_is_answered_with_200(memory_harness: PostingHarness) -> None:
    for levels in (1000, 10_000, 500_000):
        answer = memory_harness.webhook.post(
            encode_with_intact(make_other_message(thoughts=write_raw(nest(levels))))
        )

        assert answer.status_code == 200


EXTREME_NUMBERS = {
    name: write_raw(number)
    for name, number in {
        "long": "9" * 400,
        "long and negative": "-" + "9" * 400,
        "long and small": "0." + "0" * 399 + "1",
        "longer than Python reads": "9" * 5000,
        "long in a string": f'"{"8" * 400}"',
        "infinite": "1e400",
        "infinite and negative": "-1e400",
        "not a number": "NaN",
    }.items()
}
MESSAGES_WITH_NUMBER: dict[str, Callable[[Json], Object]] = {
    "time": lambda number: make_other_message(timestamp=number),
    "id": lambda number: make_other_message(id=number, text={"body": SERIAL}),
    "latitude": lambda number: make_other_message(type="location", location={"latitude": number}),
    "quantity and price": lambda number: make_other_message(
        type="order", order={"product_items": [{"quantity": number, "item_price": number}]}
    ),
    "code": lambda number: make_other_message(type="unsupported", errors=[{"code": number}]),
    "text": lambda number: make_other_message(text={"body": number}),
    "answer in a form": lambda number: make_other_message(
        type="interactive", interactive={"nfm_reply": {"response_json": {"edad": number}}}
    ),
    "unknown type": lambda number: make_other_message(type="hologram", hologram={"depth": number}),
    "Instagram's time": lambda number: (
        make_other_direct_message(text="hola") | {"timestamp": number}
    ),
    "Instagram's sticker": lambda number: make_other_direct_message(
        attachments=[{"type": "image", "payload": {"sticker_id": number}}]
    ),
}


@pytest.mark.parametrize("number", EXTREME_NUMBERS)
@pytest.mark.parametrize("where", MESSAGES_WITH_NUMBER)
def test_extreme_number_prevents_no_message_from_being_stored(
    harness: PostingHarness, where: str, number: str
) -> None:
    posted = harness.post(encode_with_intact(MESSAGES_WITH_NUMBER[where](EXTREME_NUMBERS[number])))

    assert posted.counters == {"received": 2, "ingested": 2, "skipped": 0, "failed": 0}
    assert posted.intact_text == INTACT_TEXT


@pytest.mark.parametrize(
    "time", ["1e400", "-1e400", "NaN", "-1", "9" * 400, '"99999999999999999"', '"mañana"', "[]"]
)
def test_absurd_time_is_replaced_by_the_time_of_arrival(harness: PostingHarness, time: str) -> None:
    posted = harness.post(encode_with_intact(make_other_message(timestamp=write_raw(time))))

    message = posted.find_message(f"other.{SERIAL}")

    assert message
    assert message.sent_at == NOON


@pytest.mark.parametrize(
    ("duplicates", "kind", "body"),
    [
        ({"id": "first", f"{DUPLICATE}id": f"other.{SERIAL}"}, "text", INTACT_TEXT),
        ({f"{DUPLICATE}type": "image"}, "image", "[image]"),
        ({f"{DUPLICATE}text": {"body": "hola"}}, "text", "hola"),
        ({f"{DUPLICATE}text": {"body": "hola", f"{DUPLICATE}body": "adiós"}}, "text", "adiós"),
        ({f"{DUPLICATE}from": "15550100143"}, "text", INTACT_TEXT),
        ({f"{DUPLICATE}timestamp": None}, "text", INTACT_TEXT),
    ],
)
def test_last_of_two_parts_with_one_name_counts(
    harness: PostingHarness, duplicates: Object, kind: str, body: str
) -> None:
    posted = harness.post(encode_with_intact(make_other_message(**duplicates)))

    message = posted.find_message(f"other.{SERIAL}")
    assert message
    assert (message.kind, message.body, posted.intact_text) == (kind, body, INTACT_TEXT)


@pytest.mark.parametrize(
    ("message", "body", "content"),
    [
        (make_other_message(text={"body": "a\x00b\ud800c"}), "a\ufffdb\ufffdc", {}),
        (make_other_message(text={"body": "\x00"}), "\ufffd", {}),
        (make_other_message(id=f"other.{SERIAL}\x00"), INTACT_TEXT, {}),
        (
            make_other_message(type="document", document={"filename": "a\x00b.pdf"}),
            "[document: a\ufffdb.pdf]",
            {"media": {"filename": "a\ufffdb.pdf"}},
        ),
        (
            make_other_message(
                type="interactive",
                interactive={
                    "nfm_reply": {"response_json": r'{"a\u0000": "b\u0000", "c": "\ud800"}'}
                },
            ),
            "[form: b\ufffd, \ufffd]",
            {"flow": {"answers": {"a\ufffd": "b\ufffd", "c": "\ufffd"}}},
        ),
        (
            make_other_message(
                type="interactive", interactive={"nfm_reply": {"response_json": "a\x00b"}}
            ),
            "[form]",
            {"flow": {"raw": "a\ufffdb"}},
        ),
        (
            make_other_message(type="holo\x00gram", **{"holo\x00gram": {"\x00": "\ud800"}}),
            "[holo\ufffdgram]",
            {"raw": {"\ufffd": "\ufffd"}},
        ),
    ],
)
def test_unstorable_characters_of_a_message_are_replaced(
    harness: PostingHarness, message: Object, body: str, content: Object
) -> None:
    posted = harness.post(encode_with_intact(message))

    stored = posted.find_message(message["id"].replace("\x00", "\ufffd"))
    assert stored
    assert (stored.body, stored.content, posted.intact_text) == (body, content, INTACT_TEXT)


def test_unstorable_characters_of_a_name_are_replaced(harness: PostingHarness) -> None:
    card = {"profile": {"name": "An\x00a \udfff"}, "wa_id": "15550100144"}
    change = make_change(
        make_other_message(**{"from": "15550100144"}), make_intact_message(), contacts=[card]
    )

    posted = harness.post(encode_body(make_whatsapp_delivery(make_entry(change))))

    assert posted.intact_text == INTACT_TEXT
    assert "An\ufffda \ufffd" in {
        message["contact"] for message in harness.webhook.read_stored().messages
    }


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe{", b'{"entry":[}', b"[1,]"])
def test_body_that_is_not_json_is_ignored(harness: PostingHarness, body: bytes) -> None:
    answer = harness.webhook.post(body)

    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("hola", "the item of `messages` is not an object"),
        (None, "the item of `messages` is not an object"),
        (7, "the item of `messages` is not an object"),
        ({}, "`from` and `from_user_id` are missing"),
        (make_other_message(**{"from": ""}), "`from` and `from_user_id` are missing"),
        (make_other_message(**{"from": "1" * 100_000}), "an id is longer than 512 characters"),
        (make_other_message(id="x" * 100_000), "an id is longer than 512 characters"),
        (make_other_direct_message(text="hola") | {"sender": None}, "`sender.id` is missing"),
        (
            make_other_direct_message(text="hola") | {"sender": {"id": "1" * 100_000}},
            "an id is longer than 512 characters",
        ),
        (make_other_direct_message(mid="x" * 100_000), "an id is longer than 512 characters"),
        (make_other_direct_message() | {"message": "hola"}, "`message` is not an object"),
    ],
)
def test_unreadable_message_is_stored_as_it_was_delivered(
    harness: PostingHarness, message: Json, error: str
) -> None:
    posted = harness.post(encode_with_intact(message))

    (failed,) = posted.failed
    (entry,) = failed.payload["entry"]
    is_instagram = "messaging" in entry
    value = entry if is_instagram else entry["changes"][0]["value"]
    stored = value["messaging" if is_instagram else "messages"]
    delivered = json.loads(json.dumps(message).replace(SERIAL, posted.serial))
    assert (failed.error, stored, posted.intact_text) == (error, [delivered], INTACT_TEXT)
