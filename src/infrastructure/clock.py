"""The system clock, as an adapter of the clock port."""

from dataclasses import dataclass
from datetime import UTC, datetime

from application.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class SystemClock(Clock):
    """Reads the operating system's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)
