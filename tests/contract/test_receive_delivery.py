"""A received delivery is stored, or spooled where the storage cannot take it in time."""

import asyncio
import os
from dataclasses import dataclass, replace

import pytest

from application.errors import SpoolUnavailable
from application.ingestion.circuit_breaker import FAILURES_TO_OPEN, CircuitBreaker
from application.ingestion.delivery_queue import (
    DeliveryTimeouts,
)
from application.ingestion.ingest_messages import Counters
from application.ingestion.receive_delivery import ReceiveDelivery
from application.use_cases import UseCases
from domain.organization import OrgId
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.support.app import Deliver, make_deliver
from tests.support.builders import NOON, ONE_FAILED, ONE_INGESTED, ONE_SKIPPED, StoppedClock
from tests.support.failing_storage import (
    FailingTransactions,
    block_forever,
    storage_down,
)
from tests.support.items import REVOKE, STATUS, list_spooled_texts, make_text_item
from tests.support.payloads import HOLA, without
from tests.support.stored_rows import StoredRows, list_bodies

pytestmark = [pytest.mark.usefixtures("shop"), pytest.mark.slow]


async def test_delivery_is_spooled_and_counts_as_failed_while_the_storage_is_down(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    with storage_down(storage):
        counters = await deliver(
            make_text_item("one"), make_text_item("two"), without(HOLA, "from")
        )

        assert counters == Counters(received=3, ingested=0, skipped=0, failed=3)
        assert await list_spooled_texts(spool) == ["one two hola"]
        await use_cases.run_maintenance()
        assert await list_spooled_texts(spool) == ["one two hola"]

    await use_cases.run_maintenance()

    assert await list_spooled_texts(spool) == []
    assert await list_bodies(stored_rows) == ["one", "two"]
    assert len(await operator_use_cases.list_failed_messages(shop)) == 1


async def test_delivery_is_spooled_while_the_storage_hangs(
    short_timeout_deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    storage.fault = block_forever
    async with asyncio.timeout(60):
        assert await short_timeout_deliver(make_text_item("hola")) == ONE_FAILED
    assert await list_spooled_texts(spool) == ["hola"]

    storage.fault = None
    await use_cases.run_maintenance()

    assert await list_bodies(stored_rows) == ["hola"]


async def test_delivery_stored_after_its_timeout_is_a_duplicate_in_the_spool(
    short_timeout_deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    """The transaction could not be stopped, so the delivery is in the storage and in the spool."""
    has_begun, may_continue = asyncio.Event(), asyncio.Event()

    async def ignore_cancellation() -> None:
        has_begun.set()
        while not may_continue.is_set():
            try:
                await may_continue.wait()
            except asyncio.CancelledError:
                continue

    storage.fault = ignore_cancellation
    assert await short_timeout_deliver(make_text_item("hola")) == ONE_FAILED
    assert has_begun.is_set()
    storage.fault = None
    may_continue.set()
    async with asyncio.timeout(60):
        while await list_bodies(stored_rows) != ["hola"]:
            await asyncio.sleep(0.01)
    assert await list_spooled_texts(spool) == ["hola"]

    await use_cases.run_maintenance()

    assert await list_spooled_texts(spool) == []
    assert await list_bodies(stored_rows) == ["hola"]
    assert len(await stored_rows.events()) == 1


@dataclass(slots=True)
class BusyBreaker(CircuitBreaker):
    """The breaker of a storage that stores other deliveries all the time."""

    @property
    def seconds_since_success(self) -> float:
        return 0


async def test_deliveries_queued_longer_than_the_busy_timeout_are_spooled(
    receive_delivery: ReceiveDelivery,
    storage: FailingTransactions,
    spool: SqliteSpool,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    container: Container,
) -> None:
    busy = BusyBreaker(storage.check_ready)
    timeouts = DeliveryTimeouts(busy, silent_seconds=0.1, busy_seconds=0.5)
    deliver = make_deliver(container, replace(receive_delivery, timeouts=timeouts), clock)
    is_running, may_continue = asyncio.Event(), asyncio.Event()

    async def run_slowly() -> None:
        is_running.set()
        await may_continue.wait()

    storage.fault = run_slowly
    running = asyncio.create_task(deliver(make_text_item("running")))
    await is_running.wait()

    queued = await asyncio.gather(*(deliver(make_text_item(f"queued {n}")) for n in range(5)))

    assert queued == [ONE_FAILED] * 5
    assert await running == ONE_FAILED
    assert len(await list_spooled_texts(spool)) == 6
    assert not container.breaker().is_open

    storage.fault = None
    may_continue.set()
    await use_cases.run_maintenance()
    assert len(await list_bodies(stored_rows)) == 6


async def test_delivery_without_messages_and_changes_touches_neither_storage_nor_spool(
    deliver: Deliver, storage: FailingTransactions, spool: SqliteSpool, container: Container
) -> None:
    breaker = container.breaker()
    with storage_down(storage):
        for n in range(FAILURES_TO_OPEN):
            assert not breaker.is_open
            await deliver(make_text_item(str(n)))
            # It is neither a failure nor a success of the storage.
            assert await deliver(statuses=[STATUS]) == Counters.count([])
    assert breaker.is_open

    assert storage.calls == FAILURES_TO_OPEN
    assert await list_spooled_texts(spool) == ["0", "1", "2"]


async def test_delivery_of_changes_only_is_spooled_too(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    await deliver(HOLA)
    with storage_down(storage):
        assert await deliver(REVOKE) == Counters.count([])
    assert await list_spooled_texts(spool) == ["revoke"]

    await use_cases.run_maintenance()

    assert await list_bodies(stored_rows) == ["[deleted]"]


async def test_spooled_delivery_that_meta_repeats_is_stored_once(
    deliver: Deliver,
    storage: FailingTransactions,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    with storage_down(storage):
        assert await deliver(HOLA) == await deliver(HOLA) == ONE_FAILED
    assert await deliver(HOLA) == ONE_INGESTED

    await use_cases.run_maintenance()

    assert await deliver(HOLA) == ONE_SKIPPED
    assert await list_bodies(stored_rows) == ["hola"]
    assert len(await stored_rows.events()) == 1


async def test_delivery_is_refused_where_the_spool_cannot_be_written(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    with storage_down(storage):
        spool.path.mkdir()

        with pytest.raises(SpoolUnavailable):
            await deliver(HOLA)
        await use_cases.run_maintenance()  # logs the error and does not raise it

        spool.path.rmdir()
        assert await deliver(HOLA) == ONE_FAILED

    await use_cases.run_maintenance()

    assert await list_bodies(stored_rows) == ["hola"]


async def test_unreadable_spool_stops_neither_storing_nor_retrying(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage.rejected_words = {"poison"}
    spool.path.write_bytes(os.urandom(10_000))

    counters = await deliver(HOLA, make_text_item("poison"))
    assert (counters.ingested, counters.failed) == (1, 1)

    storage.rejected_words = set()
    clock.time = NOON.replace(hour=23)
    await use_cases.run_maintenance()

    assert "spool_unreadable" in caplog.text
    assert await list_bodies(stored_rows) == ["hola", "poison"]
