"""What the service does by itself, beside answering."""

import logging
from dataclasses import dataclass

from application.errors import SpoolFull, StorageUnavailable
from application.ingestion.circuit_breaker import Breaker
from application.recovery.drain_spool import DrainSpool
from application.recovery.retry_failed_messages import RetryFailed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Looks whether the storage is back, empties the spool, tries again what failed."""

    breaker: Breaker
    drain_spool: DrainSpool
    retry_failed: RetryFailed

    async def __call__(self) -> None:
        """Do what there is to do now; what cannot be done now is left for the next time."""
        try:
            if await self.breaker.try_again():
                await self._drain()
                await self.retry_failed.due()
        except StorageUnavailable as error:
            self.breaker.failed(error)

    async def _drain(self) -> None:
        try:
            await self.drain_spool()
        except SpoolFull as error:
            log.critical("spool_unreadable", extra={"reason": str(error)})
