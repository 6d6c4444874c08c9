"""A 200 means kept: in the database, or in the spool until the database is back."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from dependency_injector.providers import Singleton
from litestar import Litestar
from litestar.testing import TestClient

from application.errors import SpoolUnavailable, StorageUnavailable
from application.ingestion.circuit_breaker import FAILURES_TO_OPEN
from application.ingestion.delivery_queue import (
    MAX_CONCURRENT_TRANSACTIONS,
    MAX_ITEMS_PER_TRANSACTION,
    MIN_GROUP_SIZE,
    POLL_INTERVAL_SECONDS,
    SILENT_STORAGE_TIMEOUT_SECONDS,
    DeliveryQueue,
)
from application.ingestion.ingest_messages import Counters
from application.ingestion.store_deliveries import StoreDeliveries
from application.ports.delivery import Delivery
from application.recovery.drain_spool import DELIVERIES_PER_READ, ITEMS_PER_TRANSACTION
from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import Channel
from domain.organization import OrgId
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.support.app import WEBHOOK, Deliver, encode_items, make_text_item, run_in_app, sign
from tests.support.builders import NOON, SHOP_NUMBER, StoppedClock
from tests.support.failing_storage import FailingTransactions, block_forever, raise_unavailable
from tests.support.payloads import HOLA, Object, without
from tests.support.stored_rows import StoredRows

GIVEN_UP_AFTER_SECONDS = SILENT_STORAGE_TIMEOUT_SECONDS + POLL_INTERVAL_SECONDS

SPOOLED = Counters(received=1, ingested=0, skipped=0, failed=1)
STORED = Counters(received=1, ingested=1, skipped=0, failed=0)
DUPLICATE = Counters(received=1, ingested=0, skipped=1, failed=0)
STATUS: Object = {
    "id": "wamid.out",
    "status": "delivered",
    "timestamp": HOLA["timestamp"],
    "recipient_id": "1",
}
REVOKE: Object = {
    **without(HOLA, "text"),
    "id": "wamid.revoke",
    "type": "revoke",
    "revoke": {"original_message_id": "wamid.hola"},
}


async def waiting(spool: SqliteSpool) -> list[str]:
    """The words in the spool, delivery by delivery."""
    values = [
        json.loads(kept.body)["entry"][0]["changes"][0]["value"]
        for kept in await spool.read_oldest(999, 0)
    ]
    items = [value["messages"] for value in values]
    return [" ".join(item.get("text", {}).get("body", item["type"]) for item in m) for m in items]


async def bodies(stored_rows: StoredRows) -> list[str]:
    return sorted(message.body for message in await stored_rows.messages())


async def test_a_delivery_goes_into_the_spool_and_counts_as_failed_while_the_storage_is_away(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    assert shop
    storage.fault = raise_unavailable

    counters = await deliver(make_text_item("one"), make_text_item("two"), without(HOLA, "from"))

    assert counters == Counters(received=3, ingested=0, skipped=0, failed=3)
    assert await waiting(spool) == ["one two hola"]
    await use_cases.run_maintenance()
    assert await waiting(spool) == ["one two hola"]

    storage.fault = None
    await use_cases.run_maintenance()

    assert await waiting(spool) == []
    assert await bodies(stored_rows) == ["one", "two"]
    assert len(await operator_use_cases.list_failed_messages(shop)) == 1


async def test_a_delivery_is_answered_while_the_storage_hangs(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shop
    storage.fault = block_forever
    with monkeypatch.context() as patch:
        patch.setattr(use_cases.receive_delivery.timeouts, "silent_seconds", 0.01)
        async with asyncio.timeout(60):
            assert await deliver(make_text_item("hola")) == SPOOLED
    assert await waiting(spool) == ["hola"]

    storage.fault = None
    await use_cases.run_maintenance()

    assert await bodies(stored_rows) == ["hola"]


def test_there_is_time_to_give_up_and_answer_within_two_seconds() -> None:
    assert GIVEN_UP_AFTER_SECONDS < 1.75


async def test_what_the_storage_did_nevertheless_is_not_stored_twice(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was too late for the answer, and not stopped: so it is in both."""
    assert shop
    began, may_go_on = asyncio.Event(), asyncio.Event()

    async def not_to_be_stopped() -> None:
        began.set()
        while not may_go_on.is_set():
            try:
                await may_go_on.wait()
            except asyncio.CancelledError:
                continue

    storage.fault = not_to_be_stopped
    with monkeypatch.context() as patch:
        patch.setattr(use_cases.receive_delivery.timeouts, "silent_seconds", 0.01)
        assert await deliver(make_text_item("hola")) == SPOOLED
    assert began.is_set()
    storage.fault = None
    may_go_on.set()
    async with asyncio.timeout(60):
        while await bodies(stored_rows) != ["hola"]:
            await asyncio.sleep(0.01)
    assert await waiting(spool) == ["hola"]

    await use_cases.run_maintenance()

    assert await waiting(spool) == []
    assert await bodies(stored_rows) == ["hola"]
    assert len(await stored_rows.events()) == 1


async def test_after_three_failures_nobody_asks_until_a_probe_says_it_is_back(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    container: Container,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    assert FAILURES_TO_OPEN == 3
    for n in range(FAILURES_TO_OPEN):
        assert not container.breaker().is_open
        assert await deliver(make_text_item(f"asked {n}")) == SPOOLED
    assert container.breaker().is_open

    asked = storage.calls
    assert [await deliver(make_text_item(f"not asked {n}")) for n in range(20)] == [SPOOLED] * 20
    assert storage.calls == asked

    await use_cases.run_maintenance()
    assert container.breaker().is_open
    assert storage.calls == asked + 1  # the probe, and no drain after it

    storage.fault = None
    assert await deliver(make_text_item("still not asked")) == SPOOLED
    await use_cases.run_maintenance()
    assert not container.breaker().is_open
    assert await waiting(spool) == []
    assert len(await bodies(stored_rows)) == FAILURES_TO_OPEN + 20 + 1
    assert await deliver(make_text_item("asked again")) == STORED


async def test_a_success_between_failures_keeps_asking(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId, container: Container
) -> None:
    assert shop
    for n in range(FAILURES_TO_OPEN * 2):
        storage.fault = raise_unavailable
        assert await deliver(make_text_item(f"away {n}")) == SPOOLED
        assert await deliver(make_text_item(f"still away {n}")) == SPOOLED
        storage.fault = None
        assert await deliver(make_text_item(f"back {n}")) == STORED
    assert not container.breaker().is_open


async def test_a_drain_that_fails_counts_as_failures_too(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    use_cases: UseCases,
    container: Container,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    await deliver(make_text_item("hola"))

    for _ in range(FAILURES_TO_OPEN - 1):
        await use_cases.run_maintenance()

    assert container.breaker().is_open


async def test_the_spool_drains_in_order_and_each_message_is_stored_once(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    count = DELIVERIES_PER_READ * 2 + 5
    storage.fault = raise_unavailable
    for n in range(count):
        await deliver(make_text_item(f"{n:03}"), make_text_item("in each of them"))
    assert await waiting(spool) == [f"{n:03} in each of them" for n in range(count)]
    storage.fault = None

    seen: list[list[str]] = []

    async def look() -> None:
        seen.append([body for body in await bodies(stored_rows) if body.isdigit()])

    storage.fault = look
    await use_cases.run_maintenance()

    expected = [f"{n:03}" for n in range(count)]
    assert all(stored == expected[: len(stored)] for stored in seen)
    assert any(0 < len(stored) < count for stored in seen)
    assert await waiting(spool) == []
    assert await bodies(stored_rows) == [*expected, "in each of them"]
    assert len(await stored_rows.events()) == count + 1


async def test_what_was_edited_and_taken_back_meanwhile_ends_as_it_should(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    revoked = await deliver(REVOKE)
    said = await deliver(HOLA)
    assert (revoked, said) == (Counters.count([]), SPOOLED)

    storage.fault = None
    await use_cases.run_maintenance()

    assert await bodies(stored_rows) == ["[deleted]"]


async def test_a_large_backlog_is_drained_in_transactions_that_end_in_time(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    count = ITEMS_PER_TRANSACTION + 1
    for n in range(3):
        await deliver(*(make_text_item(f"{n} {m}", by=str(m)) for m in range(count)))

    storage.fault = None
    largest: list[int] = []
    real = StoreDeliveries.__call__

    async def measured(self: StoreDeliveries, deliveries: Sequence[Delivery]) -> list[Counters]:
        largest.append(sum(len(delivery.messages) for delivery in deliveries))
        return await real(self, deliveries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoreDeliveries, "__call__", measured)
        await use_cases.run_maintenance()

    assert max(largest) <= ITEMS_PER_TRANSACTION
    assert sum(largest) == len(await bodies(stored_rows)) == 3 * count


async def test_an_interruption_between_storing_and_removing_doubles_nothing(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    await deliver(make_text_item("hola"))
    await deliver(make_text_item("adiós"))
    storage.fault = None

    async def interrupted(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSpool, "remove", interrupted)
        with pytest.raises(asyncio.CancelledError):
            await use_cases.run_maintenance()
    assert await bodies(stored_rows) == ["adiós", "hola"]
    assert await waiting(spool) == ["hola", "adiós"]

    await use_cases.run_maintenance()

    assert await waiting(spool) == []
    assert await bodies(stored_rows) == ["adiós", "hola"]
    assert len(await stored_rows.events()) == 2


async def test_a_storage_that_goes_away_while_it_drains_loses_and_doubles_nothing(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    count = DELIVERIES_PER_READ + 10
    for n in range(count):
        await deliver(make_text_item(f"{n:03}"))
    storage.fault = None
    await use_cases.run_maintenance.breaker.probe_if_open()

    for allowed in range(1, 5):
        last = storage.calls + allowed

        async def away_after(last: int = last) -> None:
            if storage.calls > last:
                raise StorageUnavailable

        storage.fault = away_after
        await use_cases.run_maintenance()
        assert {*await waiting(spool), *await bodies(stored_rows)} == {
            f"{n:03}" for n in range(count)
        }

    storage.fault = None
    await use_cases.run_maintenance()
    await use_cases.run_maintenance()
    assert await waiting(spool) == []
    assert await bodies(stored_rows) == [f"{n:03}" for n in range(count)]
    assert len(await stored_rows.events()) == count


async def test_new_deliveries_are_stored_while_the_spool_drains(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    await deliver(make_text_item("spooled"))
    draining, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        if not draining.is_set():
            draining.set()
            await may_go_on.wait()

    storage.fault = slowly
    drain = asyncio.create_task(use_cases.run_maintenance())
    await draining.wait()

    assert await deliver(make_text_item("new")) == STORED
    assert await bodies(stored_rows) == ["new"]
    assert await waiting(spool) == ["spooled"]

    may_go_on.set()
    await drain
    assert await bodies(stored_rows) == ["new", "spooled"]
    assert await waiting(spool) == []


async def test_what_is_spooled_while_another_drains_is_not_forgotten(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    await deliver(make_text_item("first"))
    storage.fault = None

    with spool.try_lock() as is_mine:
        assert is_mine
        await use_cases.run_maintenance()
        assert await waiting(spool) == ["first"]
        await spool.add(encode_items(make_text_item("second")), NOON)

    await use_cases.run_maintenance()
    assert await bodies(stored_rows) == ["first", "second"]


async def test_the_time_of_arrival_is_that_of_the_delivery_and_not_of_the_drain(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    """Where Meta names no time it is taken, so an outage must not move it."""
    assert shop
    storage.fault = raise_unavailable
    await deliver(without(HOLA, "timestamp"))
    clock.time = NOON.replace(hour=23)
    storage.fault = None

    await use_cases.run_maintenance()

    (message,) = await stored_rows.messages()
    assert message.sent_at == NOON


async def test_deliveries_that_wait_too_long_behind_another_go_into_the_spool(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shop
    monkeypatch.setattr(use_cases.receive_delivery.timeouts, "silent_seconds", 0.1)
    monkeypatch.setattr(use_cases.receive_delivery.timeouts, "busy_seconds", 0.5)
    monkeypatch.setattr(
        type(container.breaker()), "seconds_since_success", 0
    )  # busy, but not silent
    is_under_way, may_go_on = asyncio.Event(), asyncio.Event()

    async def busy() -> None:
        is_under_way.set()
        await may_go_on.wait()

    storage.fault = busy
    first = asyncio.create_task(deliver(make_text_item("first")))
    await is_under_way.wait()

    beyond = await asyncio.gather(*(deliver(make_text_item(f"beyond {n}")) for n in range(5)))

    assert beyond == [SPOOLED] * 5
    assert await first == SPOOLED
    assert len(await waiting(spool)) == 6
    assert not container.breaker().is_open

    storage.fault = None
    may_go_on.set()
    await use_cases.run_maintenance()
    assert len(await bodies(stored_rows)) == 6


@pytest.fixture
def one_transaction_at_a_time(container: Container) -> None:
    container.delivery_queue.override(
        Singleton(DeliveryQueue, container.store_deliveries, max_transactions=1)
    )


@pytest.mark.usefixtures("one_transaction_at_a_time")
async def test_those_that_come_meanwhile_share_the_next_transaction(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    stored_rows: StoredRows,
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.fault = may_go_on.wait
    storage.rejected_words = {"bad"}
    words = ["first", "same", "same", "bad", "last"]
    tasks = [asyncio.create_task(deliver(make_text_item(body))) for body in words]
    for _ in range(100):
        await asyncio.sleep(0)
    assert storage.calls == 1

    may_go_on.set()
    stored = await asyncio.gather(*tasks)

    assert stored == [STORED, STORED, DUPLICATE, SPOOLED, STORED]
    assert await bodies(stored_rows) == ["first", "last", "same"]
    assert await waiting(spool) == []  # the bad one is kept as failed


@pytest.mark.usefixtures("one_transaction_at_a_time")
async def test_a_transaction_that_fails_is_one_failure_however_many_shared_it(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    container: Container,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    count = FAILURES_TO_OPEN + 1

    together = await asyncio.gather(*(deliver(make_text_item(f"{n}")) for n in range(count)))

    assert together == [SPOOLED] * count
    assert len(await waiting(spool)) == count
    assert storage.calls == 1
    assert not container.breaker().is_open


async def test_who_comes_when_the_last_one_leaves_need_not_wait_for_another(
    deliver: Deliver, shop: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop
    real, came = StoreDeliveries.__call__, list[asyncio.Task[Counters]]()

    async def store(self: StoreDeliveries, deliveries: Sequence[Delivery]) -> list[Counters]:
        counters = await real(self, deliveries)
        if not came:
            came.append(asyncio.create_task(deliver(make_text_item("next"))))
        return counters

    monkeypatch.setattr(StoreDeliveries, "__call__", store)
    async with asyncio.timeout(30):
        assert await deliver(make_text_item("last")) == STORED
        assert await came[0] == STORED


async def test_a_few_transactions_are_enough_for_a_crowd(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.fault = may_go_on.wait
    tasks = [
        asyncio.create_task(deliver(make_text_item(f"{n}", by=f"54911{n:08}")))
        for n in range(MAX_ITEMS_PER_TRANSACTION)
    ]
    many = (
        make_text_item(f"many {n}", by="5491155550002")
        for n in range(MAX_ITEMS_PER_TRANSACTION + 1)
    )
    tasks.append(asyncio.create_task(deliver(*many)))
    tasks.append(asyncio.create_task(deliver(make_text_item("last", by="5491155550003"))))
    while storage.calls < MAX_CONCURRENT_TRANSACTIONS:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert storage.calls == MAX_CONCURRENT_TRANSACTIONS

    may_go_on.set()
    await asyncio.gather(*tasks)

    # Two halves, then those that do not fit; one delivery is never divided.
    assert storage.calls == 4


async def test_a_crowd_is_divided_evenly_and_stays_so(
    deliver: Deliver, shop: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it began: who is answered together comes back together."""
    assert shop
    real, sizes = StoreDeliveries.__call__, list[int]()

    async def store(self: StoreDeliveries, deliveries: Sequence[Delivery]) -> list[Counters]:
        sizes.append(len(deliveries))
        return await real(self, deliveries)

    async def writes(name: int) -> None:
        for n in range(10):
            assert (
                await deliver(make_text_item(f"{name} {n}", by=f"54911555500{name:02}")) == STORED
            )

    monkeypatch.setattr(StoreDeliveries, "__call__", store)
    alone = asyncio.create_task(writes(0))
    await asyncio.sleep(0)
    await asyncio.gather(alone, *(writes(name) for name in range(1, 8 * MIN_GROUP_SIZE)))

    assert sum(sizes) == 80 * MIN_GROUP_SIZE
    assert max(sizes) <= 6 * MIN_GROUP_SIZE
    assert sum(size >= 2 * MIN_GROUP_SIZE for size in sizes) > len(sizes) / 2


async def test_few_beside_many_wait_for_them(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.fault = may_go_on.wait

    async def come(count: int) -> list[asyncio.Task[Counters]]:
        each = (make_text_item(f"{count} {n}", by=f"54911{count:04}{n:04}") for n in range(count))
        tasks = [asyncio.create_task(deliver(message)) for message in each]
        for _ in range(20):
            await asyncio.sleep(0)
        return tasks

    tasks = await come(MIN_GROUP_SIZE)
    assert storage.calls == 1
    tasks += await come(MIN_GROUP_SIZE - 1)
    assert storage.calls == 1
    tasks += await come(1)
    assert storage.calls == 2

    may_go_on.set()
    assert await asyncio.gather(*tasks) == [STORED] * 2 * MIN_GROUP_SIZE
    assert storage.calls == 2


async def test_what_nobody_foresaw_is_nothing_to_the_neighbours(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.fault = may_go_on.wait
    real = StoreDeliveries.__call__

    async def stumbling(self: StoreDeliveries, deliveries: Sequence[Delivery]) -> list[Counters]:
        if any("stumble" in str(delivery) for delivery in deliveries):
            raise ZeroDivisionError
        return await real(self, deliveries)

    monkeypatch.setattr(StoreDeliveries, "__call__", stumbling)
    words = ["first", "one", "stumble", "two"]
    tasks = [asyncio.create_task(deliver(make_text_item(body))) for body in words]
    await asyncio.sleep(0)
    may_go_on.set()

    first, one, error, two = await asyncio.gather(*tasks, return_exceptions=True)

    assert (first, one, two) == (STORED, STORED, STORED)
    assert isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize("fault", [raise_unavailable, block_forever])
async def test_the_next_ones_turn_comes_whatever_happens(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[], Awaitable[None]],
) -> None:
    assert shop
    storage.fault = fault
    with monkeypatch.context() as patch:
        patch.setattr(container.delivery_timeouts(), "silent_seconds", 0.01)
        for n in range(3):
            container.breaker().record_success()
            assert await deliver(make_text_item(f"{n}")) == SPOOLED
    storage.fault = None
    container.breaker().record_success()

    assert await deliver(make_text_item("hola")) == STORED


async def test_deliveries_without_messages_touch_neither_storage_nor_spool(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    container: Container,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    breaker = container.breaker()
    for n in range(FAILURES_TO_OPEN):
        assert not breaker.is_open
        await deliver(make_text_item(str(n)))
        # It says nothing of the storage, neither good nor bad.
        assert await deliver(statuses=[STATUS]) == Counters.count([])
    assert breaker.is_open

    assert storage.calls == FAILURES_TO_OPEN
    assert await waiting(spool) == ["0", "1", "2"]


async def test_a_delivery_of_changes_alone_waits_in_the_spool_too(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    await deliver(HOLA)
    storage.fault = raise_unavailable

    assert await deliver(REVOKE) == Counters.count([])
    assert await waiting(spool) == ["revoke"]

    storage.fault = None
    await use_cases.run_maintenance()
    assert await bodies(stored_rows) == ["[deleted]"]


async def test_what_was_spooled_and_came_again_is_stored_once(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    assert await deliver(HOLA) == await deliver(HOLA) == SPOOLED
    storage.fault = None
    assert await deliver(HOLA) == STORED

    await use_cases.run_maintenance()

    assert await deliver(HOLA) == DUPLICATE
    assert await bodies(stored_rows) == ["hola"]
    assert len(await stored_rows.events()) == 1


async def test_where_the_spool_is_full_the_delivery_must_come_again(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    assert shop
    storage.fault = raise_unavailable
    spool.path.mkdir()

    with pytest.raises(SpoolUnavailable):
        await deliver(HOLA)
    await use_cases.run_maintenance()  # it says so in the log, and goes on

    spool.path.rmdir()
    assert await deliver(HOLA) == SPOOLED
    storage.fault = None
    await use_cases.run_maintenance()
    assert await bodies(stored_rows) == ["hola"]


async def test_a_spool_that_cannot_be_read_keeps_nothing_from_being_stored_or_retried(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert shop
    storage.rejected_words = {"poison"}
    spool.path.write_bytes(os.urandom(10_000))

    counters = await deliver(HOLA, make_text_item("poison"))
    assert (counters.ingested, counters.failed) == (1, 1)

    storage.rejected_words = set()
    clock.time = NOON.replace(hour=23)
    await use_cases.run_maintenance()

    assert "spool_unreadable" in caplog.text
    assert await bodies(stored_rows) == ["hola", "poison"]


@pytest.fixture
def webhook(
    storage: FailingTransactions, client: TestClient[Litestar], operator_container: Container
) -> TestClient[Litestar]:
    """The door, with the number connected behind it; the storage's troubles are those given."""
    assert storage.fault is None

    async def connect() -> None:
        operator_use_cases: UseCases = operator_container.use_cases()
        shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
        await operator_use_cases.upsert_connection(
            shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator()
        )

    run_in_app(client, connect)
    return client


@pytest.fixture(autouse=True)
def generous_timeout(container: Container, storage: FailingTransactions) -> None:  # noqa: ARG001 - the storage first: the breaker probes it
    """A busy machine is no failure."""
    container.delivery_timeouts().silent_seconds = 60


def post(webhook: TestClient[Litestar], *items: Object, **value: Any) -> Any:
    body = encode_items(*items, **value)
    return webhook.post(WEBHOOK, content=body, headers=sign(body))


def test_the_door_answers_200_and_failed_while_the_storage_is_away(
    webhook: TestClient[Litestar], storage: FailingTransactions
) -> None:
    storage.fault = raise_unavailable

    answer = post(webhook, HOLA)

    assert answer.status_code == 200
    assert answer.json() == {"received": 1, "ingested": 0, "skipped": 0, "failed": 1}
    ready, alive = webhook.get("/readyz"), webhook.get("/healthz")
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json()["detail"] == "away"


def test_the_door_answers_503_where_the_spool_cannot_keep_it_either(
    webhook: TestClient[Litestar],
    storage: FailingTransactions,
    container: Container,
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage.fault = raise_unavailable
    Path(container.spool().path).mkdir()

    answer = post(webhook, HOLA)

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "status": 503,
        "title": "Service Unavailable",
        "detail": "neither the database nor the spool can keep this; send it again",
    }
    assert "delivery_refused" in caplog.text
    assert "hola" not in "".join(str(record.__dict__) for record in caplog.records)
    Path(container.spool().path).rmdir()


def test_the_door_answers_503_at_the_limit_and_200_again_when_there_is_room(
    webhook: TestClient[Litestar], storage: FailingTransactions, container: Container
) -> None:
    storage.fault = raise_unavailable
    spool = container.spool()
    object.__setattr__(spool, "largest", 100 * 4096)

    answers = [
        post(webhook, make_text_item("x" * 20_000, id_=f"wamid.{n}")).status_code for n in range(30)
    ]

    kept = answers.count(200)
    assert answers == [200] * kept + [503] * (30 - kept)
    assert 10 < kept < 25

    storage.fault = None
    run_in_app(webhook, container.use_cases().run_maintenance)
    run_in_app(webhook, container.use_cases().run_maintenance)
    storage.fault = raise_unavailable
    assert post(webhook, make_text_item("x" * 20_000, id_="wamid.again")).status_code == 200


def test_statuses_are_answered_whatever_is_away(
    webhook: TestClient[Litestar], storage: FailingTransactions, container: Container
) -> None:
    storage.fault = raise_unavailable
    Path(container.spool().path).mkdir()

    answer = post(webhook, statuses=[STATUS])

    assert answer.status_code == 200
    assert answer.json() == {"received": 0, "ingested": 0, "skipped": 0, "failed": 0}
    Path(container.spool().path).rmdir()


def test_an_unsigned_delivery_is_never_spooled(
    webhook: TestClient[Litestar], storage: FailingTransactions, container: Container
) -> None:
    storage.fault = raise_unavailable
    body = encode_items(HOLA)

    answer = webhook.post(WEBHOOK, content=body, headers={"X-Hub-Signature-256": "sha256=00"})

    assert answer.status_code == 403
    assert not Path(container.spool().path).exists()


@pytest.mark.parametrize("half", [b"", b'{"object":'])
def test_of_a_body_that_breaks_off_nothing_is_kept(
    webhook: TestClient[Litestar], storage: FailingTransactions, container: Container, half: bytes
) -> None:
    """So the server ends one that comes too slowly."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": WEBHOOK,
        "raw_path": WEBHOOK.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-length", b"1000")],
        "client": ("203.0.113.1", 1),
        "server": ("testserver", 80),
        "state": {},
    }
    sent: list[dict[str, Any]] = []

    async def deliver_half() -> None:
        parts = [{"type": "http.request", "body": half, "more_body": True}] if half else []

        async def receive() -> Any:
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(60):
            await webhook.app(scope, receive, send)

    run_in_app(webhook, deliver_half)

    start, *rest = sent
    assert start["status"] == 400
    assert (b"content-type", b"application/problem+json") in start["headers"]
    answer = json.loads(b"".join(part["body"] for part in rest))
    assert answer["detail"] == "the body ended early"
    assert storage.calls == 0
    assert not Path(container.spool().path).exists()
