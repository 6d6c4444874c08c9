"""Decoding JSON, and reading values whose types are not guaranteed."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from domain.inbound import InboundMessage
from interfaces.meta.delivery import MetaDeliveryParser
from interfaces.meta.json_values import (
    NotJson,
    as_bool,
    as_datetime,
    as_dict,
    as_list,
    as_stripped_text,
    parse_json,
    read_or_derive_id,
)
from tests.support.builders import NOON
from tests.support.payloads import (
    HOLA,
    Json,
    encode,
    message_delivery,
    without,
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
def test_json_is_decoded(body: bytes, value: Json) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\x00",
        b"hola",
        b"object=instagram&entry=1",
        b"<xml/>",
        b"{'a': 1}",
        b'{"a": 1',
        b'{"a": "hola',
        b'{"a":',
        b'{"a": 1}}',
        b"[1,]",
        b"[] []",
        b"nul",
        b"\xff\xfe\xff",
        pytest.param(b"[" * 100_000, id="nested and not closed"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nested too deep"),
        pytest.param(encode(message_delivery(HOLA))[:-1], id="a delivery without its end"),
    ],
)
def test_body_that_is_not_json_raises_not_json(body: bytes) -> None:
    with pytest.raises(NotJson):
        parse_json(body)
    with pytest.raises(NotJson):
        MetaDeliveryParser().parse(body, NOON)


def delivery_with_nested_part(depth: int) -> bytes:
    """A delivery of one message, which has no id and a part of so many nested lists.

    The id is derived from the whole message, so the part is decoded and encoded again.
    """
    nested = "[" * depth + '"\\u0000"' + "]" * depth
    delivery = message_delivery(without(HOLA, "id") | {"tomorrow": "HERE"})
    return encode(delivery).replace(b'"HERE"', nested.encode())


@pytest.mark.parametrize("depth", [400, 500, 900])
def test_message_with_nesting_below_the_recursion_limit_is_parsed(depth: int) -> None:
    (message,) = MetaDeliveryParser().parse(delivery_with_nested_part(depth), NOON).messages

    assert isinstance(message, InboundMessage)
    assert message.body == "hola"


@pytest.mark.parametrize("depth", [20_000, 100_000])
def test_body_with_nesting_beyond_every_recursion_limit_is_not_json(depth: int) -> None:
    """Python 3.11 stops at about 990 levels, 3.12 at less than 1,500, 3.13 at less than 10,000."""
    with pytest.raises(NotJson):
        MetaDeliveryParser().parse(delivery_with_nested_part(depth), NOON)


def test_nesting_around_the_recursion_limit_is_parsed_or_not_json() -> None:
    """The decoders and the encoder of a derived id have limits of their own."""

    def is_parsed(depth: int) -> bool:
        try:
            delivery = MetaDeliveryParser().parse(delivery_with_nested_part(depth), NOON)
        except NotJson:
            return False
        return len(delivery.messages) == 1

    outcomes = [is_parsed(depth) for depth in range(900, 1600)]

    assert outcomes[0]
    assert outcomes == sorted(outcomes, reverse=True)


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
def test_characters_that_postgresql_cannot_store_are_replaced(body: bytes, value: Json) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000])
def test_numbers_out_of_range_become_none(number: str) -> None:
    assert parse_json(f'{{"a": {number}, "b": [{number}, "ñ", 1.5, 2]}}'.encode()) == {
        "a": None,
        "b": [None, "ñ", 1.5, 2],
    }


@pytest.mark.parametrize("digits", [19, 20, 399])
def test_integers_of_up_to_399_digits_keep_their_digits(digits: int) -> None:
    assert parse_json(b'[%s, "\\ud83d"]' % (b"9" * digits)) == [10**digits - 1, "�"]
    assert parse_json(b"[%s]" % (b"9" * digits)) == [10**digits - 1]


@pytest.mark.parametrize(
    "value",
    [
        1795347000,
        1795347000.0,
        "1795347000",
        " 1795347000 ",
        "1795347000.0",
        1795347000000,
        1795347000000.0,
        "1795347000000",
    ],
)
def test_timestamp_is_in_seconds_or_milliseconds(value: Json) -> None:
    assert as_datetime(value, NOON) == HALF_PAST_ELEVEN


@pytest.mark.parametrize("value", [1795347000.25, "1795347000.25", 1795347000250, "1795347000250"])
def test_timestamp_keeps_its_fraction_of_a_second(value: Json) -> None:
    assert as_datetime(value, NOON) == HALF_PAST_ELEVEN + timedelta(milliseconds=250)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "hoy",
        "2026-11-22T11:30:00Z",
        "0x6b",
        [],
        [1795347000],
        {},
        {"a": 1},
        True,
        0,
        1,
        -1,
        "0",
        -1795347000,
        "-1795347000000",
        1e10,
        1795347000_000_000,
        1e18,
        1e300,
        10**350,
        -(10**350),
        "9" * 5000,
        float("nan"),
        float("inf"),
        float("-inf"),
        "nan",
        "inf",
        "-Infinity",
        "1e999",
    ],
    ids=lambda value: repr(value)[:24],
)
def test_unreadable_timestamp_is_replaced_by_arrival(value: Json) -> None:
    assert as_datetime(value, NOON) == NOON


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("1262304000", datetime(2010, 1, 1, tzinfo=UTC)),
        ("1262303999", NOON),
        ("1795435200", NOON + timedelta(days=1)),
        ("1795435201", NOON),
        ("1262304000000", datetime(2010, 1, 1, tzinfo=UTC)),
        ("1795435200001", NOON),
    ],
)
def test_timestamp_is_between_2010_and_a_day_after_arrival(value: str, time: datetime) -> None:
    assert as_datetime(value, NOON) == time


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hola", "hola"),
        (" \n hola que tal\t", "hola que tal"),
        ("", ""),
        (" ", ""),
        (0, "0"),
        (5491155550001, "5491155550001"),
        (10**30, "1" + "0" * 30),
        (-1, "-1"),
        (None, ""),
        (True, ""),
        (False, ""),
        (1.5, ""),
        ([], ""),
        (["a"], ""),
        ({"a": "b"}, ""),
    ],
)
def test_id_text_is_a_string_or_digits(value: Json, text: str) -> None:
    assert as_stripped_text(value) == text


@pytest.mark.parametrize("value", [True, "true", "True", " TRUE ", "1", 1])
def test_bool_is_true_in_many_forms(value: Json) -> None:
    assert as_bool(value) is True


@pytest.mark.parametrize(
    "value", [False, None, "false", "", "0", "no", 0, 2, 1.0, [], [True], {}, {"a": True}]
)
def test_bool_is_false_otherwise(value: Json) -> None:
    assert as_bool(value) is False


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ([], []),
        ([1, None, {}], [1, None, {}]),
        ({"a": 1}, [{"a": 1}]),
        ({}, [{}]),
        (None, []),
        ("ab", []),
        (7, []),
        (True, []),
        (1.5, []),
    ],
)
def test_list_may_be_a_single_object(value: Json, items: list[Json]) -> None:
    assert as_list(value) == items


@pytest.mark.parametrize(
    ("value", "members"),
    [({"a": 1}, {"a": 1}), ({}, {}), (None, {}), ([], {}), ([{}], {}), ("a", {}), (7, {})],
)
def test_dict_is_an_object_or_empty(value: Json, members: dict[str, Json]) -> None:
    assert as_dict(value) == members


@pytest.mark.parametrize(
    ("value", "id"), [("wamid.1", "wamid.1"), (" m_1\n", "m_1"), (7, "7"), (0, "0")]
)
def test_id_is_that_of_meta_where_there_is_one(value: Json, id: str) -> None:
    assert read_or_derive_id(value, "1065", {"a": 1}) == read_or_derive_id(value) == id


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, True, 1.5])
def test_derived_id_is_the_same_for_a_repeat_only(value: Json) -> None:
    derive = partial(read_or_derive_id, value)
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
