"""The delivery queue: deliveries that arrive together share a transaction (group commit, D65)."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from application.errors import StorageUnavailable
from application.ingestion.circuit_breaker import CircuitBreaker
from application.ingestion.ingest_messages import Counters
from application.ports.delivery import Delivery

MAX_ITEMS_PER_TRANSACTION = 500
"""Messages and changes in one transaction. A delivery with more has a transaction of its own."""

MAX_CONCURRENT_TRANSACTIONS = 2
"""The transactions of a worker. With two, Python prepares one while PostgreSQL executes the other."""

MIN_DELIVERIES_PER_GROUP = 8
"""Deliveries. Groups up to this size are not split: the fixed cost of a second transaction exceeds
the gain."""

SILENT_STORAGE_TIMEOUT_SECONDS = 1.0
"""The timeout of a delivery while the storage stores nothing. The answer then comes within 2 s."""

SECONDS_PER_MESSAGE = 0.002
"""What each message of a delivery adds to that timeout."""

BUSY_STORAGE_TIMEOUT_SECONDS = 4.0
"""The timeout of a delivery while the storage stores others. Meta gives Instagram's receivers 5 s."""

DEADLINE_CHECK_INTERVAL_SECONDS = 0.05
"""The interval between two checks of all pending deliveries."""


class Outcome(Enum):
    """How waiting for a pending delivery ended."""

    STORED = auto()
    BUSY = auto()
    SILENT = auto()


@dataclass(slots=True, eq=False)
class PendingDelivery:
    """A delivery in the queue. It ends once; later calls that would end it do nothing.

    ========= ============================ ============================== =====================
    state     entered by                   the caller                     the queue
    ========= ============================ ============================== =====================
    queued    `DeliveryQueue.add`          waits                          starts it in its turn
    running   its group's transaction      waits                          waits for it
    stored    `complete`                   returns the counters           is done with it
    failed    `fail`                       raises the error, or spools    is done with it
    busy      `give_up(Outcome.BUSY)`      spools the body                drops it, see below
    silent    `give_up(Outcome.SILENT)`    spools it, counts a failure    drops it, see below
    cancelled the caller's task, `cancel`  is gone                        drops it, see below
    ========= ============================ ============================== =====================

    The queue does not start a delivery that has ended. It cancels a transaction when all
    deliveries of its group have ended. What the storage did nevertheless is a duplicate when the
    spool drains. `is_isolated` is True where an unexpected error failed its group: the delivery
    then gets a transaction of its own.
    """

    delivery: Delivery
    counters: Counters | None = None
    is_isolated: bool = False
    _outcome: "asyncio.Future[Outcome]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def item_count(self) -> int:
        """The number of messages and changes."""
        return len(self.delivery.messages) + len(self.delivery.changes)

    @property
    def has_ended(self) -> bool:
        """Whether the caller waits no longer."""
        return self._outcome.done()

    def complete(self, counters: Counters) -> None:
        """End it as stored."""
        if not self.has_ended:
            self.counters = counters
            self._outcome.set_result(Outcome.STORED)

    def fail(self, error: BaseException) -> None:
        """End it with the error of its transaction."""
        if not self.has_ended:
            self._outcome.set_exception(error)

    def give_up(self, outcome: Outcome) -> None:
        """End it without a result: the timeout for a busy or silent storage has passed."""
        if not self.has_ended:
            self._outcome.set_result(outcome)

    def cancel(self) -> None:
        """End it because its transaction was cancelled."""
        self._outcome.cancel()

    async def wait(self) -> Outcome:
        """Wait until it ends. Raises the error that it failed with."""
        return await self._outcome

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        """Call back when it ends, in whatever way."""
        self._outcome.add_done_callback(callback)


@dataclass(slots=True)
class DeliveryTimeouts:
    """Gives pending deliveries up when their timeout passes (D60).

    One timer checks all of them: a timer for each would cost every delivery 11 µs of about 116.
    """

    breaker: CircuitBreaker
    silent_seconds: float = SILENT_STORAGE_TIMEOUT_SECONDS
    busy_seconds: float = BUSY_STORAGE_TIMEOUT_SECONDS
    poll_seconds: float = DEADLINE_CHECK_INTERVAL_SECONDS
    _deadlines: dict[PendingDelivery, tuple[float, float]] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None

    async def wait(self, pending: PendingDelivery) -> Outcome:
        """Wait for the delivery, no longer than its timeouts allow. Raises its error.

        The first deadline counts while the storage stores nothing, the second one always.
        """
        loop = asyncio.get_running_loop()
        now, messages = loop.time(), len(pending.delivery.messages)
        silent_at = now + self.silent_seconds + SECONDS_PER_MESSAGE * messages
        self._deadlines[pending] = silent_at, max(silent_at, now + self.busy_seconds)
        if self._timer is None:
            self._timer = loop.call_later(self.poll_seconds, self._check)
        try:
            return await pending.wait()
        finally:
            del self._deadlines[pending]

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_silent = self.breaker.seconds_since_success >= self.silent_seconds
        for pending, (silent_at, busy_at) in self._deadlines.items():
            if is_silent and now >= silent_at:
                pending.give_up(Outcome.SILENT)
            elif now >= busy_at:
                pending.give_up(Outcome.BUSY)
        self._timer = loop.call_later(self.poll_seconds, self._check) if self._deadlines else None


@dataclass(frozen=True, slots=True)
class DeliveryQueue:
    """Runs a few transactions at a time, of about the same size; later deliveries share the next.

    A delivery that arrives alone is stored at once. An unexpected error fails only the delivery
    that causes it: the others of its group are stored again, each alone.
    """

    store: Callable[[Sequence[Delivery]], Coroutine[Any, Any, list[Counters]]]
    max_items: int = MAX_ITEMS_PER_TRANSACTION
    max_transactions: int = MAX_CONCURRENT_TRANSACTIONS
    min_group_deliveries: int = MIN_DELIVERIES_PER_GROUP
    _queued: deque[PendingDelivery] = field(default_factory=deque)
    _running: "dict[asyncio.Task[list[Counters]], list[PendingDelivery]]" = field(
        default_factory=dict
    )

    def add(self, delivery: Delivery) -> PendingDelivery:
        """Queue the delivery. A caller that stops waiting must call `give_up` on the result."""
        pending = PendingDelivery(delivery)
        self._queued.append(pending)
        if len(self._running) < self.max_transactions:
            # Deliveries that arrive in the same iteration of the loop share the transaction.
            asyncio.get_running_loop().call_soon(self._start_transactions)
        return pending

    def _start_transactions(self) -> None:
        """Start a transaction, unless fewer deliveries are queued than the running one has.

        Without this rule, clients answered by one large transaction send their next requests
        together, so one transaction keeps nearly all of them and the other carries one or two at
        full fixed cost.
        """
        while self._queued and len(self._running) < self.max_transactions:
            running = sum(map(len, self._running.values()))
            if len(self._queued) < running:
                return
            share = (running + len(self._queued)) // self.max_transactions
            if group := self._take_group(max(self.min_group_deliveries, share)):
                self._start(group)

    def _take_group(self, max_deliveries: int) -> list[PendingDelivery]:
        """Take the oldest queued deliveries that fit into one transaction, and drop ended ones."""
        group: list[PendingDelivery] = []
        items = 0
        while self._queued and len(group) < max_deliveries:
            first = self._queued[0]
            items += first.item_count
            if group and (items > self.max_items or first.is_isolated or group[0].is_isolated):
                break
            self._queued.popleft()
            if not first.has_ended:
                group.append(first)
        return group

    def _start(self, group: list[PendingDelivery]) -> None:
        """Start the group's transaction; cancel it when all of the group have ended."""
        work = asyncio.create_task(self.store([pending.delivery for pending in group]))
        self._running[work] = group
        work.add_done_callback(self._finish)

        def cancel_if_all_ended(_: object) -> None:
            if not work.done() and all(pending.has_ended for pending in group):
                work.cancel()

        for pending in group:
            pending.add_done_callback(cancel_if_all_ended)

    def _finish(self, work: "asyncio.Task[list[Counters]]") -> None:
        """End the group's deliveries, and start the next transactions."""
        group = self._running.pop(work)
        if work.cancelled():
            for pending in group:
                pending.cancel()
        elif (error := work.exception()) is None:
            for pending, counters in zip(group, work.result(), strict=True):
                pending.complete(counters)
        elif len(group) > 1 and not isinstance(error, StorageUnavailable):
            for pending in reversed(group):
                pending.is_isolated = True
                self._queued.appendleft(pending)
        else:
            for pending in group:
                pending.fail(error)
        self._start_transactions()
