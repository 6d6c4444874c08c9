"""The text that the storage accepts: every character except NUL and lone surrogates."""

import re

UNSTORABLE_CHARACTER_PATTERN = re.compile(r"[\x00\ud800-\udfff]")
"""Matches one NUL or lone surrogate. PostgreSQL refuses both in `text` and in `jsonb`."""
