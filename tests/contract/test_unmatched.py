"""What came for a number that nobody has connected leaves a trace, and nothing of its content."""

import json
import logging
from asyncio import gather
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
import pytest

from application.ingestion.ingest_messages import Counters
from application.ports.storage import Transactions
from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import MAX_EXTERNAL_ID_LENGTH, Address, Channel
from domain.organization import OrgId
from domain.unmatched import UnmatchedTraffic
from infrastructure.postgres.transactions import PostgresTransactions
from interfaces.cli import connection
from leadport.container import Container
from tests.support.app import Command, Deliver
from tests.support.builders import NOON, SHOP_NUMBER, StoppedClock, make_ingestion, make_message
from tests.support.items import make_text_item
from tests.support.payloads import ANA, HOLA, without

HOUR = timedelta(hours=1)
MISTYPED = SHOP_NUMBER[:-1] + "7"


async def seen(use_cases: UseCases) -> list[UnmatchedTraffic]:
    return await use_cases.list_unmatched_traffic()


def trace(number: str, count: int, first_at: datetime, last_at: datetime) -> UnmatchedTraffic:
    address = Address(Channel.WHATSAPP, number)
    return UnmatchedTraffic(address=address, count=count, first_at=first_at, last_at=last_at)


async def test_what_comes_for_nobody_is_counted_with_its_first_and_last_time(
    deliver: Deliver, shop: OrgId, clock: StoppedClock, operator_use_cases: UseCases
) -> None:
    assert shop
    counters = await deliver(make_text_item("one"), make_text_item("two"), to=MISTYPED)
    assert counters == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert await seen(operator_use_cases) == [trace(MISTYPED, 2, NOON, NOON)]

    clock.time += HOUR
    await deliver(make_text_item("three"), to="999")
    clock.time += HOUR
    await deliver(make_text_item("four"), to=MISTYPED)

    assert await seen(operator_use_cases) == [
        trace(MISTYPED, 3, NOON, NOON + 2 * HOUR),
        trace("999", 1, NOON + HOUR, NOON + HOUR),
    ]


async def test_what_comes_for_somebody_leaves_no_trace(
    deliver: Deliver, shop: OrgId, operator_use_cases: UseCases
) -> None:
    assert shop
    assert (await deliver(make_text_item("hola"))).ingested == 1
    assert (await deliver(make_text_item("hola"))).skipped == 1

    assert await seen(operator_use_cases) == []


async def test_what_comes_for_a_disabled_number_leaves_a_trace(
    deliver: Deliver, shop: OrgId, operator_use_cases: UseCases
) -> None:
    await operator_use_cases.upsert_connection(
        shop, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=False
    )

    assert (await deliver(make_text_item("hola"))).skipped == 1

    assert await seen(operator_use_cases) == [trace(SHOP_NUMBER, 1, NOON, NOON)]


async def test_what_cannot_be_read_leaves_a_trace_too(
    deliver: Deliver, shop: OrgId, operator_use_cases: UseCases
) -> None:
    assert shop
    counters = await deliver(without(HOLA, "from"), make_text_item("hola"), to=MISTYPED)

    assert counters == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert await seen(operator_use_cases) == [trace(MISTYPED, 2, NOON, NOON)]


async def test_the_same_id_of_another_channel_is_another_account(
    transactions: Transactions,
) -> None:
    ingest = make_ingestion(transactions)
    await ingest(
        [
            make_message(to="1"),
            make_message(to="1", channel=Channel.INSTAGRAM),
            make_message(to="1"),
        ]
    )

    async with transactions.begin(Operator()) as repos:
        counts = {
            unmatched.address: unmatched.count for unmatched in await repos.unmatched.list_all()
        }
    assert counts == {Address(Channel.WHATSAPP, "1"): 2, Address(Channel.INSTAGRAM, "1"): 1}


async def test_an_endless_id_is_cut(transactions: Transactions) -> None:
    counters = await make_ingestion(transactions)([make_message(to="1" * 10_000)])

    assert counters.skipped == 1
    async with transactions.begin(Operator()) as repos:
        (unmatched,) = await repos.unmatched.list_all()
    assert unmatched.address.external_id == "1" * MAX_EXTERNAL_ID_LENGTH


async def test_many_at_once_are_all_counted(transactions: Transactions) -> None:
    ingest = make_ingestion(transactions)
    numbers = ["1", "2", "3"]
    deliveries = [
        [make_message(to=number) for number in numbers[:: 1 if n % 2 else -1]] for n in range(20)
    ]

    results = await gather(*map(ingest, deliveries))

    assert {result.skipped for result in results} == {3}
    async with transactions.begin(Operator()) as repos:
        assert [unmatched.count for unmatched in await repos.unmatched.list_all()] == [20, 20, 20]


async def test_opposite_deliveries_do_not_deadlock(postgres_transactions: Transactions) -> None:
    assert isinstance(postgres_transactions, PostgresTransactions)
    numbers = [Address(Channel.WHATSAPP, str(n)) for n in range(5000)]

    async def count(addresses: list[Address]) -> None:
        for _ in range(5):
            async with postgres_transactions.begin(Operator()) as repos:
                await repos.unmatched.add_counts(dict.fromkeys(addresses, 1), NOON)

    await gather(count(numbers), count(numbers[::-1]))

    async with postgres_transactions.begin(Operator()) as repos:
        assert {unmatched.count for unmatched in await repos.unmatched.list_all()} == {10}


async def test_the_times_stay_the_first_and_the_last_in_whatever_order_they_come(
    transactions: Transactions,
) -> None:
    address = Address(Channel.WHATSAPP, "1")
    for at in (NOON, NOON + HOUR, NOON + HOUR / 2):
        async with transactions.begin(Operator()) as repos:
            await repos.unmatched.add_counts({address: 1}, at)
            await repos.unmatched.add_counts({}, at)

    async with transactions.begin(Operator()) as repos:
        assert await repos.unmatched.list_all() == [trace("1", 3, NOON, NOON + HOUR)]


@pytest.fixture
def whole_trace(container: Container) -> Callable[[], str]:
    """All columns of the table, or what stands in for it."""

    def read() -> str:
        settings = container.settings()
        if settings.storage == "memory":
            return str(container.memory().committed)
        assert settings.database_url
        with psycopg.connect(settings.database_url) as db:
            return str(db.execute("SELECT u::text FROM unmatched_messages u").fetchall())

    return read


async def test_neither_trace_nor_log_hold_what_was_written_or_by_whom(
    deliver: Deliver, whole_trace: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await deliver(make_text_item("secret words"), without(HOLA, "from"), to=MISTYPED)

    logged = "".join(str(record.__dict__) for record in caplog.records)
    for where in (whole_trace(), logged):
        assert MISTYPED in where
        for secret in ("secret words", "hola", ANA, ANA[4:], "wamid"):
            assert secret not in where


async def test_the_log_names_the_number_and_how_many_came_for_it(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await deliver(make_text_item("one"), make_text_item("two"), to=MISTYPED)

    (line,) = (record for record in caplog.records if record.message == "no_connection")
    told = {name: line.__dict__[name] for name in ("channel", "external_id", "messages")}
    assert told == {"channel": "whatsapp", "external_id": MISTYPED, "messages": 2}


async def test_an_operator_sees_the_numbers_that_nobody_has_connected(
    deliver: Deliver, shop: OrgId, clock: StoppedClock, leadport: Command
) -> None:
    assert shop
    await deliver(make_text_item("secret words"), to=MISTYPED)
    clock.time += HOUR
    await deliver(make_text_item("secret words, again"), to=MISTYPED)
    await deliver(make_text_item("hola"))

    table = await leadport(connection.group, "list", "--unmatched")
    listed = await leadport(connection.group, "list", "--unmatched", "--json")

    assert (table.exit_code, listed.exit_code) == (0, 0)
    _, row = table.stdout.splitlines()
    assert row.split()[:3] == ["whatsapp", MISTYPED, "2"]
    (only,) = json.loads(listed.stdout)
    times = [datetime.fromisoformat(only.pop(name)) for name in ("first_at", "last_at")]
    assert only == {"channel": "whatsapp", "external_id": MISTYPED, "count": 2}
    assert times == [NOON, NOON + HOUR]
    assert "secret" not in table.stdout + listed.stdout

    connections = await leadport(connection.group, "list", "--json")
    assert [c["external_id"] for c in json.loads(connections.stdout)] == [SHOP_NUMBER]


async def test_an_operator_is_told_that_nothing_came_for_nobody(
    operator_use_cases: UseCases, leadport: Command
) -> None:
    assert await seen(operator_use_cases) == []
    assert (await leadport(connection.group, "list", "--unmatched")).stdout == (
        "Every message came for a connected number.\n"
    )
    assert (await leadport(connection.group, "list", "--unmatched", "--json")).stdout == "[]\n"
