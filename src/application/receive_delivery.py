"""A delivery is kept, whatever it holds and whatever else is broken."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from application.breaker import Breaker
from application.errors import StorageUnavailable
from application.ingest_messages import Counters, Result
from application.ports import Delivery, Spool
from application.store_deliveries import GroupCommit

PATIENCE = 1.0
"""Seconds for a storage that says nothing at all, so that the answer comes within 2 s."""

PATIENCE_PER_MESSAGE = 0.002
"""A thousand messages may take longer."""

LONGEST = 4.0
"""Seconds for one that is busy and stores others meanwhile; Meta gives Instagram's receivers 5."""

STEP = 0.1


@dataclass(frozen=True, slots=True)
class ReceiveDelivery:
    """Stores a delivery, or puts it into the spool where the storage cannot take it in time."""

    group_commit: GroupCommit
    spool: Spool
    breaker: Breaker

    async def __call__(self, delivery: Delivery, body: bytes, arrived_at: datetime) -> Counters:
        """Say what became of the messages: those in the spool count as failed.

        Raises SpoolFull where not even the spool can keep it: the delivery must come again.
        """
        if not delivery.messages and not delivery.changes:
            return Counters.of([])
        if not self.breaker.is_open:
            try:
                counters = await self._in_time(delivery)
            except StorageUnavailable as error:
                self.breaker.failed(error)
            else:
                if counters is not None:
                    self.breaker.succeeded()
                    return counters
        await self.spool.put(body, arrived_at)
        return Counters.of([Result.FAILED] * len(delivery.messages))

    async def _in_time(self, delivery: Delivery) -> Counters | None:
        """Store it, or give up: None where there is too much to do.

        Raises StorageUnavailable where the storage stores nothing for anybody. What it stores
        nevertheless is a duplicate for whoever empties the spool.
        """
        stored = self.group_commit.put(delivery)
        waited, step = 0.0, PATIENCE + PATIENCE_PER_MESSAGE * len(delivery.messages)
        while waited < LONGEST:
            done, _ = await asyncio.wait({stored}, timeout=step)
            if done:
                return stored.result()
            waited, step = waited + step, STEP
            if self.breaker.silence >= PATIENCE:
                break
        stored.cancel()
        if waited < LONGEST:
            raise StorageUnavailable("no answer in time")
        return None
