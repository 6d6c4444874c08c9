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
    """A delivery that shall be stored, and who waits for that."""

    delivery: Delivery
    stored: "asyncio.Future[Counters | None]"


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """A few transactions at a time, each with all that came while the others were under way.

    One delivery alone waits for nobody. What goes wrong with one is nothing to its neighbours.
    """

    store: StoreDeliveries
    _waiting: "deque[_Waiting]" = field(default_factory=deque)
    _lanes: "set[asyncio.Task[None] | None]" = field(default_factory=set)

    def put(self, delivery: Delivery) -> "asyncio.Future[Counters | None]":
        """Store it in its turn; whoever waits no longer ends what this returns, in any way.

        Otherwise it ends as `StoreDeliveries` does for the delivery alone.
        """
        stored: asyncio.Future[Counters | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(delivery, stored))
        if len(self._lanes) < LANES:
            self._lanes.add(asyncio.create_task(self._run()))
        return stored

    async def _run(self) -> None:
        try:
            while group := self._next():
                await self._store(group)
        finally:
            # At once, and not when the task is seen to be done: somebody may come in between.
            self._lanes.discard(asyncio.current_task())

    def _next(self) -> list[_Waiting]:
        """Take the oldest that somebody still waits for, as many as fit."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting:
            delivery, stored = self._waiting[0]
            size += len(delivery.messages) + len(delivery.changes)
            if group and size > MOST:
                break
            self._waiting.popleft()
            if not stored.done():
                group.append(_Waiting(delivery, stored))
        return group

    async def _store(self, group: list[_Waiting]) -> None:
        every = [delivery for delivery, _ in group]
        work = asyncio.create_task(self.store(every))

        def stop_for_nobody(_: object) -> None:
            if not work.done() and all(stored.done() for _, stored in group):
                work.cancel()

        for _, stored in group:
            stored.add_done_callback(stop_for_nobody)
        await asyncio.wait({work})
        error = None if work.cancelled() else work.exception()
        if error and len(group) > 1 and not isinstance(error, StorageUnavailable):
            for each in group:
                await self._store([each])
            return
        for index, (_, stored) in enumerate(group):
            if not stored.done():
                if error:
                    stored.set_exception(error)
                else:
                    stored.set_result(work.result()[index])
