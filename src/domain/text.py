"""Rules about text: which characters the storage accepts, and which a reader can see."""

import re
import unicodedata

UNSTORABLE_CHARACTER_PATTERN = re.compile(r"[\x00\ud800-\udfff]")
"""Matches one NUL or lone surrogate. PostgreSQL refuses both in `text` and in `jsonb`."""

INVISIBLE_CATEGORIES = {"Cc", "Cf", "Zl", "Zp", "Zs"}
"""Unicode categories of control characters, direction and zero-width marks, and blanks."""

INVISIBLE_CHARACTERS = {
    "\u034f",  # combining grapheme joiner
    "\u115f",  # Hangul choseong filler
    "\u1160",  # Hangul jungseong filler
    "\u17b4",  # Khmer inherent vowel aq
    "\u17b5",  # Khmer inherent vowel aa
    "\u2800",  # blank Braille pattern
    "\u3164",  # Hangul filler
    "\uffa0",  # halfwidth Hangul filler
    *map(chr, range(0xFE00, 0xFE10)),  # variation selectors
}
"""Characters that are shown as nothing although their category is that of letters or marks."""

MAX_SEARCHED_CHARACTERS = 1000
"""A text counts as invisible if its first 1,000 characters are; this bounds the time."""


def is_visible(text: str) -> bool:
    """Return whether a reader sees anything of the text: False for "" and for blanks."""
    return any(
        unicodedata.category(character) not in INVISIBLE_CATEGORIES
        and character not in INVISIBLE_CHARACTERS
        for character in text[:MAX_SEARCHED_CHARACTERS]
    )
