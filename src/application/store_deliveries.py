"""Deliveries are stored together: those that arrive meanwhile share the next transaction."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from application.apply_changes import ApplyChanges
from application.errors import StorageUnavailable
from application.ingest_messages import Counters, IngestMessages
from application.ports import Delivery

MOST = 500
"""Messages and changes in one transaction, unless one delivery has more: the others wait for it."""

LANES = 2
"""Transactions at a time: the database works on one while the other is being thought out."""

FEW = 8
"""Deliveries that are not worth dividing: so much is the same for a transaction of any size."""


@dataclass(frozen=True, slots=True)
class StoreDeliveries:
    """Stores the messages of all first, because changes may be about them."""

    ingest_messages: IngestMessages
    apply_changes: ApplyChanges

    async def __call__(self, deliveries: Sequence[Delivery]) -> list[Counters]:
        """Say what became of the messages of each; changes are not counted.

        Raises StorageUnavailable where not all could be kept.
        """
        messages = [message for delivery in deliveries for message in delivery.messages]
        results = iter(await self.ingest_messages(messages))
        await self.apply_changes([c for delivery in deliveries for c in delivery.changes])
        return [Counters.of(islice(results, len(d.messages))) for d in deliveries]


class _Waiting(NamedTuple):
    """A delivery that shall be stored, and who waits for that.

    It is stored alone where something unforeseen happened to the group that it was in.
    """

    delivery: Delivery
    stored: "asyncio.Future[Counters | None]"
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """A few transactions at a time, of about the same size; others share the next ones.

    One delivery alone waits for nobody. What goes wrong with one is nothing to its neighbours.
    """

    store: StoreDeliveries
    _waiting: "deque[_Waiting]" = field(default_factory=deque)
    _under_way: "dict[asyncio.Task[list[Counters]], list[_Waiting]]" = field(default_factory=dict)

    def put(self, delivery: Delivery) -> "asyncio.Future[Counters | None]":
        """Store it in its turn; whoever waits no longer ends what this returns, in any way.

        Otherwise it ends as `StoreDeliveries` does for the delivery alone.
        """
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[Counters | None] = loop.create_future()
        self._waiting.append(_Waiting(delivery, stored))
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

    def _next(self, most: int) -> list[_Waiting]:
        """Take the oldest that somebody still waits for, as many as fit."""
        group: list[_Waiting] = []
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


def _stop_for_nobody(work: "asyncio.Task[list[Counters]]", group: Sequence[_Waiting]) -> None:
    """Cancel the work when nobody waits for any of the group any more."""

    def stop(_: object) -> None:
        if not work.done() and all(each.stored.done() for each in group):
            work.cancel()

    for each in group:
        each.stored.add_done_callback(stop)
