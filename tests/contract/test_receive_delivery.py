"""A 200 means kept: in the database, or in the spool until the database is back."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from application.errors import SpoolFull, StorageUnavailable
from application.ingestion import delivery_queue
from application.ingestion.circuit_breaker import FAILURES
from application.ingestion.delivery_queue import FEW, LANES, MOST
from application.ingestion.ingest_messages import Counters
from application.ingestion.store_deliveries import StoreDeliveries
from application.ports.delivery import Delivery
from application.recovery.drain_spool import AT_ONCE, PART
from application.use_cases import UseCases
from domain.connection import Channel
from domain.organization import OrgId
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.contract.conftest import Deliver, run, text
from tests.contract.test_webhook import WEBHOOK, sign
from tests.support.builders import NOON, SHOP_NUMBER, StoppedClock
from tests.support.failing_storage import Troubled, away, hanging
from tests.support.payloads import HOLA, Object, change, encoded, whatsapp, without
from tests.support.stored_rows import Crm, crm_of

GIVEN_UP_AFTER = delivery_queue.PATIENCE + delivery_queue.STEP
"""Before tests change it."""

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


@pytest.fixture
def crm(operate: UseCases) -> Crm:
    return crm_of(operate.transactions)


@pytest.fixture
def spool(container: Container) -> SqliteSpool:
    spool = container.spool()
    assert isinstance(spool, SqliteSpool)
    return spool


async def waiting(spool: SqliteSpool) -> list[str]:
    """The words in the spool, delivery by delivery."""
    values = [
        json.loads(kept.body)["entry"][0]["changes"][0]["value"]
        for kept in await spool.oldest(999, 0)
    ]
    items = [value["messages"] for value in values]
    return [" ".join(item.get("text", {}).get("body", item["type"]) for item in m) for m in items]


async def bodies(crm: Crm) -> list[str]:
    return sorted(message.body for message in await crm.messages())


async def test_a_delivery_goes_into_the_spool_and_counts_as_failed_while_the_storage_is_away(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away

    counters = await deliver(text("one"), text("two"), without(HOLA, "from"))

    assert counters == Counters(received=3, ingested=0, skipped=0, failed=3)
    assert await waiting(spool) == ["one two hola"]
    await do.upkeep()
    assert await waiting(spool) == ["one two hola"]

    storage.trouble = None
    await do.upkeep()

    assert await waiting(spool) == []
    assert await bodies(crm) == ["one", "two"]
    async with do.transactions.begin() as repos:
        assert len(await repos.failed_messages.of(shop)) == 1


async def test_a_delivery_is_answered_while_the_storage_hangs(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    spool: SqliteSpool,
    do: UseCases,
    crm: Crm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shop
    storage.trouble = hanging
    with monkeypatch.context() as patch:
        patch.setattr(delivery_queue, "PATIENCE", 0.01)
        async with asyncio.timeout(60):
            assert await deliver(text("hola")) == SPOOLED
    assert await waiting(spool) == ["hola"]

    storage.trouble = None
    await do.upkeep()

    assert await bodies(crm) == ["hola"]


def test_there_is_time_to_give_up_and_answer_within_two_seconds() -> None:
    assert GIVEN_UP_AFTER < 1.75


async def test_what_the_storage_did_nevertheless_is_not_stored_twice(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    spool: SqliteSpool,
    do: UseCases,
    crm: Crm,
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

    storage.trouble = not_to_be_stopped
    with monkeypatch.context() as patch:
        patch.setattr(delivery_queue, "PATIENCE", 0.01)
        assert await deliver(text("hola")) == SPOOLED
    assert began.is_set()
    storage.trouble = None
    may_go_on.set()
    async with asyncio.timeout(60):
        while await bodies(crm) != ["hola"]:
            await asyncio.sleep(0.01)
    assert await waiting(spool) == ["hola"]

    await do.upkeep()

    assert await waiting(spool) == []
    assert await bodies(crm) == ["hola"]
    assert len(await crm.events()) == 1


async def test_after_three_failures_nobody_asks_until_a_probe_says_it_is_back(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    spool: SqliteSpool,
    do: UseCases,
    crm: Crm,
    container: Container,
) -> None:
    assert shop
    storage.trouble = away
    assert FAILURES == 3
    for n in range(FAILURES):
        assert not container.breaker().is_open
        assert await deliver(text(f"asked {n}")) == SPOOLED
    assert container.breaker().is_open

    asked = storage.asked
    assert [await deliver(text(f"not asked {n}")) for n in range(20)] == [SPOOLED] * 20
    assert storage.asked == asked

    await do.upkeep()
    assert container.breaker().is_open
    assert storage.asked == asked + 1  # the probe, and no drain after it

    storage.trouble = None
    assert await deliver(text("still not asked")) == SPOOLED
    await do.upkeep()
    assert not container.breaker().is_open
    assert await waiting(spool) == []
    assert len(await bodies(crm)) == FAILURES + 20 + 1
    assert await deliver(text("asked again")) == STORED


async def test_a_success_between_failures_keeps_asking(
    deliver: Deliver, storage: Troubled, shop: OrgId, container: Container
) -> None:
    assert shop
    for n in range(FAILURES * 2):
        storage.trouble = away
        assert await deliver(text(f"away {n}")) == SPOOLED
        assert await deliver(text(f"still away {n}")) == SPOOLED
        storage.trouble = None
        assert await deliver(text(f"back {n}")) == STORED
    assert not container.breaker().is_open


async def test_a_drain_that_fails_counts_as_failures_too(
    deliver: Deliver, storage: Troubled, shop: OrgId, do: UseCases, container: Container
) -> None:
    assert shop
    storage.trouble = away
    await deliver(text("hola"))

    for _ in range(FAILURES - 1):
        await do.upkeep()

    assert container.breaker().is_open


async def test_the_spool_drains_in_order_and_each_message_is_stored_once(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, do: UseCases, crm: Crm
) -> None:
    assert shop
    count = AT_ONCE * 2 + 5
    storage.trouble = away
    for n in range(count):
        await deliver(text(f"{n:03}"), text("in each of them"))
    assert await waiting(spool) == [f"{n:03} in each of them" for n in range(count)]
    storage.trouble = None

    seen: list[list[str]] = []

    async def look() -> None:
        seen.append([body for body in await bodies(crm) if body.isdigit()])

    storage.trouble = look
    await do.upkeep()

    expected = [f"{n:03}" for n in range(count)]
    assert all(stored == expected[: len(stored)] for stored in seen)
    assert any(0 < len(stored) < count for stored in seen)
    assert await waiting(spool) == []
    assert await bodies(crm) == [*expected, "in each of them"]
    assert len(await crm.events()) == count + 1


async def test_what_was_edited_and_taken_back_meanwhile_ends_as_it_should(
    deliver: Deliver, storage: Troubled, shop: OrgId, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away
    revoked = await deliver(REVOKE)
    said = await deliver(HOLA)
    assert (revoked, said) == (Counters.of([]), SPOOLED)

    storage.trouble = None
    await do.upkeep()

    assert await bodies(crm) == ["[deleted]"]


async def test_a_large_backlog_is_drained_in_transactions_that_end_in_time(
    deliver: Deliver, storage: Troubled, shop: OrgId, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away
    count = PART + 1
    for n in range(3):
        await deliver(*(text(f"{n} {m}", by=str(m)) for m in range(count)))

    storage.trouble = None
    largest: list[int] = []
    real = StoreDeliveries.__call__

    async def measured(self: StoreDeliveries, deliveries: Sequence[Delivery]) -> list[Counters]:
        largest.append(sum(len(delivery.messages) for delivery in deliveries))
        return await real(self, deliveries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoreDeliveries, "__call__", measured)
        await do.upkeep()

    assert max(largest) <= PART
    assert sum(largest) == len(await bodies(crm)) == 3 * count


async def test_an_interruption_between_storing_and_removing_doubles_nothing(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    spool: SqliteSpool,
    do: UseCases,
    crm: Crm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shop
    storage.trouble = away
    await deliver(text("hola"))
    await deliver(text("adiós"))
    storage.trouble = None

    async def interrupted(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSpool, "remove", interrupted)
        with pytest.raises(asyncio.CancelledError):
            await do.upkeep()
    assert await bodies(crm) == ["adiós", "hola"]
    assert await waiting(spool) == ["hola", "adiós"]

    await do.upkeep()

    assert await waiting(spool) == []
    assert await bodies(crm) == ["adiós", "hola"]
    assert len(await crm.events()) == 2


async def test_a_storage_that_goes_away_while_it_drains_loses_and_doubles_nothing(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away
    count = AT_ONCE + 10
    for n in range(count):
        await deliver(text(f"{n:03}"))
    storage.trouble = None
    await do.upkeep.breaker.try_again()

    for allowed in range(1, 5):
        last = storage.asked + allowed

        async def away_after(last: int = last) -> None:
            if storage.asked > last:
                raise StorageUnavailable

        storage.trouble = away_after
        await do.upkeep()
        assert {*await waiting(spool), *await bodies(crm)} == {f"{n:03}" for n in range(count)}

    storage.trouble = None
    await do.upkeep()
    await do.upkeep()
    assert await waiting(spool) == []
    assert await bodies(crm) == [f"{n:03}" for n in range(count)]
    assert len(await crm.events()) == count


async def test_new_deliveries_are_stored_while_the_spool_drains(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away
    await deliver(text("spooled"))
    draining, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        if not draining.is_set():
            draining.set()
            await may_go_on.wait()

    storage.trouble = slowly
    drain = asyncio.create_task(do.upkeep())
    await draining.wait()

    assert await deliver(text("new")) == STORED
    assert await bodies(crm) == ["new"]
    assert await waiting(spool) == ["spooled"]

    may_go_on.set()
    await drain
    assert await bodies(crm) == ["new", "spooled"]
    assert await waiting(spool) == []


async def test_what_is_spooled_while_another_drains_is_not_forgotten(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away
    await deliver(text("first"))
    storage.trouble = None

    with spool.draining() as is_mine:
        assert is_mine
        await do.upkeep()
        assert await waiting(spool) == ["first"]
        await spool.put(encoded(whatsapp(change(text("second"), to=SHOP_NUMBER))), NOON)

    await do.upkeep()
    assert await bodies(crm) == ["first", "second"]


async def test_the_time_of_arrival_is_that_of_the_delivery_and_not_of_the_drain(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    clock: StoppedClock,
    do: UseCases,
    crm: Crm,
) -> None:
    """Where Meta names no time it is taken, so an outage must not move it."""
    assert shop
    storage.trouble = away
    await deliver(without(HOLA, "timestamp"))
    clock.time = NOON.replace(hour=23)
    storage.trouble = None

    await do.upkeep()

    (message,) = await crm.messages()
    assert message.sent_at == NOON


async def test_deliveries_that_wait_too_long_behind_another_go_into_the_spool(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    spool: SqliteSpool,
    do: UseCases,
    crm: Crm,
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shop
    monkeypatch.setattr(delivery_queue, "PATIENCE", 0.1)
    monkeypatch.setattr(delivery_queue, "LONGEST", 0.5)
    monkeypatch.setattr(type(container.breaker()), "silence", 0)  # busy, but not silent
    is_under_way, may_go_on = asyncio.Event(), asyncio.Event()

    async def busy() -> None:
        is_under_way.set()
        await may_go_on.wait()

    storage.trouble = busy
    first = asyncio.create_task(deliver(text("first")))
    await is_under_way.wait()

    beyond = await asyncio.gather(*(deliver(text(f"beyond {n}")) for n in range(5)))

    assert beyond == [SPOOLED] * 5
    assert await first == SPOOLED
    assert len(await waiting(spool)) == 6
    assert not container.breaker().is_open

    storage.trouble = None
    may_go_on.set()
    await do.upkeep()
    assert len(await bodies(crm)) == 6


@pytest.fixture
def one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction at a time."""
    monkeypatch.setattr(delivery_queue, "LANES", 1)


@pytest.mark.usefixtures("one_lane")
async def test_those_that_come_meanwhile_share_the_next_transaction(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, crm: Crm
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.trouble = may_go_on.wait  # type: ignore[assignment]
    storage.refused = {"bad"}
    words = ["first", "same", "same", "bad", "last"]
    tasks = [asyncio.create_task(deliver(text(body))) for body in words]
    for _ in range(100):
        await asyncio.sleep(0)
    assert storage.asked == 1

    may_go_on.set()
    stored = await asyncio.gather(*tasks)

    assert stored == [STORED, STORED, DUPLICATE, SPOOLED, STORED]
    assert await bodies(crm) == ["first", "last", "same"]
    assert await waiting(spool) == []  # the bad one is kept as failed


@pytest.mark.usefixtures("one_lane")
async def test_a_transaction_that_fails_is_one_failure_however_many_shared_it(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, container: Container
) -> None:
    assert shop
    storage.trouble = away
    count = FAILURES + 1

    together = await asyncio.gather(*(deliver(text(f"{n}")) for n in range(count)))

    assert together == [SPOOLED] * count
    assert len(await waiting(spool)) == count
    assert storage.asked == 1
    assert not container.breaker().is_open


async def test_who_comes_when_the_last_one_leaves_need_not_wait_for_another(
    deliver: Deliver, shop: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop
    real, came = StoreDeliveries.__call__, list[asyncio.Task[Counters]]()

    async def store(self: StoreDeliveries, deliveries: Sequence[Delivery]) -> list[Counters]:
        counters = await real(self, deliveries)
        if not came:
            came.append(asyncio.create_task(deliver(text("next"))))
        return counters

    monkeypatch.setattr(StoreDeliveries, "__call__", store)
    async with asyncio.timeout(30):
        assert await deliver(text("last")) == STORED
        assert await came[0] == STORED


async def test_a_few_transactions_are_enough_for_a_crowd(
    deliver: Deliver, storage: Troubled, shop: OrgId
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.trouble = may_go_on.wait  # type: ignore[assignment]
    tasks = [asyncio.create_task(deliver(text(f"{n}", by=f"54911{n:08}"))) for n in range(MOST)]
    many = (text(f"many {n}", by="5491155550002") for n in range(MOST + 1))
    tasks.append(asyncio.create_task(deliver(*many)))
    tasks.append(asyncio.create_task(deliver(text("last", by="5491155550003"))))
    while storage.asked < LANES:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert storage.asked == LANES

    may_go_on.set()
    await asyncio.gather(*tasks)

    # Two halves, then those that do not fit; one delivery is never divided.
    assert storage.asked == 4


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
            assert await deliver(text(f"{name} {n}", by=f"54911555500{name:02}")) == STORED

    monkeypatch.setattr(StoreDeliveries, "__call__", store)
    alone = asyncio.create_task(writes(0))
    await asyncio.sleep(0)
    await asyncio.gather(alone, *(writes(name) for name in range(1, 8 * FEW)))

    assert sum(sizes) == 80 * FEW
    assert max(sizes) <= 6 * FEW
    assert sum(size >= 2 * FEW for size in sizes) > len(sizes) / 2


async def test_few_beside_many_wait_for_them(
    deliver: Deliver, storage: Troubled, shop: OrgId
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.trouble = may_go_on.wait  # type: ignore[assignment]

    async def come(count: int) -> list[asyncio.Task[Counters]]:
        each = (text(f"{count} {n}", by=f"54911{count:04}{n:04}") for n in range(count))
        tasks = [asyncio.create_task(deliver(message)) for message in each]
        for _ in range(20):
            await asyncio.sleep(0)
        return tasks

    tasks = await come(FEW)
    assert storage.asked == 1
    tasks += await come(FEW - 1)
    assert storage.asked == 1
    tasks += await come(1)
    assert storage.asked == 2

    may_go_on.set()
    assert await asyncio.gather(*tasks) == [STORED] * 2 * FEW
    assert storage.asked == 2


async def test_what_nobody_foresaw_is_nothing_to_the_neighbours(
    deliver: Deliver, storage: Troubled, shop: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop
    may_go_on = asyncio.Event()
    storage.trouble = may_go_on.wait  # type: ignore[assignment]
    real = StoreDeliveries.__call__

    async def stumbling(self: StoreDeliveries, deliveries: Sequence[Delivery]) -> list[Counters]:
        if any("stumble" in str(delivery) for delivery in deliveries):
            raise ZeroDivisionError
        return await real(self, deliveries)

    monkeypatch.setattr(StoreDeliveries, "__call__", stumbling)
    words = ["first", "one", "stumble", "two"]
    tasks = [asyncio.create_task(deliver(text(body))) for body in words]
    await asyncio.sleep(0)
    may_go_on.set()

    first, one, error, two = await asyncio.gather(*tasks, return_exceptions=True)

    assert (first, one, two) == (STORED, STORED, STORED)
    assert isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize("trouble", [away, hanging])
async def test_the_next_ones_turn_comes_whatever_happens(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[], Awaitable[None]],
) -> None:
    assert shop
    storage.trouble = trouble
    with monkeypatch.context() as patch:
        patch.setattr(delivery_queue, "PATIENCE", 0.01)
        for n in range(3):
            container.breaker().succeeded()
            assert await deliver(text(f"{n}")) == SPOOLED
    storage.trouble = None
    container.breaker().succeeded()

    assert await deliver(text("hola")) == STORED


async def test_deliveries_without_messages_touch_neither_storage_nor_spool(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, container: Container
) -> None:
    assert shop
    storage.trouble = away
    breaker = container.breaker()
    for n in range(FAILURES):
        assert not breaker.is_open
        await deliver(text(str(n)))
        # It says nothing of the storage, neither good nor bad.
        assert await deliver(statuses=[STATUS]) == Counters.of([])
    assert breaker.is_open

    assert storage.asked == FAILURES
    assert await waiting(spool) == ["0", "1", "2"]


async def test_a_delivery_of_changes_alone_waits_in_the_spool_too(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, do: UseCases, crm: Crm
) -> None:
    assert shop
    await deliver(HOLA)
    storage.trouble = away

    assert await deliver(REVOKE) == Counters.of([])
    assert await waiting(spool) == ["revoke"]

    storage.trouble = None
    await do.upkeep()
    assert await bodies(crm) == ["[deleted]"]


async def test_what_was_spooled_and_came_again_is_stored_once(
    deliver: Deliver, storage: Troubled, shop: OrgId, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away
    assert await deliver(HOLA) == await deliver(HOLA) == SPOOLED
    storage.trouble = None
    assert await deliver(HOLA) == STORED

    await do.upkeep()

    assert await deliver(HOLA) == DUPLICATE
    assert await bodies(crm) == ["hola"]
    assert len(await crm.events()) == 1


async def test_where_the_spool_is_full_the_delivery_must_come_again(
    deliver: Deliver, storage: Troubled, shop: OrgId, spool: SqliteSpool, do: UseCases, crm: Crm
) -> None:
    assert shop
    storage.trouble = away
    spool.path.mkdir()

    with pytest.raises(SpoolFull):
        await deliver(HOLA)
    await do.upkeep()  # it says so in the log, and goes on

    spool.path.rmdir()
    assert await deliver(HOLA) == SPOOLED
    storage.trouble = None
    await do.upkeep()
    assert await bodies(crm) == ["hola"]


async def test_a_spool_that_cannot_be_read_keeps_nothing_from_being_stored_or_retried(
    deliver: Deliver,
    storage: Troubled,
    shop: OrgId,
    spool: SqliteSpool,
    clock: StoppedClock,
    do: UseCases,
    crm: Crm,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert shop
    storage.refused = {"poison"}
    spool.path.write_bytes(os.urandom(10_000))

    counters = await deliver(HOLA, text("poison"))
    assert (counters.ingested, counters.failed) == (1, 1)

    storage.refused = set()
    clock.time = NOON.replace(hour=23)
    await do.upkeep()

    assert "spool_unreadable" in caplog.text
    assert await bodies(crm) == ["hola", "poison"]


@pytest.fixture
def door(
    storage: Troubled, client: TestClient[Litestar], operators: Container
) -> TestClient[Litestar]:
    """The door, with the number connected behind it; the storage's troubles are those given."""
    assert storage.trouble is None

    async def connect() -> None:
        operate: UseCases = operators.use_cases()
        shop = await operate.create_organization("Shop", "ana@shop.example")
        await operate.upsert_connection(shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, person=None)

    run(client, connect)
    return client


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no failure."""
    monkeypatch.setattr(delivery_queue, "PATIENCE", 60)


def post(door: TestClient[Litestar], *items: Object, **value: Any) -> Any:
    body = encoded(whatsapp(change(*items, to=SHOP_NUMBER, **value)))
    return door.post(WEBHOOK, content=body, headers=sign(body))


def test_the_door_answers_200_and_failed_while_the_storage_is_away(
    door: TestClient[Litestar], storage: Troubled
) -> None:
    storage.trouble = away

    answer = post(door, HOLA)

    assert answer.status_code == 200
    assert answer.json() == {"received": 1, "ingested": 0, "skipped": 0, "failed": 1}
    ready, alive = door.get("/readyz"), door.get("/healthz")
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json()["detail"] == "away"


def test_the_door_answers_503_where_the_spool_cannot_keep_it_either(
    door: TestClient[Litestar],
    storage: Troubled,
    container: Container,
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage.trouble = away
    Path(container.spool().path).mkdir()

    answer = post(door, HOLA)

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
    door: TestClient[Litestar], storage: Troubled, container: Container
) -> None:
    storage.trouble = away
    spool = container.spool()
    object.__setattr__(spool, "largest", 100 * 4096)

    answers = [post(door, text("x" * 20_000, id_=f"wamid.{n}")).status_code for n in range(30)]

    kept = answers.count(200)
    assert answers == [200] * kept + [503] * (30 - kept)
    assert 10 < kept < 25

    storage.trouble = None
    run(door, container.use_cases().upkeep)
    run(door, container.use_cases().upkeep)
    storage.trouble = away
    assert post(door, text("x" * 20_000, id_="wamid.again")).status_code == 200


def test_statuses_are_answered_whatever_is_away(
    door: TestClient[Litestar], storage: Troubled, container: Container
) -> None:
    storage.trouble = away
    Path(container.spool().path).mkdir()

    answer = post(door, statuses=[STATUS])

    assert answer.status_code == 200
    assert answer.json() == {"received": 0, "ingested": 0, "skipped": 0, "failed": 0}
    Path(container.spool().path).rmdir()


def test_an_unsigned_delivery_is_never_spooled(
    door: TestClient[Litestar], storage: Troubled, container: Container
) -> None:
    storage.trouble = away
    body = encoded(whatsapp(change(HOLA, to=SHOP_NUMBER)))

    answer = door.post(WEBHOOK, content=body, headers={"X-Hub-Signature-256": "sha256=00"})

    assert answer.status_code == 403
    assert not Path(container.spool().path).exists()


@pytest.mark.parametrize("half", [b"", b'{"object":'])
def test_of_a_body_that_breaks_off_nothing_is_kept(
    door: TestClient[Litestar], storage: Troubled, container: Container, half: bytes
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
            await door.app(scope, receive, send)

    run(door, deliver_half)

    start, *rest = sent
    assert start["status"] == 400
    assert (b"content-type", b"application/problem+json") in start["headers"]
    answer = json.loads(b"".join(part["body"] for part in rest))
    assert answer["detail"] == "the body ended early"
    assert storage.asked == 0
    assert not Path(container.spool().path).exists()
