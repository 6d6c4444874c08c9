"""Steps the clock of a Python process: found on PYTHONPATH, it adds what the file beside it says.

The service's clock and `time.time` step; the monotonic clock, by which timeouts are kept, does
not, as on a machine whose clock is set.
"""

import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from infrastructure import clock

OFFSET = Path(__file__).with_name("offset")
real_time = time.time


def offset() -> float:
    try:
        return float(OFFSET.read_text())
    except (OSError, ValueError):
        return 0.0


class Stepped:
    """In the place of `datetime`."""

    @staticmethod
    def now(tz: tzinfo) -> datetime:
        return datetime.now(tz) + timedelta(seconds=offset())


clock.datetime = Stepped  # type: ignore[assignment, attr-defined]
time.time = lambda: real_time() + offset()
