"""A circuit breaker for the storage: after repeated failures no delivery waits for it (D60)."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from application.errors import StorageRefused, StorageUnavailable

log = logging.getLogger(__name__)

FAILURES_TO_OPEN = 3
"""Consecutive failures until the breaker opens."""


@dataclass(slots=True)
class CircuitBreaker:
    """Opens after FAILURES_TO_OPEN consecutive failures, and closes when a probe succeeds.

    `probe` returns where the storage answers, and raises StorageUnavailable or StorageRefused
    where it does not.
    """

    probe: Callable[[], Awaitable[None]]
    _failures: int = 0
    _last_error: StorageUnavailable | None = None
    _succeeded_at: float = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether the storage is taken to be away, so that no call should wait for it."""
        return self._failures >= FAILURES_TO_OPEN

    @property
    def seconds_since_success(self) -> float:
        """The seconds since a transaction last succeeded; infinite where none ever did."""
        return time.monotonic() - self._succeeded_at

    def record_failure(self, error: StorageUnavailable) -> None:
        """Count a failure. Deliveries that shared a failed transaction raise one error: one failure."""
        if error is self._last_error:
            return
        self._last_error = error
        self._failures += 1
        if self._failures == FAILURES_TO_OPEN:
            log.error("storage_given_up", extra={"failures": FAILURES_TO_OPEN})

    def record_success(self) -> None:
        """Reset the count of failures, and so close the breaker."""
        self._failures, self._last_error = 0, None
        self._succeeded_at = time.monotonic()

    async def probe_if_open(self) -> bool:
        """Probe the storage if the breaker is open, and close it if the probe succeeds.

        Returns whether the breaker is closed.
        """
        if self.is_open:
            try:
                await self.probe()
            except (StorageUnavailable, StorageRefused):
                return False
            log.warning("storage_is_back")
            self.record_success()
        return True
