"""The machine's clock."""

from dataclasses import dataclass
from datetime import UTC, datetime

from application.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class SystemClock(Clock):
    """The time as the operating system tells it, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)
