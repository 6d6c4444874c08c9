"""Decodes JSON, and reads values from it whose types are not guaranteed."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from domain.text import UNSTORABLE_CHARACTER_PATTERN

Json: TypeAlias = Any
"""A decoded JSON value: dict, list, str, int, float, bool or None."""

EARLIEST_TIME = datetime(2010, 1, 1, tzinfo=UTC)
"""An earlier timestamp is taken for an error."""

MAX_CLOCK_DIFFERENCE = timedelta(days=1)
"""How far a timestamp may lie after the arrival of its delivery."""

MIN_MILLISECONDS_TIMESTAMP = 1e11
"""A timestamp from this number on is in milliseconds.

Seconds reach it in the year 5138; milliseconds reached it in 1973.
"""

MAX_INTEGER_CHARACTERS = 399
"""A longer integer becomes None; Python itself refuses to convert more than 4,300 digits."""

MAX_ID_CHARACTERS = 512
"""Meta's message ids have up to 164 characters, and an index entry must stay under 2,700 bytes."""


class NotJson(ValueError):
    """The body cannot be decoded as JSON."""


def parse_json(body: bytes) -> Json:
    """Decode the body; U+FFFD replaces every character that cannot be stored.

    A body that is nearly JSON is decoded too, because it may hold a lead (D53): lone surrogates and
    broken UTF-8 are replaced, control characters in strings are kept, and NaN, infinities and
    integers of more than 399 characters become None. Raises NotJson for every other body, and for
    one that is nested too deep for the decoders.
    """
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        try:
            value = json.loads(
                body.decode(json.detect_encoding(body), "replace"),
                strict=False,
                parse_int=_parse_integer,
                parse_float=_parse_float,
                parse_constant=_discard_constant,
            )
        except (ValueError, RecursionError) as error:
            raise NotJson from error
        return _replace_unstorable(value)
    return _replace_unstorable(value) if b"\\u0000" in body else value


def _parse_integer(characters: str) -> int | None:
    return int(characters) if len(characters) <= MAX_INTEGER_CHARACTERS else None


def _parse_float(characters: str) -> float | None:
    number = float(characters)
    return number if math.isfinite(number) else None


def _discard_constant(_: str) -> None:
    """Replace NaN, Infinity and -Infinity with None."""


def _replace_unstorable(value: Json) -> Json:
    """Replace unstorable characters in place, in all keys and strings.

    It keeps a list of containers instead of recursing, because the decoders accept nesting up to
    Python's recursion limit.
    """
    root = [value]
    containers: list[Json] = [root]
    for container in containers:  # the loop appends the containers that it finds inside
        if isinstance(container, dict):
            cleaned = {
                _replace_unstorable_in(key): _replace_unstorable_in(member)
                for key, member in container.items()
            }
            container.clear()
            container.update(cleaned)
        else:
            container[:] = map(_replace_unstorable_in, container)
        members = container.values() if isinstance(container, dict) else container
        containers += [member for member in members if isinstance(member, dict | list)]
    return root[0]


def _replace_unstorable_in(value: Json) -> Json:
    return UNSTORABLE_CHARACTER_PATTERN.sub("\ufffd", value) if isinstance(value, str) else value


def as_dict(value: Json) -> Mapping[str, Json]:
    """Return the object, or {} for any other type."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """Return the list; [value] for an object that stands where a list belongs; else []."""
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else []


def as_stripped_text(value: Json) -> str:
    """Return a string without surrounding blanks, or an integer's digits; "" for other types."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def as_message_text(value: Json) -> str:
    """Return a string with its blanks as written, or an integer's digits.

    Returns "" for other types and for a string that is nothing but blanks.
    """
    return value if isinstance(value, str) and value.strip() else as_stripped_text(value)


def as_bool(value: Json) -> bool:
    """Return True for true, 1, "1" and "true" in any case; False for everything else."""
    return value is True or as_stripped_text(value).lower() in ("true", "1")


def as_datetime(value: Json, arrived_at: datetime) -> datetime:
    """Return the time of a timestamp in seconds or milliseconds, a number or a string.

    Returns `arrived_at` where the timestamp is missing, cannot be read, lies before 2010, or more
    than a day after `arrived_at` (D55).
    """
    try:
        number = float(value)
        seconds = number / 1000 if number >= MIN_MILLISECONDS_TIMESTAMP else number
        time = datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return arrived_at
    return time if EARLIEST_TIME <= time <= arrived_at + MAX_CLOCK_DIFFERENCE else arrived_at


def read_or_derive_id(id: Json, *content: Json) -> str:
    """Return Meta's id; where there is none, a hash of the content (D54).

    A repeat of the same content derives the same id: `derived:` and 32 hexadecimal digits.
    """
    if id_text := as_stripped_text(id):
        return id_text
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    return f"derived:{digest.hexdigest()[:32]}"
