"""What the service does by itself, beside answering."""

import logging
from dataclasses import dataclass

from application.errors import SpoolUnavailable, StorageUnavailable
from application.ingestion.circuit_breaker import CircuitBreaker
from application.recovery.drain_spool import DrainSpool
from application.recovery.retry_failed_messages import RetryFailedMessages

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunMaintenance:
    """Looks whether the storage is back, empties the spool, tries again what failed."""

    breaker: CircuitBreaker
    drain_spool: DrainSpool
    retry_failed_messages: RetryFailedMessages

    async def __call__(self) -> None:
        """Do what there is to do now; what cannot be done now is left for the next time."""
        try:
            if await self.breaker.probe_if_open():
                await self._drain()
                await self.retry_failed_messages.due()
        except StorageUnavailable as error:
            self.breaker.record_failure(error)

    async def _drain(self) -> None:
        try:
            await self.drain_spool()
        except SpoolUnavailable as error:
            log.critical("spool_unreadable", extra={"reason": str(error)})
