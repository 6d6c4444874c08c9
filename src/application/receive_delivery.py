"""A delivery is kept, whatever it holds and whatever else is broken."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

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

STEP = 0.05
"""Seconds from one look at those that wait to the next."""


class _Waiting(NamedTuple):
    """Until when to wait whatever happens, and until when if the storage is busy; loop time."""

    first: float
    last: float


@dataclass(slots=True)
class Patience:
    """Ends the waiting of deliveries that have waited long enough.

    It looks at all of them together: a timer for each would cost every delivery time.
    """

    breaker: Breaker
    _waiting: "dict[asyncio.Future[Counters | None], _Waiting]" = field(default_factory=dict)
    _next_look: asyncio.TimerHandle | None = None

    async def wait(self, stored: "asyncio.Future[Counters | None]", size: int) -> Counters | None:
        """What becomes of a delivery of `size` messages: None where there is too much to do.

        Raises StorageUnavailable where the storage stores nothing for anybody. What it stores
        nevertheless is a duplicate for whoever empties the spool.
        """
        loop = asyncio.get_running_loop()
        first = loop.time() + PATIENCE + PATIENCE_PER_MESSAGE * size
        self._waiting[stored] = _Waiting(first, max(first, loop.time() + LONGEST))
        if self._next_look is None:
            self._next_look = loop.call_later(STEP, self._look)
        try:
            return await stored
        finally:
            del self._waiting[stored]

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, is_silent = loop.time(), self.breaker.silence >= PATIENCE
        for stored, (first, last) in self._waiting.items():
            if stored.done():
                continue
            if is_silent and now >= first:
                stored.set_exception(StorageUnavailable("no answer in time"))
            elif now >= last:
                stored.set_result(None)
        self._next_look = loop.call_later(STEP, self._look) if self._waiting else None


@dataclass(frozen=True, slots=True)
class ReceiveDelivery:
    """Stores a delivery, or puts it into the spool where the storage cannot take it in time."""

    group_commit: GroupCommit
    spool: Spool
    breaker: Breaker
    patience: Patience

    async def __call__(self, delivery: Delivery, body: bytes, arrived_at: datetime) -> Counters:
        """Say what became of the messages: those in the spool count as failed.

        Raises SpoolFull where not even the spool can keep it: the delivery must come again.
        """
        if not delivery.messages and not delivery.changes:
            return Counters.of([])
        if not self.breaker.is_open:
            stored = self.group_commit.put(delivery)
            try:
                counters = await self.patience.wait(stored, len(delivery.messages))
            except StorageUnavailable as error:
                self.breaker.failed(error)
            else:
                if counters is not None:
                    self.breaker.succeeded()
                    return counters
        await self.spool.put(body, arrived_at)
        return Counters.of([Result.FAILED] * len(delivery.messages))
