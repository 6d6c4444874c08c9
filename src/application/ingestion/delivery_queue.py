"""The delivery queue: deliveries that arrive together share a transaction (group commit)."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from application.errors import StorageUnavailable
from application.ingestion.circuit_breaker import CircuitBreaker
from application.ingestion.ingest_messages import Counters
from application.ingestion.store_deliveries import StoreDeliveries
from application.ports.delivery import Delivery

MOST = 500
"""Messages and changes in one transaction, unless one delivery has more: the others wait for it."""

LANES = 2
"""Transactions at a time: the database works on one while the other is being thought out."""

FEW = 8
"""Deliveries that are not worth dividing: so much is the same for a transaction of any size."""


class _QueuedDelivery(NamedTuple):
    """A delivery that shall be stored, and who waits for that.

    It is stored alone where something unforeseen happened to the group that it was in.
    """

    delivery: Delivery
    stored: "asyncio.Future[Counters | None]"
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryQueue:
    """A few transactions at a time, of about the same size; others share the next ones.

    One delivery alone waits for nobody. What goes wrong with one is nothing to its neighbours.
    """

    store: StoreDeliveries
    _waiting: "deque[_QueuedDelivery]" = field(default_factory=deque)
    _under_way: "dict[asyncio.Task[list[Counters]], list[_QueuedDelivery]]" = field(
        default_factory=dict
    )

    def put(self, delivery: Delivery) -> "asyncio.Future[Counters | None]":
        """Store it in its turn; whoever waits no longer ends what this returns, in any way.

        Otherwise it ends as `StoreDeliveries` does for the delivery alone.
        """
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[Counters | None] = loop.create_future()
        self._waiting.append(_QueuedDelivery(delivery, stored))
        if len(self._under_way) < LANES:
            loop.call_soon(self._begin)  # with those that have come in the same moment
        return stored

    def _begin(self) -> None:
        """Begin what is worth a transaction: beside another one, only as many as that has.

        Were it fewer, those answered together would come back together, and all be in one
        transaction for ever while the other lane has one or two.
        """
        while self._waiting and len(self._under_way) < LANES:
            busy = sum(map(len, self._under_way.values()))
            if len(self._waiting) < busy:
                return
            if group := self._next(max(FEW, (busy + len(self._waiting)) // LANES)):
                work = asyncio.create_task(self.store([each.delivery for each in group]))
                self._under_way[work] = group
                work.add_done_callback(self._end)
                _stop_for_nobody(work, group)

    def _next(self, most: int) -> list[_QueuedDelivery]:
        """Take the oldest that somebody still waits for, as many as fit."""
        group: list[_QueuedDelivery] = []
        size = 0
        while self._waiting and len(group) < most:
            first = self._waiting[0]
            size += len(first.delivery.messages) + len(first.delivery.changes)
            if group and (size > MOST or first.is_alone or group[0].is_alone):
                break
            self._waiting.popleft()
            if not first.stored.done():
                group.append(first)
        return group

    def _end(self, work: "asyncio.Task[list[Counters]]") -> None:
        """Tell those who wait, and begin with those that came meanwhile."""
        group = self._under_way.pop(work)
        error = None if work.cancelled() else work.exception()
        if error and len(group) > 1 and not isinstance(error, StorageUnavailable):
            self._waiting.extendleft(each._replace(is_alone=True) for each in reversed(group))
        else:
            for index, (_, stored, _) in enumerate(group):
                if stored.done():
                    continue
                if work.cancelled():
                    stored.cancel()
                elif error:
                    stored.set_exception(error)
                else:
                    stored.set_result(work.result()[index])
        self._begin()


def _stop_for_nobody(
    work: "asyncio.Task[list[Counters]]", group: Sequence[_QueuedDelivery]
) -> None:
    """Cancel the work when nobody waits for any of the group any more."""

    def stop(_: object) -> None:
        if not work.done() and all(each.stored.done() for each in group):
            work.cancel()

    for each in group:
        each.stored.add_done_callback(stop)


PATIENCE = 1.0
"""Seconds for a storage that says nothing at all, so that the answer comes within 2 s."""

PATIENCE_PER_MESSAGE = 0.002
"""A thousand messages may take longer."""

LONGEST = 4.0
"""Seconds for one that is busy and stores others meanwhile; Meta gives Instagram's receivers 5."""

STEP = 0.05
"""Seconds from one look at those that wait to the next."""


class _Deadlines(NamedTuple):
    """Until when to wait whatever happens, and until when if the storage is busy; loop time."""

    first: float
    last: float


@dataclass(slots=True)
class DeliveryTimeouts:
    """Ends the waiting of deliveries that have waited long enough.

    It looks at all of them together: a timer for each would cost every delivery time.
    """

    breaker: CircuitBreaker
    _waiting: "dict[asyncio.Future[Counters | None], _Deadlines]" = field(default_factory=dict)
    _next_look: asyncio.TimerHandle | None = None

    async def wait(self, stored: "asyncio.Future[Counters | None]", size: int) -> Counters | None:
        """What becomes of a delivery of `size` messages: None where there is too much to do.

        Raises StorageUnavailable where the storage stores nothing for anybody. What it stores
        nevertheless is a duplicate for whoever empties the spool.
        """
        loop = asyncio.get_running_loop()
        first = loop.time() + PATIENCE + PATIENCE_PER_MESSAGE * size
        self._waiting[stored] = _Deadlines(first, max(first, loop.time() + LONGEST))
        if self._next_look is None:
            self._next_look = loop.call_later(STEP, self._look)
        try:
            return await stored
        finally:
            del self._waiting[stored]

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, is_silent = loop.time(), self.breaker.seconds_since_success >= PATIENCE
        for stored, (first, last) in self._waiting.items():
            if stored.done():
                continue
            if is_silent and now >= first:
                stored.set_exception(StorageUnavailable("no answer in time"))
            elif now >= last:
                stored.set_result(None)
        self._next_look = loop.call_later(STEP, self._look) if self._waiting else None
