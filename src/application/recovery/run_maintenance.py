"""Runs maintenance: probes the storage, drains the spool, and retries failed messages."""

import logging
from dataclasses import dataclass

from application.errors import SpoolUnavailable, StorageUnavailable
from application.ingestion.circuit_breaker import CircuitBreaker
from application.recovery.drain_spool import DrainSpool
from application.recovery.retry_failed_messages import RetryFailedMessages

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunMaintenance:
    """One round of maintenance. Every worker runs one about once a second."""

    breaker: CircuitBreaker
    drain_spool: DrainSpool
    retry_failed_messages: RetryFailedMessages

    async def __call__(self) -> None:
        """Do what is due now. What cannot be done is left for the next round."""
        try:
            if await self.breaker.probe_if_open():
                await self._drain()
                await self.retry_failed_messages.retry_due()
        except StorageUnavailable as error:
            self.breaker.record_failure(error)

    async def _drain(self) -> None:
        try:
            await self.drain_spool()
        except SpoolUnavailable as error:
            log.critical("spool_unreadable", extra={"reason": str(error)})
