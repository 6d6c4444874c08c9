"""Asks nobody who did not answer: a circuit breaker for the storage."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from application.errors import StorageRefused, StorageUnavailable

log = logging.getLogger(__name__)

FAILURES_TO_OPEN = 3
"""In a row, until nobody asks any more."""


@dataclass(slots=True)
class CircuitBreaker:
    """Open after some failures in a row, so that nobody waits for what will not answer.

    `probe` says whether the storage answers again: by returning, or by raising
    StorageUnavailable.
    """

    probe: Callable[[], Awaitable[None]]
    _failures: int = 0
    _error: StorageUnavailable | None = None
    _succeeded_at: float = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether it is no use to ask."""
        return self._failures >= FAILURES_TO_OPEN

    @property
    def seconds_since_success(self) -> float:
        """Seconds since the storage last did what it was asked."""
        return time.monotonic() - self._succeeded_at

    def record_failure(self, error: StorageUnavailable) -> None:
        """Count a failure: once, however many deliveries shared the transaction that failed."""
        if error is self._error:
            return
        self._error = error
        self._failures += 1
        if self._failures == FAILURES_TO_OPEN:
            log.error("storage_given_up", extra={"failures": FAILURES_TO_OPEN})

    def record_success(self) -> None:
        """Forget the failures."""
        self._failures, self._error = 0, None
        self._succeeded_at = time.monotonic()

    async def probe_if_open(self) -> bool:
        """Probe if it is open; whether it is closed now."""
        if self.is_open:
            try:
                await self.probe()
            except (StorageUnavailable, StorageRefused):
                return False
            log.warning("storage_is_back")
            self.record_success()
        return True
