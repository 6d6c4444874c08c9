"""Builds the `content` of a message: omits absent values, cuts long strings, drops large objects."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from interfaces.meta.json_values import Json, as_stripped_text

Content: TypeAlias = dict[str, Any]
"""The `content` of a message, or a part of it, by the keys in `docs/MESSAGES.md`."""

MAX_TEXT_CHARACTERS = 4096
"""Strings in `content` are cut here. The sender's own text is never cut."""

MAX_EMOJI_CHARACTERS = 64

MAX_RAW_BYTES = 8000
"""Size as JSON of an object that is kept as Meta sent it."""

MAX_NESTING_LEVELS = 16
"""A deeper object is not kept: no known answer is so deep, and writing it as JSON may fail."""


def drop_empty(**parts: Any) -> Content:
    """Return the parts without those that are None, "", [] or {}; 0 and False stay."""
    return {name: part for name, part in parts.items() if part not in (None, "", [], {})}


def pick_texts(part: Mapping[str, Json], *names: str) -> Content:
    """Return the named strings and integers of an object as text, each cut at 4,096 characters.

    Names without such a value are absent from the result.
    """
    return {
        name: text[:MAX_TEXT_CHARACTERS]
        for name in names
        if (text := as_stripped_text(part.get(name)))
    }


def keep_small_object(part: Json) -> Mapping[str, Json] | None:
    """Return an object as Meta sent it; None if it is larger than 8,000 bytes, or no object.

    Objects of types that this version does not know are kept for programs that know them.
    """
    if not isinstance(part, dict) or not is_shallow(part):
        return None
    size = len(json.dumps(part, ensure_ascii=False).encode(errors="replace"))
    return part if size <= MAX_RAW_BYTES else None


def is_shallow(value: Json, levels: int = MAX_NESTING_LEVELS) -> bool:
    """Return whether the value has at most `levels` levels of objects and lists."""
    if not isinstance(value, dict | list):
        return True
    members = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(member, levels - 1) for member in members)
