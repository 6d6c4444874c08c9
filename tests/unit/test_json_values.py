"""Taking what can be taken out of JSON, whatever stands in it."""

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.meta.delivery import MetaDeliveryParser
from interfaces.meta.json_values import (
    NotJson,
    as_bool,
    as_datetime,
    as_dict,
    as_id_text,
    as_list,
    parse_json,
    read_or_derive_id,
)
from tests.support.builders import NOON
from tests.support.payloads import (
    HOLA,
    Json,
    change,
    changes_in,
    decoded,
    dm,
    encoded,
    instagram,
    message_in,
    whatsapp,
)

HALF_PAST_ELEVEN = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, -2.5, "x", true, false, null]}', {"a": [1, -2.5, "x", True, False, None]}),
        (b" [] ", []),
        (b"null", None),
        ('"ñ👋"'.encode(), "ñ👋"),
        (rb'"\u00f1\ud83d\udc4b"', "ñ👋"),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'["a\tb\nc"]', ["a\tb\nc"]),
        (rb'["\\u0000"]', ["\\u0000"]),
    ],
)
def test_json_is_read(body: bytes, value: Json) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"\x00", b"hola", b"object=instagram&entry=1", b"<xml/>", b"{'a': 1}"),
        *(b'{"a": 1', b'{"a": "hola', b'{"a":', b'{"a": 1}}', b"[1,]", b"[] []", b"nul"),
        b"\xff\xfe\xff",
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nested too deep"),
        pytest.param(encoded(whatsapp(change(HOLA)))[:-1], id="a delivery but its end"),
    ],
)
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(NotJson):
        parse_json(body)
    with pytest.raises(NotJson):
        MetaDeliveryParser().parse(body, NOON)


@pytest.mark.parametrize("depth", [400, 500, 900, 989, 990, 1100])
def test_nesting_without_end_is_no_error(depth: int) -> None:
    """Each reader has another limit; beyond it the body is not taken for JSON."""
    deep = "[" * depth + '"\\u0000"' + "]" * depth
    message = {name: value for name, value in HOLA.items() if name != "id"}
    body = encoded(whatsapp(change(message | {"tomorrow": "HERE"}))).decode()

    with contextlib.suppress(NotJson):
        MetaDeliveryParser().parse(body.replace('"HERE"', deep).encode(), NOON)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'["a\u0000b"]', ["a�b"]),
        (b'["a\xff", "\xc3"]', ["a\ufffd", "\ufffd"]),
        (b'["a\x00b"]', ["a�b"]),
        (rb'["a\ud83d"]', ["a�"]),
        (rb'["\udc4bb"]', ["�b"]),
        (rb'["\udc4b\ud83d"]', ["��"]),
        (rb'["\ud83d\u0000\udc4b"]', ["���"]),
        (b'["a\xed\xa0\xbdb"]', ["a\ufffd\ufffd\ufffdb"]),
        (rb'{"\u0000": {"\ud83d": ["\u0000"]}}', {"�": {"�": ["�"]}}),
        (rb'["\ud83d", "\ud83d\udc4b"]', ["�", "👋"]),
    ],
)
def test_what_postgresql_cannot_store_is_replaced(body: bytes, value: Json) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000])
def test_numbers_that_are_none_become_null(number: str) -> None:
    assert parse_json(f'{{"a": {number}, "b": [{number}, "ñ", 1.5, 2]}}'.encode()) == {
        "a": None,
        "b": [None, "ñ", 1.5, 2],
    }


@pytest.mark.parametrize("digits", [19, 20, 399])
def test_long_numbers_keep_their_digits(digits: int) -> None:
    assert parse_json(b'[%s, "\\ud83d"]' % (b"9" * digits)) == [10**digits - 1, "�"]
    assert parse_json(b"[%s]" % (b"9" * digits)) == [10**digits - 1]


STRANGE = [
    *(rb'"\u0000"', rb'"\ud83d"', b'"\x00"', b"NaN", b"-Infinity", b"1e999", b"9" * 5000),
    *(b"-" + b"9" * 5000, b"1" + b"0" * 4999, b'"\n"', b"9" * 350, b"0.0000000000000000001"),
]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda strange: repr(strange[:12]))
def test_nothing_strange_loses_a_message_beside_it(strange: bytes) -> None:
    beside_whatsapp = whatsapp(change(HOLA, tomorrow="HERE"), change(tomorrow="HERE"))
    beside_instagram = instagram({"read": "HERE"}, dm(text="hola"), tomorrow="HERE")

    for delivery in (beside_whatsapp, beside_instagram):
        body = encoded(delivery).replace(b'"HERE"', strange)
        assert MetaDeliveryParser().parse(body, NOON).messages == [message_in(delivery)]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda strange: repr(strange[:12]))
@pytest.mark.parametrize("name", ["timestamp", "context", "text", "type"])
def test_nothing_strange_in_a_message_loses_it(strange: bytes, name: str) -> None:
    delivery = whatsapp(change(HOLA | {name: "HERE"}))

    (message,) = (
        MetaDeliveryParser().parse(encoded(delivery).replace(b'"HERE"', strange), NOON).messages
    )

    assert message_in(message.payload) == message
    assert message_in(message.payload).external_id == "wamid.hola"


@pytest.mark.parametrize(
    "given",
    [
        *(1795347000, 1795347000.0, "1795347000", " 1795347000 ", "1795347000.0"),
        *(1795347000000, 1795347000000.0, "1795347000000"),
    ],
)
def test_a_moment_is_in_seconds_or_milliseconds(given: Json) -> None:
    assert as_datetime(given, NOON) == HALF_PAST_ELEVEN


@pytest.mark.parametrize("given", [1795347000.25, "1795347000.25", 1795347000250, "1795347000250"])
def test_a_moment_has_its_fractions(given: Json) -> None:
    assert as_datetime(given, NOON) == HALF_PAST_ELEVEN + timedelta(milliseconds=250)


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", " ", "hoy", "2026-11-22T11:30:00Z", "0x6b", [], [1795347000], {}, {"a": 1}),
        *(True, 0, 1, -1, "0", -1795347000, "-1795347000000", 1e10, 1795347000_000_000),
        *(1e18, 1e300, 10**350, -(10**350), "9" * 5000),
        *(float("nan"), float("inf"), float("-inf"), "nan", "inf", "-Infinity", "1e999"),
    ],
    ids=lambda given: repr(given)[:24],
)
def test_an_absurd_moment_is_that_of_arrival(given: Json) -> None:
    assert as_datetime(given, NOON) == NOON


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ("1262304000", datetime(2010, 1, 1, tzinfo=UTC)),
        ("1262303999", NOON),
        ("1795435200", NOON + timedelta(days=1)),
        ("1795435201", NOON),
        ("1262304000000", datetime(2010, 1, 1, tzinfo=UTC)),
        ("1795435200001", NOON),
    ],
)
def test_a_moment_is_of_this_age_and_at_most_a_clocks_error_ahead(
    given: str, time: datetime
) -> None:
    assert as_datetime(given, NOON) == time


@pytest.mark.parametrize(
    ("value", "words"),
    [
        *(("hola", "hola"), (" \n hola que tal\t", "hola que tal"), ("", ""), (" ", "")),
        *((0, "0"), (5491155550001, "5491155550001"), (10**30, "1" + "0" * 30), (-1, "-1")),
        *((None, ""), (True, ""), (False, ""), (1.5, ""), ([], ""), (["a"], ""), ({"a": "b"}, "")),
    ],
)
def test_text_is_words_or_digits(value: Json, words: str) -> None:
    assert as_id_text(value) == words


@pytest.mark.parametrize("value", [True, "true", "True", " TRUE ", "1", 1])
def test_a_flag_says_yes_in_many_ways(value: Json) -> None:
    assert as_bool(value) is True


@pytest.mark.parametrize(
    "value", [False, None, "false", "", "0", "no", 0, 2, 1.0, [], [True], {}, {"a": True}]
)
def test_a_flag_says_no_otherwise(value: Json) -> None:
    assert as_bool(value) is False


@pytest.mark.parametrize(
    ("value", "items"),
    [
        *(([], []), ([1, None, {}], [1, None, {}]), ({"a": 1}, [{"a": 1}]), ({}, [{}])),
        *((None, []), ("ab", []), (7, []), (True, []), (1.5, [])),
    ],
)
def test_a_list_may_be_its_only_object(value: Json, items: list[Json]) -> None:
    assert as_list(value) == items


@pytest.mark.parametrize(
    ("value", "members"),
    [*(({"a": 1}, {"a": 1}), ({}, {}), (None, {}), ([], {}), ([{}], {}), ("a", {}), (7, {}))],
)
def test_a_mapping_is_an_object_or_empty(value: Json, members: dict[str, Json]) -> None:
    assert as_dict(value) == members


@pytest.mark.parametrize(
    ("given", "id"), [("wamid.1", "wamid.1"), (" m_1\n", "m_1"), (7, "7"), (0, "0")]
)
def test_an_id_is_metas_where_there_is_one(given: Json, id: str) -> None:
    assert read_or_derive_id(given, "1065", {"a": 1}) == read_or_derive_id(given) == id


@pytest.mark.parametrize("given", [None, "", "  ", [], {}, True, 1.5])
def test_a_derived_id_is_the_same_for_a_repeat_and_for_nothing_else(given: Json) -> None:
    derive = partial(read_or_derive_id, given)
    content = {"title": "sí", "a": [1, None]}

    assert re.fullmatch(r"derived:[0-9a-f]{32}", derive("1065", content))
    assert derive("1065", content) == derive("1065", {"a": [1, None], "title": "sí"})
    different = [
        ("1065", content),
        ("1066", content),
        ("1065", {**content, "title": "si"}),
        ("1065", {**content, "a": ["1", None]}),
        ("1065", {**content, "a": [None, 1]}),
        ("1065", {**content, "b": None}),
        ("1065",),
        (),
    ]
    assert len({derive(*parts) for parts in different}) == len(different)


GOOD = {
    "whatsapp": whatsapp(change(HOLA), change(statuses=[{"id": "wamid.ours", "status": "read"}])),
    "instagram": instagram(dm(text="hola"), standby=[], changes=[{"field": "comments"}]),
}
NAMES = [
    *("object", "entry", "id", "time", "changes", "field", "value", "messaging", "standby"),
    *("messaging_product", "metadata", "phone_number_id", "contacts", "profile", "name", "wa_id"),
    *("user_id", "messages", "from", "from_user_id", "timestamp", "type", "text", "body"),
    *("group_id", "referral", "unsupported", "interactive", "button_reply", "image", "caption"),
    *("sender", "recipient", "message", "mid", "attachments", "payload", "quick_reply", "postback"),
    *("is_echo", "title", "messages", "whatsapp", "whatsapp_business_account", "instagram"),
    *("edit", "revoke", "reaction", "system", "emoji", "original_message_id", "message_id"),
    *("smb_message_echoes", "message_echoes", "user_preferences", "user_id_update", "to", "stop"),
]
WORDS = st.text(st.characters(), max_size=5) | st.sampled_from(NAMES)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


THOROUGH = settings(deadline=None, max_examples=300)


def paths(tree: Json, *above: str | int) -> Iterator[tuple[str | int, ...]]:
    """The way to every part of it."""
    yield above
    steps = range(len(tree)) if isinstance(tree, list) else tree if isinstance(tree, dict) else ()
    for step in steps:
        yield from paths(tree[step], *above, step)


def replaced(tree: Json, path: tuple[str | int, ...], part: Json) -> Json:
    if not path:
        return part
    copy = tree.copy()
    copy[path[0]] = replaced(tree[path[0]], path[1:], part)
    return copy


@given(ANYTHING)
@THOROUGH
def test_any_json_may_be_posted(value: Json) -> None:
    for message in decoded(value):
        assert decoded(message.payload) == [message]
    for one in changes_in(value):
        assert changes_in(one.payload) == [one]


@pytest.mark.parametrize("channel", GOOD)
@given(st.data())
@THOROUGH
def test_anything_may_stand_anywhere_and_loses_no_neighbour(
    channel: str, data: st.DataObject
) -> None:
    entry, good = GOOD[channel]["entry"][0], GOOD[channel]["entry"][0]
    path = data.draw(st.sampled_from(list(paths(entry))))
    part = data.draw(ANYTHING)
    delivery = GOOD[channel] | {"entry": [replaced(entry, path, part), good]}

    found = decoded(delivery)

    assert found[-1] == message_in(GOOD[channel])
    assert [decoded(message.payload) for message in found] == [[message] for message in found]


@pytest.mark.parametrize("channel", GOOD)
@given(st.data())
@THOROUGH
def test_anything_may_stand_in_the_envelope(channel: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(["object", "entry"]))

    for message in decoded(GOOD[channel] | {path: data.draw(ANYTHING)}):
        assert decoded(message.payload) == [message]
