"""Messages for unconnected numbers are counted by number; none of their content is stored."""

import json
import logging
from asyncio import gather
from datetime import datetime, timedelta

import pytest

from application.ingestion.ingest_messages import Counters
from application.ports.storage import Transactions
from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import MAX_EXTERNAL_ID_CHARACTERS, Address, Channel
from domain.organization import OrgId
from domain.unmatched import UnmatchedTraffic
from infrastructure.postgres.transactions import PostgresTransactions
from interfaces.cli import connection
from leadport.container import Container
from tests.support.app import Command, Deliver
from tests.support.builders import NOON, SHOP_NUMBER, StoppedClock, make_ingestion, make_message
from tests.support.items import make_text_item
from tests.support.payloads import ANA, HOLA, without
from tests.support.stored_rows import dump_rows

HOUR = timedelta(hours=1)
MISTYPED = SHOP_NUMBER[:-1] + "7"


def make_traffic(
    number: str, count: int, first_at: datetime, last_at: datetime
) -> UnmatchedTraffic:
    address = Address(Channel.WHATSAPP, number)
    return UnmatchedTraffic(address=address, count=count, first_at=first_at, last_at=last_at)


@pytest.mark.usefixtures("shop")
async def test_messages_for_an_unconnected_number_are_counted_with_first_and_last_time(
    deliver: Deliver, clock: StoppedClock, operator_use_cases: UseCases
) -> None:
    counters = await deliver(make_text_item("one"), make_text_item("two"), to=MISTYPED)
    assert counters == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert await operator_use_cases.list_unmatched_traffic() == [
        make_traffic(MISTYPED, 2, NOON, NOON)
    ]

    clock.time += HOUR
    await deliver(make_text_item("three"), to="999")
    clock.time += HOUR
    await deliver(make_text_item("four"), to=MISTYPED)

    assert await operator_use_cases.list_unmatched_traffic() == [
        make_traffic(MISTYPED, 3, NOON, NOON + 2 * HOUR),
        make_traffic("999", 1, NOON + HOUR, NOON + HOUR),
    ]


@pytest.mark.usefixtures("shop")
async def test_messages_for_a_connected_number_are_not_counted(
    deliver: Deliver, operator_use_cases: UseCases
) -> None:
    assert (await deliver(make_text_item("hola"))).ingested == 1
    assert (await deliver(make_text_item("hola"))).skipped == 1

    assert await operator_use_cases.list_unmatched_traffic() == []


async def test_messages_for_a_disabled_number_are_counted(
    deliver: Deliver, shop: OrgId, operator_use_cases: UseCases
) -> None:
    await operator_use_cases.upsert_connection(
        shop, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=False
    )

    assert (await deliver(make_text_item("hola"))).skipped == 1

    assert await operator_use_cases.list_unmatched_traffic() == [
        make_traffic(SHOP_NUMBER, 1, NOON, NOON)
    ]


@pytest.mark.usefixtures("shop")
async def test_unreadable_messages_are_counted_too(
    deliver: Deliver, operator_use_cases: UseCases
) -> None:
    counters = await deliver(without(HOLA, "from"), make_text_item("hola"), to=MISTYPED)

    assert counters == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert await operator_use_cases.list_unmatched_traffic() == [
        make_traffic(MISTYPED, 2, NOON, NOON)
    ]


async def test_same_id_on_another_channel_is_another_account(
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


async def test_long_id_is_cut(transactions: Transactions) -> None:
    counters = await make_ingestion(transactions)([make_message(to="1" * 10_000)])

    assert counters.skipped == 1
    async with transactions.begin(Operator()) as repos:
        (unmatched,) = await repos.unmatched.list_all()
    assert unmatched.address.external_id == "1" * MAX_EXTERNAL_ID_CHARACTERS


async def test_concurrent_deliveries_are_all_counted(transactions: Transactions) -> None:
    ingest = make_ingestion(transactions)
    numbers = ["1", "2", "3"]
    deliveries = [
        [make_message(to=number) for number in numbers[:: 1 if n % 2 else -1]] for n in range(20)
    ]

    counters = await gather(*map(ingest, deliveries))

    assert {each.skipped for each in counters} == {3}
    async with transactions.begin(Operator()) as repos:
        assert [unmatched.count for unmatched in await repos.unmatched.list_all()] == [20, 20, 20]


async def test_counts_in_opposite_order_do_not_deadlock(
    postgres_transactions: Transactions,
) -> None:
    assert isinstance(postgres_transactions, PostgresTransactions)
    numbers = [Address(Channel.WHATSAPP, str(n)) for n in range(5000)]

    async def count(addresses: list[Address]) -> None:
        for _ in range(5):
            async with postgres_transactions.begin(Operator()) as repos:
                await repos.unmatched.add_counts(dict.fromkeys(addresses, 1), NOON)

    await gather(count(numbers), count(numbers[::-1]))

    async with postgres_transactions.begin(Operator()) as repos:
        assert {unmatched.count for unmatched in await repos.unmatched.list_all()} == {10}


async def test_first_and_last_time_are_kept_in_any_order(
    transactions: Transactions,
) -> None:
    address = Address(Channel.WHATSAPP, "1")
    for at in (NOON, NOON + HOUR, NOON + HOUR / 2):
        async with transactions.begin(Operator()) as repos:
            await repos.unmatched.add_counts({address: 1}, at)
            await repos.unmatched.add_counts({}, at)

    async with transactions.begin(Operator()) as repos:
        assert await repos.unmatched.list_all() == [make_traffic("1", 3, NOON, NOON + HOUR)]


async def test_neither_storage_nor_log_hold_text_or_sender_of_unmatched_messages(
    deliver: Deliver, container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await deliver(make_text_item("secret words"), without(HOLA, "from"), to=MISTYPED)

    logged = "".join(str(record.__dict__) for record in caplog.records)
    for text in (dump_rows(container), logged):
        assert MISTYPED in text
        for secret in ("secret words", "hola", ANA, ANA[4:], "wamid"):
            assert secret not in text


async def test_log_names_the_number_and_the_count_of_its_messages(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await deliver(make_text_item("one"), make_text_item("two"), to=MISTYPED)

    (line,) = (record for record in caplog.records if record.message == "no_connection")
    logged = {name: line.__dict__[name] for name in ("channel", "external_id", "messages")}
    assert logged == {"channel": "whatsapp", "external_id": MISTYPED, "messages": 2}


@pytest.mark.usefixtures("shop")
async def test_connection_list_unmatched_shows_unconnected_numbers(
    deliver: Deliver, clock: StoppedClock, leadport: Command
) -> None:
    await deliver(make_text_item("secret words"), to=MISTYPED)
    clock.time += HOUR
    await deliver(make_text_item("secret words, again"), to=MISTYPED)
    await deliver(make_text_item("hola"))

    table = await leadport(connection.connection_commands, "list", "--unmatched")
    listed = await leadport(connection.connection_commands, "list", "--unmatched", "--json")

    assert (table.exit_code, listed.exit_code) == (0, 0)
    _, row = table.stdout.splitlines()
    assert row.split()[:3] == ["whatsapp", MISTYPED, "2"]
    (only,) = json.loads(listed.stdout)
    times = [datetime.fromisoformat(only.pop(name)) for name in ("first_at", "last_at")]
    assert only == {"channel": "whatsapp", "external_id": MISTYPED, "count": 2}
    assert times == [NOON, NOON + HOUR]
    assert "secret" not in table.stdout + listed.stdout

    connections = await leadport(connection.connection_commands, "list", "--json")
    assert [c["external_id"] for c in json.loads(connections.stdout)] == [SHOP_NUMBER]


async def test_connection_list_unmatched_reports_that_there_are_none(
    operator_use_cases: UseCases, leadport: Command
) -> None:
    assert await operator_use_cases.list_unmatched_traffic() == []
    assert (await leadport(connection.connection_commands, "list", "--unmatched")).stdout == (
        "There are no messages for numbers or accounts without an enabled connection.\n"
    )
    assert (
        await leadport(connection.connection_commands, "list", "--unmatched", "--json")
    ).stdout == "[]\n"
