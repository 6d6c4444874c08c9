"""Deliveries that arrive together share a few transactions, and fail each on its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from application.ingestion.circuit_breaker import FAILURES_TO_OPEN
from application.ingestion.delivery_queue import (
    MAX_CONCURRENT_TRANSACTIONS,
    MAX_ITEMS_PER_TRANSACTION,
    MIN_DELIVERIES_PER_GROUP,
    DeliveryQueue,
)
from application.ingestion.ingest_messages import Counters
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ports.delivery import Delivery
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.support.app import Deliver, make_deliver
from tests.support.builders import ONE_FAILED, ONE_INGESTED, ONE_SKIPPED, StoppedClock
from tests.support.failing_storage import (
    FailingTransactions,
    Fault,
    block_forever,
    raise_unavailable,
    storage_down,
)
from tests.support.items import list_spooled_texts, make_text_item
from tests.support.recording_store import make_recording_store
from tests.support.stored_rows import StoredRows, list_bodies

pytestmark = [pytest.mark.usefixtures("shop"), pytest.mark.slow]


@pytest.fixture
def deliver_one_at_a_time(
    container: Container, clock: StoppedClock, receive_delivery: ReceiveDelivery
) -> Deliver:
    """Delivers through a queue that runs one transaction at a time."""
    queue = DeliveryQueue(container.store_deliveries(), max_transactions=1)
    return make_deliver(container, replace(receive_delivery, queue=queue), clock)


async def test_deliveries_queued_during_a_transaction_share_the_next_one(
    deliver_one_at_a_time: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    stored_rows: StoredRows,
) -> None:
    may_continue = asyncio.Event()
    storage.fault = may_continue.wait
    storage.rejected_words = {"bad"}
    texts = ["first", "same", "same", "bad", "last"]
    tasks = [asyncio.create_task(deliver_one_at_a_time(make_text_item(text))) for text in texts]
    for _ in range(100):
        await asyncio.sleep(0)
    assert storage.calls == 1

    may_continue.set()
    counters = await asyncio.gather(*tasks)

    assert counters == [ONE_INGESTED, ONE_INGESTED, ONE_SKIPPED, ONE_FAILED, ONE_INGESTED]
    assert await list_bodies(stored_rows) == ["first", "last", "same"]
    assert await list_spooled_texts(spool) == []  # "bad" is stored as a failed message


async def test_failed_transaction_is_one_failure_for_all_its_deliveries(
    deliver_one_at_a_time: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    container: Container,
) -> None:
    count = FAILURES_TO_OPEN + 1

    with storage_down(storage):
        counters = await asyncio.gather(
            *(deliver_one_at_a_time(make_text_item(f"{n}")) for n in range(count))
        )

    assert counters == [ONE_FAILED] * count
    assert len(await list_spooled_texts(spool)) == count
    assert storage.calls == 1
    assert not container.breaker().is_open


async def test_delivery_queued_while_transaction_ends_is_started(
    receive_delivery: ReceiveDelivery, container: Container, clock: StoppedClock
) -> None:
    store = container.store_deliveries()
    next_deliveries: list[asyncio.Task[Counters]] = []

    async def store_and_deliver_next(deliveries: Sequence[Delivery]) -> list[Counters]:
        counters: list[Counters] = await store(deliveries)
        if not next_deliveries:
            next_deliveries.append(asyncio.create_task(deliver(make_text_item("next"))))
        return counters

    queue = DeliveryQueue(store_and_deliver_next)
    deliver = make_deliver(container, replace(receive_delivery, queue=queue), clock)

    async with asyncio.timeout(30):
        assert await deliver(make_text_item("last")) == ONE_INGESTED
        assert await next_deliveries[0] == ONE_INGESTED


async def test_many_deliveries_are_stored_in_few_transactions(
    deliver: Deliver, storage: FailingTransactions
) -> None:
    may_continue = asyncio.Event()
    storage.fault = may_continue.wait
    tasks = [
        asyncio.create_task(deliver(make_text_item(f"{n}", by=f"54911{n:08}")))
        for n in range(MAX_ITEMS_PER_TRANSACTION)
    ]
    large_delivery = (
        make_text_item(f"large {n}", by="5491155550002")
        for n in range(MAX_ITEMS_PER_TRANSACTION + 1)
    )
    tasks.append(asyncio.create_task(deliver(*large_delivery)))
    tasks.append(asyncio.create_task(deliver(make_text_item("last", by="5491155550003"))))
    while storage.calls < MAX_CONCURRENT_TRANSACTIONS:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert storage.calls == MAX_CONCURRENT_TRANSACTIONS

    may_continue.set()
    await asyncio.gather(*tasks)

    # Two halves, then the large delivery, which is never divided, then the last one.
    assert storage.calls == 4


async def test_deliveries_are_divided_evenly_between_the_transactions(
    receive_delivery: ReceiveDelivery, container: Container, clock: StoppedClock
) -> None:
    """Clients that are answered together send their next deliveries together."""
    store = make_recording_store(container)
    queue = DeliveryQueue(store)
    deliver = make_deliver(container, replace(receive_delivery, queue=queue), clock)

    async def send_ten(client: int) -> None:
        for n in range(10):
            item = make_text_item(f"{client} {n}", by=f"54911555500{client:02}")
            assert await deliver(item) == ONE_INGESTED

    first_client = asyncio.create_task(send_ten(0))
    await asyncio.sleep(0)
    await asyncio.gather(
        first_client, *(send_ten(client) for client in range(1, 8 * MIN_DELIVERIES_PER_GROUP))
    )

    sizes = [len(group) for group in store.groups]
    assert sum(sizes) == 80 * MIN_DELIVERIES_PER_GROUP
    assert max(sizes) <= 6 * MIN_DELIVERIES_PER_GROUP
    assert sum(size >= 2 * MIN_DELIVERIES_PER_GROUP for size in sizes) > len(sizes) / 2


async def test_group_does_not_start_beside_a_larger_one(
    deliver: Deliver, storage: FailingTransactions
) -> None:
    may_continue = asyncio.Event()
    storage.fault = may_continue.wait

    async def deliver_group(count: int) -> list[asyncio.Task[Counters]]:
        items = (make_text_item(f"{count} {n}", by=f"54911{count:04}{n:04}") for n in range(count))
        tasks = [asyncio.create_task(deliver(item)) for item in items]
        for _ in range(20):
            await asyncio.sleep(0)
        return tasks

    tasks = await deliver_group(MIN_DELIVERIES_PER_GROUP)
    assert storage.calls == 1
    tasks += await deliver_group(MIN_DELIVERIES_PER_GROUP - 1)
    assert storage.calls == 1
    tasks += await deliver_group(1)
    assert storage.calls == 2

    may_continue.set()
    assert await asyncio.gather(*tasks) == [ONE_INGESTED] * 2 * MIN_DELIVERIES_PER_GROUP
    assert storage.calls == 2


async def test_unexpected_error_fails_only_its_own_delivery(
    receive_delivery: ReceiveDelivery,
    storage: FailingTransactions,
    container: Container,
    clock: StoppedClock,
) -> None:
    may_continue = asyncio.Event()
    storage.fault = may_continue.wait
    store = container.store_deliveries()

    async def fail_on_stumble(deliveries: Sequence[Delivery]) -> list[Counters]:
        if any("stumble" in str(delivery) for delivery in deliveries):
            raise ZeroDivisionError
        counters: list[Counters] = await store(deliveries)
        return counters

    queue = DeliveryQueue(fail_on_stumble)
    deliver = make_deliver(container, replace(receive_delivery, queue=queue), clock)
    texts = ["first", "one", "stumble", "two"]
    tasks = [asyncio.create_task(deliver(make_text_item(text))) for text in texts]
    await asyncio.sleep(0)
    may_continue.set()

    first, one, error, two = await asyncio.gather(*tasks, return_exceptions=True)

    assert (first, one, two) == (ONE_INGESTED, ONE_INGESTED, ONE_INGESTED)
    assert isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize("fault", [raise_unavailable, block_forever])
async def test_delivery_after_failed_transactions_is_stored(
    deliver: Deliver,
    short_timeout_deliver: Deliver,
    storage: FailingTransactions,
    container: Container,
    fault: Fault,
) -> None:
    storage.fault = fault
    for n in range(3):
        container.breaker().record_success()
        assert await short_timeout_deliver(make_text_item(f"{n}")) == ONE_FAILED
    storage.fault = None
    container.breaker().record_success()

    assert await deliver(make_text_item("hola")) == ONE_INGESTED
