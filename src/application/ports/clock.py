"""The clock port: the current time, which tests stop and move."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Tests stop it."""

    def now(self) -> datetime:
        """Return the current time, in UTC and with its zone."""
        ...
