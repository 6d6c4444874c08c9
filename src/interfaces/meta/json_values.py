"""Takes what can be taken out of JSON whose shape nobody promises."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from domain.text import UNSTORABLE_CHARACTER_PATTERN

Json: TypeAlias = Any
"""What a JSON text holds: dict, list, str, int, float, bool or None."""

OLDEST = datetime(2010, 1, 1, tzinfo=UTC)
CLOCKS_DIFFER = timedelta(days=1)
MILLISECONDS_FROM = 1e11
"""Seconds reach this number in the year 5138, milliseconds did in 1973."""

LONGEST_NUMBER = 400
LONGEST_ID = 512
"""Meta's message ids have up to 164 characters, and an index entry must stay under 2,700 bytes."""


class NotJson(ValueError):
    """The body is not JSON."""


def parse_json(body: bytes) -> Json:
    """Read the body, with what cannot be stored replaced. Raises NotJson."""
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        # Lone surrogates, broken UTF-8, NaN, numbers without end: not quite JSON, and not worth
        # losing a lead.
        try:
            value = json.loads(
                body.decode(json.detect_encoding(body), "replace"),
                strict=False,
                parse_int=_int,
                parse_float=_float,
                parse_constant=_nothing,
            )
        except (ValueError, RecursionError) as error:
            raise NotJson from error
        return _storable(value)
    return _storable(value) if b"\\u0000" in body else value


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) < LONGEST_NUMBER else None


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _nothing(_: str) -> None:
    return None


def _storable(value: Json) -> Json:
    """Replace in place, and not by recursion: JSON may be nested as deep as Python can go."""
    whole = [value]
    parts: list[Json] = [whole]
    for part in parts:  # which grows meanwhile
        if isinstance(part, dict):
            cleaned = {_storable_text(key): _storable_text(item) for key, item in part.items()}
            part.clear()
            part.update(cleaned)
        else:
            part[:] = map(_storable_text, part)
        inner = part.values() if isinstance(part, dict) else part
        parts += [item for item in inner if isinstance(item, dict | list)]
    return whole[0]


def _storable_text(value: Json) -> Json:
    return UNSTORABLE_CHARACTER_PATTERN.sub("\ufffd", value) if isinstance(value, str) else value


def as_dict(value: Json) -> Mapping[str, Json]:
    """The object, or an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """The items of a list, or the one object that stands where a list should."""
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else []


def as_id_text(value: Json) -> str:
    """The words, or the number as digits, without blanks around; empty where there are none."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def as_message_text(value: Json) -> str:
    """What somebody wrote, blanks and all; empty where it is nothing but blanks."""
    return value if isinstance(value, str) and value.strip() else as_id_text(value)


def as_bool(value: Json) -> bool:
    """Whether it says yes, as a boolean or in a string."""
    return value is True or as_id_text(value).lower() in ("true", "1")


def as_datetime(value: Json, arrived_at: datetime) -> datetime:
    """The time in seconds or milliseconds, number or string; arrival for absurd or missing ones."""
    try:
        number = float(value)
        seconds = number / 1000 if number >= MILLISECONDS_FROM else number
        time = datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return arrived_at
    return time if OLDEST <= time <= arrived_at + CLOCKS_DIFFER else arrived_at


def message_id(given: Json, *content: Json) -> str:
    """The id Meta gave; else one derived from the content, so that a repeat derives the same."""
    if found := as_id_text(given):
        return found
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    return f"derived:{digest.hexdigest()[:32]}"
