"""What only a real database can prove: many at once, and bad rows among good ones."""

from asyncio import create_task, gather, sleep, timeout
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import event

from application.errors import StorageUnavailable
from application.ingest_messages import Counters
from application.ports import Transactions
from crm import crm_of
from domain.contact import Contact, ContactId
from infrastructure.postgres.transactions import PostgresTransactions, open_pool
from world import ingestion, new_id, open_shop, phone, said, user


async def test_fifty_identical_deliveries_at_once_store_one_message(
    postgres_transactions: Transactions,
) -> None:
    await open_shop(postgres_transactions)
    ingest = ingestion(postgres_transactions)
    message = said()

    results = await gather(*(ingest([message]) for _ in range(50)))

    assert Counter(result.ingested for result in results) == {0: 49, 1: 1}
    assert {result.failed for result in results} == {0}
    assert len(await crm_of(postgres_transactions).messages()) == 1


async def test_a_hundred_first_messages_at_once_make_one_contact_thread_and_deal(
    postgres_transactions: Transactions,
) -> None:
    await open_shop(postgres_transactions)
    ingest = ingestion(postgres_transactions)

    results = await gather(*(ingest([said(minute=n)]) for n in range(100)))

    assert sum(result.ingested for result in results) == 100
    crm = crm_of(postgres_transactions)
    assert len(await crm.contacts()) == len(await crm.threads()) == len(await crm.deals()) == 1
    assert len(await crm.messages()) == len(await crm.events()) == 100
    assert len(await crm.insights()) == 1


async def test_both_ids_of_one_person_at_once_make_one_contact(
    postgres_transactions: Transactions,
) -> None:
    """Once the ids were seen together, either alone is the same person."""
    await open_shop(postgres_transactions)
    ingest = ingestion(postgres_transactions)
    forms = [[phone("5491155550001"), user("AR.1")], [phone("5491155550001")]]

    results = await gather(*(ingest([said(by=forms[n % 2])]) for n in range(40)))
    results += await gather(*(ingest([said(by=[user("AR.1")])]) for _ in range(10)))

    assert sum(result.ingested for result in results) == 50
    crm = crm_of(postgres_transactions)
    assert len(await crm.contacts()) == len(await crm.threads()) == len(await crm.deals()) == 1


async def test_opposite_deliveries_do_not_deadlock(database_url: str) -> None:
    engine = open_pool(database_url, size=2)
    transactions = PostgresTransactions(engine)
    await open_shop(transactions)
    ingest = ingestion(transactions)

    for day in range(10):
        forth = [said(by=str(n), minute=1440 * day + n) for n in range(200)]
        back = [said(by=str(n), minute=1440 * day + 999 - n) for n in reversed(range(200))]
        results = await gather(ingest(forth), ingest(back))
        assert [result.ingested for result in results] == [200, 200]

    async with engine.begin() as db:
        deadlocks = await db.exec_driver_sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert deadlocks.scalar_one() == 0
    await engine.dispose()


async def refuse(transactions: Transactions, rule: str) -> None:
    """Let the database refuse every message whose body breaks the rule."""
    assert isinstance(transactions, PostgresTransactions)
    async with transactions.engine.begin() as db:
        await db.exec_driver_sql(
            "ALTER TABLE conversation_messages DROP CONSTRAINT IF EXISTS test_rule"
        )
        if rule:
            await db.exec_driver_sql(
                f"ALTER TABLE conversation_messages ADD CONSTRAINT test_rule CHECK ({rule})"
            )


async def test_a_message_that_cannot_be_stored_fails_alone(
    postgres_transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    shop = await open_shop(postgres_transactions)
    ingest = ingestion(postgres_transactions)
    delivery = [said(f"message {n}", by=str(n), minute=n) for n in range(100)]
    delivery[41] = replace(delivery[41], body="poison")

    await refuse(postgres_transactions, "body <> 'poison'")
    try:
        counters = await ingest(delivery)
    finally:
        await refuse(postgres_transactions, "")

    assert counters == Counters(received=100, ingested=99, skipped=0, failed=1)
    async with postgres_transactions.begin() as repos:
        (failure,) = await repos.failed_messages.of(shop.org_id)
    assert failure.payload == delivery[41].payload
    assert failure.error == "CheckViolation (23514) conversation_messages test_rule"
    assert "poison" not in caplog.text + failure.error
    # Nothing is half-written: no contact, thread or deal of the one that failed.
    assert len(await crm_of(postgres_transactions).contacts()) == 99


async def test_the_same_number_of_statements_for_one_message_and_for_a_thousand(
    postgres_transactions: Transactions,
) -> None:
    assert isinstance(postgres_transactions, PostgresTransactions)
    await open_shop(postgres_transactions)
    ingest = ingestion(postgres_transactions)

    async def statements(*, messages: int, day: int) -> Counter[str]:
        """By their first word, with BEGIN and COMMIT, as the driver sees them."""
        seen: Counter[str] = Counter()
        engine = postgres_transactions.engine.sync_engine

        def count(*arguments: object) -> None:
            seen[str(arguments[2]).split(maxsplit=1)[0]] += 1

        event.listen(engine, "before_cursor_execute", count)
        try:
            delivery = [said(by=f"{day}{n}", minute=n) for n in range(messages)]
            assert (await ingest(delivery)).ingested == messages
        finally:
            event.remove(engine, "before_cursor_execute", count)
        return seen

    one, thousand = await statements(messages=1, day=1), await statements(messages=1000, day=2)

    assert one == thousand
    assert one == {"SELECT": 7, "INSERT": 7}


async def test_a_contact_made_meanwhile_is_found(postgres_transactions: Transactions) -> None:
    """The CRM adds the contact between our look and our write: the second start finds it."""
    shop = await open_shop(postgres_transactions)
    eva = Contact(id=ContactId(new_id()), org_id=shop.org_id, name="Eva", phone="5491155550001")

    async with postgres_transactions.begin() as repos:
        await repos.contacts.add({eva.id: eva}, {})
        overtaken = create_task(ingestion(postgres_transactions)([said(name="other")]))
        await somebody_waits(postgres_transactions)

    assert (await overtaken).ingested == 1
    (contact,) = await crm_of(postgres_transactions).contacts()
    assert (contact.id, contact.name) == (eva.id, "Eva")


async def somebody_waits(transactions: Transactions) -> None:
    """Return when a transaction waits for a lock."""
    assert isinstance(transactions, PostgresTransactions)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with timeout(5), transactions.engine.connect() as db:
        while not (await db.exec_driver_sql(waiting)).scalar_one():
            await sleep(0.01)


async def test_an_unreachable_database_is_unavailable() -> None:
    engine = open_pool("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(StorageUnavailable):
        await ingestion(PostgresTransactions(engine))([said()])

    await engine.dispose()
