"""The spool is drained in order, once, and in transactions that end in time."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import pytest

from application.errors import StorageUnavailable
from application.ingestion.ingest_messages import Counters
from application.recovery.drain_spool import DELIVERIES_PER_READ, MAX_DRAINED_ITEMS_PER_TRANSACTION
from application.use_cases import UseCases
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.support.app import Deliver
from tests.support.builders import NOON, ONE_FAILED, ONE_INGESTED, StoppedClock
from tests.support.failing_storage import FailingTransactions, storage_down
from tests.support.items import REVOKE, encode_items, list_spooled_texts, make_text_item
from tests.support.payloads import HOLA, without
from tests.support.recording_store import make_recording_store
from tests.support.stored_rows import StoredRows, list_bodies

pytestmark = pytest.mark.usefixtures("shop")


async def test_spool_is_drained_in_order_and_each_message_is_stored_once(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    count = DELIVERIES_PER_READ * 2 + 5
    with storage_down(storage):
        for n in range(count):
            await deliver(make_text_item(f"{n:03}"), make_text_item("in each of them"))
    assert await list_spooled_texts(spool) == [f"{n:03} in each of them" for n in range(count)]

    snapshots: list[list[str]] = []

    async def take_snapshot() -> None:
        snapshots.append([body for body in await list_bodies(stored_rows) if body.isdigit()])

    storage.fault = take_snapshot
    await use_cases.run_maintenance()

    expected = [f"{n:03}" for n in range(count)]
    assert all(bodies == expected[: len(bodies)] for bodies in snapshots)
    assert any(0 < len(bodies) < count for bodies in snapshots)
    assert await list_spooled_texts(spool) == []
    assert await list_bodies(stored_rows) == [*expected, "in each of them"]
    assert len(await stored_rows.events()) == count + 1


async def test_message_unsent_in_the_spool_ends_deleted(
    deliver: Deliver,
    storage: FailingTransactions,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    with storage_down(storage):
        unsend_counters = await deliver(REVOKE)
        message_counters = await deliver(HOLA)
    assert (unsend_counters, message_counters) == (Counters.count([]), ONE_FAILED)

    await use_cases.run_maintenance()

    assert await list_bodies(stored_rows) == ["[deleted]"]


async def test_large_backlog_is_drained_in_transactions_of_bounded_size(
    deliver: Deliver,
    storage: FailingTransactions,
    use_cases: UseCases,
    stored_rows: StoredRows,
    container: Container,
) -> None:
    count = MAX_DRAINED_ITEMS_PER_TRANSACTION + 1
    with storage_down(storage):
        for n in range(3):
            await deliver(*(make_text_item(f"{n} {m}", by=str(m)) for m in range(count)))
    store = make_recording_store(container)

    await replace(use_cases.run_maintenance.drain_spool, store_deliveries=store)()

    sizes = [sum(len(delivery.messages) for delivery in group) for group in store.groups]
    assert max(sizes) <= MAX_DRAINED_ITEMS_PER_TRANSACTION
    assert sum(sizes) == len(await list_bodies(stored_rows)) == 3 * count


class InterruptedSpool(SqliteSpool):
    """A spool whose process is stopped before it removes what was stored."""

    async def remove(self, ids: Collection[int]) -> None:
        raise asyncio.CancelledError(ids)


async def test_interruption_between_storing_and_removing_stores_nothing_twice(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    container: Container,
) -> None:
    with storage_down(storage):
        await deliver(make_text_item("hola"))
        await deliver(make_text_item("adiós"))
    interrupted_spool = InterruptedSpool(spool.path, container.settings().spool_bytes)

    with pytest.raises(asyncio.CancelledError):
        await replace(use_cases.run_maintenance.drain_spool, spool=interrupted_spool)()
    assert await list_bodies(stored_rows) == ["adiós", "hola"]
    assert await list_spooled_texts(spool) == ["hola", "adiós"]

    await use_cases.run_maintenance()

    assert await list_spooled_texts(spool) == []
    assert await list_bodies(stored_rows) == ["adiós", "hola"]
    assert len(await stored_rows.events()) == 2


async def test_storage_that_fails_during_the_drain_loses_and_doubles_nothing(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    count = DELIVERIES_PER_READ + 10
    with storage_down(storage):
        for n in range(count):
            await deliver(make_text_item(f"{n:03}"))
    await use_cases.run_maintenance.breaker.probe_if_open()

    for successes in range(1, 5):
        last_success = storage.calls + successes

        async def fail_after(last_success: int = last_success) -> None:
            if storage.calls > last_success:
                raise StorageUnavailable

        storage.fault = fail_after
        await use_cases.run_maintenance()
        assert {*await list_spooled_texts(spool), *await list_bodies(stored_rows)} == {
            f"{n:03}" for n in range(count)
        }

    storage.fault = None
    await use_cases.run_maintenance()
    await use_cases.run_maintenance()
    assert await list_spooled_texts(spool) == []
    assert await list_bodies(stored_rows) == [f"{n:03}" for n in range(count)]
    assert len(await stored_rows.events()) == count


async def test_new_delivery_is_stored_while_the_spool_is_drained(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    with storage_down(storage):
        await deliver(make_text_item("spooled"))
    is_draining, may_continue = asyncio.Event(), asyncio.Event()

    async def stop_the_drain() -> None:
        if not is_draining.is_set():
            is_draining.set()
            await may_continue.wait()

    storage.fault = stop_the_drain
    drain = asyncio.create_task(use_cases.run_maintenance())
    await is_draining.wait()

    assert await deliver(make_text_item("new")) == ONE_INGESTED
    assert await list_bodies(stored_rows) == ["new"]
    assert await list_spooled_texts(spool) == ["spooled"]

    may_continue.set()
    await drain
    assert await list_bodies(stored_rows) == ["new", "spooled"]
    assert await list_spooled_texts(spool) == []


async def test_delivery_spooled_while_another_worker_drains_is_drained_later(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    with storage_down(storage):
        await deliver(make_text_item("first"))

    with spool.try_lock() as is_locked:
        assert is_locked
        await use_cases.run_maintenance()
        assert await list_spooled_texts(spool) == ["first"]
        await spool.add(encode_items(make_text_item("second")), NOON)

    await use_cases.run_maintenance()
    assert await list_bodies(stored_rows) == ["first", "second"]


async def test_drained_message_without_a_time_has_the_time_of_its_arrival(
    deliver: Deliver,
    storage: FailingTransactions,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    """The time of arrival replaces a missing time, so an outage must not move it."""
    with storage_down(storage):
        await deliver(without(HOLA, "timestamp"))
    clock.time = NOON.replace(hour=23)

    await use_cases.run_maintenance()

    (message,) = await stored_rows.messages()
    assert message.sent_at == NOON
