"""Shifts the clock of a Python process by the seconds in the file `offset` beside this module.

Python imports it at start-up when its folder is on PYTHONPATH. It shifts the service's clock and
`time.time`. As on a machine whose clock is set, the monotonic clock, which timeouts use, is not
shifted.
"""

import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from infrastructure import clock

OFFSET_FILE = Path(__file__).with_name("offset")
read_system_time = time.time


def read_offset() -> float:
    """Read the offset in seconds; 0 without a readable file."""
    try:
        return float(OFFSET_FILE.read_text())
    except (OSError, ValueError):
        return 0.0


class ShiftedDatetime:
    """Replaces `datetime` in the service's clock."""

    @staticmethod
    def now(tz: tzinfo) -> datetime:
        return datetime.now(tz) + timedelta(seconds=read_offset())


clock.datetime = ShiftedDatetime  # type: ignore[assignment, attr-defined]
time.time = lambda: read_system_time() + read_offset()
