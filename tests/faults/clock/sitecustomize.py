"""Steps the clock of a Python process: found on PYTHONPATH, it adds what the file beside it says.

`datetime.now` and `time.time` step; the monotonic clock, by which timeouts are kept, does not, as
on a machine whose clock is set.
"""

import datetime as dt
import time
from pathlib import Path
from typing import Any

OFFSET = Path(__file__).with_name("offset")
Real = dt.datetime
real_time = time.time


def offset() -> float:
    try:
        return float(OFFSET.read_text())
    except (OSError, ValueError):
        return 0.0


class AnyDatetime(type):
    """What C code makes is one too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, Real)


class datetime(Real, metaclass=AnyDatetime):  # noqa: N801 - as the standard library has it
    """Makes real ones, of another time."""

    __slots__ = ()

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return Real(*arguments, **named)

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return Real.now(tz) + dt.timedelta(seconds=offset())


dt.datetime = datetime  # type: ignore[misc]
time.time = lambda: real_time() + offset()
