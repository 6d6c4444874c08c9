"""Builders of a message's structured content: what is absent is left out, what is large is cut."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from interfaces.meta.json_values import Json, as_id_text

Content: TypeAlias = dict[str, Any]

LONGEST_TEXT = 4096
"""Where a string is cut that is not the person's own words."""

LONGEST_EMOJI = 64
LARGEST_RAW = 8000
DEEPEST = 16
"""Nesting beyond this is nobody's answer, and would break whoever writes it as JSON again."""


def drop_empty(**parts: Any) -> Content:
    """All but what is absent; zero and False are present."""
    return {name: part for name, part in parts.items() if part not in (None, "", [], {})}


def pick_texts(part: Mapping[str, Json], *names: str) -> Content:
    """Those of the names under which there is a text or number, cut."""
    return {name: found[:LONGEST_TEXT] for name in names if (found := as_id_text(part.get(name)))}


def raw(part: Json) -> Mapping[str, Json] | None:
    """A small object as it came, for those who will know what it means; None for anything else."""
    if not isinstance(part, dict) or not is_shallow(part):
        return None
    size = len(json.dumps(part, ensure_ascii=False).encode(errors="replace"))
    return part if size <= LARGEST_RAW else None


def is_shallow(value: Json, levels: int = DEEPEST) -> bool:
    """Whether nothing in it is nested deeper."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(part, levels - 1) for part in inner)
