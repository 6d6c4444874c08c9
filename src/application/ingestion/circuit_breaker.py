"""Asks nobody who did not answer: a circuit breaker for the storage."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from application.errors import StorageRefused, StorageUnavailable

log = logging.getLogger(__name__)

FAILURES = 3
"""In a row, until nobody asks any more."""


@dataclass(slots=True)
class Breaker:
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
        return self._failures >= FAILURES

    @property
    def silence(self) -> float:
        """Seconds since the storage last did what it was asked."""
        return time.monotonic() - self._succeeded_at

    def failed(self, error: StorageUnavailable) -> None:
        """Count a failure: once, however many deliveries shared the transaction that failed."""
        if error is self._error:
            return
        self._error = error
        self._failures += 1
        if self._failures == FAILURES:
            log.error("storage_given_up", extra={"failures": FAILURES})

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures, self._error = 0, None
        self._succeeded_at = time.monotonic()

    async def try_again(self) -> bool:
        """Probe if it is open; whether it is closed now."""
        if self.is_open:
            try:
                await self.probe()
            except (StorageUnavailable, StorageRefused):
                return False
            log.warning("storage_is_back")
            self.succeeded()
        return True
