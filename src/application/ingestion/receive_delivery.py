"""Receives a delivery: stores it, or spools it where the storage cannot take it in time."""

from dataclasses import dataclass
from datetime import datetime

from application.errors import StorageUnavailable
from application.ingestion.circuit_breaker import CircuitBreaker
from application.ingestion.delivery_queue import DeliveryQueue, DeliveryTimeouts
from application.ingestion.ingest_messages import Counters, Result
from application.ports.delivery import Delivery, Spool


@dataclass(frozen=True, slots=True)
class ReceiveDelivery:
    """Stores a delivery, or puts it into the spool where the storage cannot take it in time."""

    delivery_queue: DeliveryQueue
    spool: Spool
    breaker: CircuitBreaker
    patience: DeliveryTimeouts

    async def __call__(self, delivery: Delivery, body: bytes, arrived_at: datetime) -> Counters:
        """Say what became of the messages: those in the spool count as failed.

        Raises SpoolFull where not even the spool can keep it: the delivery must come again.
        """
        if not delivery.messages and not delivery.changes:
            return Counters.of([])
        if not self.breaker.is_open:
            stored = self.delivery_queue.put(delivery)
            try:
                counters = await self.patience.wait(stored, len(delivery.messages))
            except StorageUnavailable as error:
                self.breaker.record_failure(error)
            else:
                if counters is not None:
                    self.breaker.record_success()
                    return counters
        await self.spool.add(body, arrived_at)
        return Counters.of([Result.FAILED] * len(delivery.messages))
