"""Receives a delivery: stores it, or spools it where the storage cannot take it in time."""

from dataclasses import dataclass
from datetime import datetime

from application.errors import StorageUnavailable
from application.ingestion.circuit_breaker import CircuitBreaker
from application.ingestion.delivery_queue import DeliveryQueue, DeliveryTimeouts, Outcome
from application.ingestion.ingest_messages import Counters, Result
from application.ports.delivery import Delivery, Spool


@dataclass(frozen=True, slots=True)
class ReceiveDelivery:
    """Keeps a delivery: in the storage, or in the spool where the storage is unavailable or too slow."""

    queue: DeliveryQueue
    spool: Spool
    breaker: CircuitBreaker
    timeouts: DeliveryTimeouts

    async def __call__(self, delivery: Delivery, body: bytes, arrived_at: datetime) -> Counters:
        """Keep the delivery and return its counters; spooled messages count as failed.

        Raises SpoolUnavailable where neither storage nor spool can keep it: the provider must
        send it again.
        """
        if not delivery.messages and not delivery.changes:
            return Counters.count([])
        if not self.breaker.is_open:
            counters = await self._store(delivery)
            if counters is not None:
                return counters
        await self.spool.add(body, arrived_at)
        return Counters.count([Result.FAILED] * len(delivery.messages))

    async def _store(self, delivery: Delivery) -> Counters | None:
        """Store the delivery and return its counters; None where the storage cannot take it."""
        pending = self.queue.add(delivery)
        try:
            outcome = await self.timeouts.wait(pending)
        except StorageUnavailable as error:
            self.breaker.record_failure(error)
            return None
        if outcome is Outcome.SILENT:
            self.breaker.record_failure(StorageUnavailable("no answer in time"))
        elif outcome is Outcome.STORED:
            self.breaker.record_success()
        return pending.counters
