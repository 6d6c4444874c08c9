"""A delivery is kept, whatever it holds and whatever else is broken."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from application.apply_changes import ApplyChanges
from application.breaker import Breaker
from application.errors import StorageUnavailable
from application.ingest_messages import Counters, IngestMessages
from application.ports import Delivery, Spool

PATIENCE = 1.0
"""Seconds for a storage that says nothing at all, so that the answer comes within 2 s."""

PATIENCE_PER_MESSAGE = 0.002
"""A thousand messages may take longer."""

LONGEST = 4.0
"""Seconds for one that is busy and stores others meanwhile; Meta gives Instagram's receivers 5."""

STEP = 0.1

AT_ONCE = 64
"""How many deliveries a worker stores at the same time; the others wait for their turn."""


@dataclass(frozen=True, slots=True)
class StoreDelivery:
    """Stores its messages first, because its changes may be about them."""

    ingest_messages: IngestMessages
    apply_changes: ApplyChanges

    async def __call__(self, delivery: Delivery) -> Counters:
        """Say what became of the messages; changes are not counted.

        Raises StorageUnavailable where not all could be kept.
        """
        counters = await self.ingest_messages(delivery.messages)
        await self.apply_changes(delivery.changes)
        return counters


@dataclass(frozen=True, slots=True)
class ReceiveDelivery:
    """Stores a delivery, or puts it into the spool where the storage cannot take it in time."""

    store_delivery: StoreDelivery
    spool: Spool
    breaker: Breaker
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def __call__(self, delivery: Delivery, body: bytes, arrived_at: datetime) -> Counters:
        """Say what became of the messages: those in the spool count as failed.

        Raises SpoolFull where not even the spool can keep it: the delivery must come again.
        """
        received = len(delivery.messages)
        if not received and not delivery.changes:
            return Counters.of(0)
        if not self.breaker.is_open:
            try:
                counters = await self._in_time(delivery)
            except StorageUnavailable:
                self.breaker.failed()
            else:
                if counters is not None:
                    self.breaker.succeeded()
                    return counters
        await self.spool.put(body, arrived_at)
        return Counters.of(received, failed=received)

    async def _in_time(self, delivery: Delivery) -> Counters | None:
        """Store it, or give up: None where there is too much to do.

        Raises StorageUnavailable where the storage stores nothing for anybody. Not by
        `asyncio.timeout`: a driver whose server is frozen needs seconds to be cancelled. What is
        stored nevertheless is a duplicate for whoever empties the spool.
        """
        work = asyncio.create_task(self._in_turn(delivery))
        patience = PATIENCE + PATIENCE_PER_MESSAGE * len(delivery.messages)
        waited = 0.0
        while waited < LONGEST:
            done, _ = await asyncio.wait({work}, timeout=STEP)
            if done:
                return work.result()
            waited += STEP
            if waited >= patience and self.breaker.silence >= PATIENCE:
                break
        work.add_done_callback(_forget)
        work.cancel()
        if waited < LONGEST:
            raise StorageUnavailable("no answer in time")
        return None

    async def _in_turn(self, delivery: Delivery) -> Counters:
        async with self.turns:
            return await self.store_delivery(delivery)


def _forget(work: asyncio.Task[Counters]) -> None:
    """Nobody waits for it any more, so nobody needs to hear how it failed."""
    if not work.cancelled():
        work.exception()
