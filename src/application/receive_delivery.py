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
"""Seconds for the storage, so that the answer comes within 2 s."""

PATIENCE_PER_MESSAGE = 0.002
"""A thousand messages may take longer, and still be answered within Meta's 5 s."""

WAIT = 0.2
"""Seconds to wait for a turn, where many deliveries are under way."""

AT_ONCE = 64
"""How many deliveries a worker stores at the same time."""


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
        if not self.breaker.is_open and await self._turn_comes():
            try:
                counters = await self._in_time(delivery)
            except StorageUnavailable:
                self.breaker.failed()
            else:
                self.breaker.succeeded()
                return counters
            finally:
                self.turns.release()
        await self.spool.put(body, arrived_at)
        return Counters.of(received, failed=received)

    async def _turn_comes(self) -> bool:
        try:
            async with asyncio.timeout(WAIT):
                await self.turns.acquire()
        except TimeoutError:
            return False
        return True

    async def _in_time(self, delivery: Delivery) -> Counters:
        """Give up in time, and do not wait until that is done.

        Not by `asyncio.timeout`: a driver whose server is frozen needs seconds to be cancelled.
        What is stored nevertheless is a duplicate for whoever empties the spool.
        """
        work = asyncio.create_task(self.store_delivery(delivery))
        patience = PATIENCE + PATIENCE_PER_MESSAGE * len(delivery.messages)
        done, _ = await asyncio.wait({work}, timeout=patience)
        if not done:
            work.add_done_callback(_forget)
            work.cancel()
            raise StorageUnavailable("no answer in time")
        return work.result()


def _forget(work: asyncio.Task[Counters]) -> None:
    """Nobody waits for it any more, so nobody needs to hear how it failed."""
    if not work.cancelled():
        work.exception()
