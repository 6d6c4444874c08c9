"""Concurrent deliveries of the same people end as if one had come after the other."""

from asyncio import create_task, gather, sleep, timeout
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import chain
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.change import IncomingChange
from domain.contact import Contact, ContactId, Identity
from domain.inbound import InboundMessage
from infrastructure.postgres.pools import open_pool
from infrastructure.postgres.transactions import PostgresTransactions
from tests.support.builders import (
    create_shop,
    make_apply_changes,
    make_consent,
    make_echo,
    make_edit,
    make_ingestion,
    make_message,
    make_reaction,
    make_unsend,
    new_id,
    phone_identity,
    user_identity,
)
from tests.support.database import flush, share_pool
from tests.support.stored_rows import open_stored_rows


async def test_fifty_concurrent_copies_of_a_delivery_store_one_message(
    postgres_transactions: Transactions,
) -> None:
    await create_shop(postgres_transactions)
    ingest = make_ingestion(postgres_transactions)
    message = make_message()

    results = await gather(*(ingest([message]) for _ in range(50)))

    assert Counter(result.ingested for result in results) == {0: 49, 1: 1}
    assert {result.failed for result in results} == {0}
    assert len(await open_stored_rows(postgres_transactions).messages()) == 1


async def test_hundred_concurrent_first_messages_make_one_contact_thread_and_deal(
    postgres_transactions: Transactions,
) -> None:
    await create_shop(postgres_transactions)
    ingest = make_ingestion(postgres_transactions)

    results = await gather(*(ingest([make_message(minute=n)]) for n in range(100)))

    assert sum(result.ingested for result in results) == 100
    stored_rows = open_stored_rows(postgres_transactions)
    assert (
        len(await stored_rows.contacts())
        == len(await stored_rows.threads())
        == len(await stored_rows.deals())
        == 1
    )
    assert len(await stored_rows.messages()) == len(await stored_rows.events()) == 100
    assert len(await stored_rows.insights()) == 1


async def test_concurrent_messages_with_both_ids_of_a_person_make_one_contact(
    postgres_transactions: Transactions,
) -> None:
    """Messages with both ids link them; then either id alone finds the contact."""
    await create_shop(postgres_transactions)
    ingest = make_ingestion(postgres_transactions)
    forms = [
        [phone_identity("5491155550001"), user_identity("AR.1")],
        [phone_identity("5491155550001")],
    ]

    results = await gather(*(ingest([make_message(by=forms[n % 2])]) for n in range(40)))
    results += await gather(
        *(ingest([make_message(by=[user_identity("AR.1")])]) for _ in range(10))
    )

    assert sum(result.ingested for result in results) == 50
    stored_rows = open_stored_rows(postgres_transactions)
    assert (
        len(await stored_rows.contacts())
        == len(await stored_rows.threads())
        == len(await stored_rows.deals())
        == 1
    )


async def test_messages_in_opposite_order_do_not_deadlock(database_url: str) -> None:
    engine = open_pool(database_url, size=2)
    transactions = PostgresTransactions(share_pool(engine))
    await create_shop(transactions)
    ingest = make_ingestion(transactions)

    for day in range(10):
        forth = [make_message(by=str(n), minute=1440 * day + n) for n in range(200)]
        back = [make_message(by=str(n), minute=1440 * day + 999 - n) for n in reversed(range(200))]
        results = await gather(ingest(forth), ingest(back))
        assert [result.ingested for result in results] == [200, 200]

    async with engine.begin() as db:
        deadlocks = await db.exec_driver_sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert deadlocks.scalar_one() == 0
    await engine.dispose()


async def test_changes_and_messages_in_opposite_order_do_not_deadlock(
    database_url: str,
) -> None:
    """All are of the same people: their messages, and changes of these, in both orders."""
    engine = open_pool(database_url, size=4)
    transactions = PostgresTransactions(share_pool(engine), timeout_seconds=60)
    await create_shop(transactions)
    ingest, apply = make_ingestion(transactions), make_apply_changes(transactions)
    errors: Counter[str] = Counter()

    def count_error(context: ExceptionContext) -> None:
        errors[type(context.original_exception).__name__] += 1

    event.listen(engine.sync_engine, "handle_error", count_error)
    messages = [
        make_message(f"{n}", by=str(n), minute=100 + n, name=f"name {n}") for n in range(100)
    ]
    await ingest(messages)

    for day in range(1, 6):
        later = 1440 * day
        fresh = [make_message(by=str(n), minute=day, name=f"day {day}") for n in range(100)]
        forth: list[IncomingChange] = []
        back: list[IncomingChange] = []
        for n, message in enumerate(messages):
            forth += [
                make_edit(message, f"edit {day}", minute=later + n),
                make_consent(False, by=str(n), minute=later),
                make_echo(to=str(n), minute=later),
            ]
            back += [
                make_echo(to=str(n), minute=later + 1),
                make_consent(True, by=str(n), minute=later + 1),
                make_reaction(message, "👍", minute=later - n),
            ]
        await gather(apply(forth), ingest(fresh[::-1]), apply(back[::-1]), apply(forth[::-1]))

    assert errors == {}
    stored_rows = open_stored_rows(transactions)
    stored = {message.external_id: message for message in await stored_rows.messages()}
    assert {stored[message.external_id].body for message in messages} == {"edit 5"}
    assert Counter(message.direction for message in stored.values()) == {
        "inbound": 600,
        "outbound": 1000,
    }
    assert {contact.marketing_consent for contact in await stored_rows.contacts()} == {True}
    assert {contact.name for contact in await stored_rows.contacts()} == {"day 1"}
    assert len(await stored_rows.deals()) == 100
    await engine.dispose()


async def test_messages_and_their_concurrent_unsends_end_deleted(
    postgres_transactions: Transactions,
) -> None:
    await create_shop(postgres_transactions)
    ingest, apply = make_ingestion(postgres_transactions), make_apply_changes(postgres_transactions)
    messages = [make_message("secret", by=str(n % 10), minute=n) for n in range(60)]
    pairs = [(ingest([message]), apply([make_unsend(message, minute=99)])) for message in messages]

    await gather(*chain.from_iterable(pair[:: (-1) ** n] for n, pair in enumerate(pairs)))

    stored_rows = open_stored_rows(postgres_transactions)
    assert [(m.body, m.is_deleted) for m in await stored_rows.messages()] == [
        ("[deleted]", True)
    ] * 60
    assert Counter(each.type for each in await stored_rows.events()) == {
        "lead_captured": 60,
        "message_deleted": 60,
    }
    assert {insight.intent for insight in await stored_rows.insights()} == {"unknown"}
    assert {deal.title for deal in await stored_rows.deals()} == {"[deleted]"}
    assert not any(change.is_waiting for change in await stored_rows.changes())


async def test_concurrent_edits_of_one_message_are_all_applied(
    postgres_transactions: Transactions,
) -> None:
    await create_shop(postgres_transactions)
    message = make_message("edit 0")
    await make_ingestion(postgres_transactions)([message])
    changes = [make_edit(message, f"edit {n}", minute=n) for n in range(1, 31)]

    await gather(
        *(make_apply_changes(postgres_transactions)([change]) for change in reversed(changes))
    )

    (stored,) = await open_stored_rows(postgres_transactions).messages()
    assert stored.body == "edit 30"
    assert [edit["body"] for edit in stored.content["edits"]] == [f"edit {n}" for n in range(30)]
    (deal,) = await open_stored_rows(postgres_transactions).deals()
    assert deal.title == "edit 30"
    assert len(await open_stored_rows(postgres_transactions).events()) == 31


CHANGES: Mapping[str, Callable[[InboundMessage], IncomingChange]] = {
    "an edit": lambda message: make_edit(message, "edited"),
    "a deletion": make_unsend,
    "a reaction": lambda message: make_reaction(message, "👍"),
    "consent": lambda message: make_consent(False, by=message.sender.identities),
    "an echo": lambda message: make_echo(to=message.sender.identities),
}


@pytest.mark.parametrize("first", ["message", "change"])
@pytest.mark.parametrize("kind", CHANGES)
async def test_change_is_applied_to_a_message_that_is_stored_at_the_same_time(
    postgres_transactions: Transactions, kind: str, first: str
) -> None:
    """Each transaction has read the rows, and cannot see yet what the other one writes."""
    assert isinstance(postgres_transactions, PostgresTransactions)
    await create_shop(postgres_transactions)
    message = make_message()
    work: Mapping[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "message": lambda: make_ingestion(postgres_transactions)([message]),
        "change": lambda: make_apply_changes(postgres_transactions)([CHANGES[kind](message)]),
    }
    (second,) = work.keys() - {first}
    written = {"message": "conversation_messages", "change": "state_changes"}

    async with postgres_transactions.pools[Operator].begin() as db:
        await db.exec_driver_sql(f"LOCK TABLE {written[first]} IN SHARE MODE")
        one = create_task(work[first]())
        await wait_for_lock(postgres_transactions)
        other = create_task(work[second]())
        await wait_for_lock(postgres_transactions, waiting=2)
    await gather(one, other)

    stored_rows = open_stored_rows(postgres_transactions)
    assert not any(change.is_waiting for change in await stored_rows.changes())
    stored = {str(m.direction): m for m in await stored_rows.messages()}
    (contact,) = await stored_rows.contacts()
    assert {
        "an edit": stored["inbound"].body == "edited",
        "a deletion": stored["inbound"].is_deleted,
        "a reaction": "reactions" in stored["inbound"].content,
        "consent": contact.marketing_consent is False,
        "an echo": "outbound" in stored,
    } == {name: name == kind for name in CHANGES}


NUMBER_FORMS = [phone_identity("5491155550001"), phone_identity("541155550001")]


@pytest.mark.parametrize(
    "shown",
    [
        [
            [*NUMBER_FORMS, user_identity("AR.1")],
            [user_identity("AR.1")],
            [*NUMBER_FORMS[::-1], user_identity("AR.1")],
        ],
        [
            [*NUMBER_FORMS, user_identity("AR.1")],
            NUMBER_FORMS,
            NUMBER_FORMS[::-1],
            NUMBER_FORMS[:1],
        ],
    ],
    ids=["by the id", "by the number"],
)
async def test_concurrent_first_messages_over_four_pools_make_one_contact(
    database_url: str, shown: Sequence[Sequence[Identity]]
) -> None:
    """Each pool stands for a process."""
    engines = [open_pool(database_url) for _ in range(4)]
    processes = [PostgresTransactions(share_pool(engine), timeout_seconds=60) for engine in engines]
    await create_shop(processes[0])
    messages = [
        make_message(f"word {n}", by=shown[n % len(shown)], minute=n, name=f"name {n}")
        for n in range(30)
    ]

    results = await gather(
        *(make_ingestion(processes[n % 4])([messages[n]]) for n in reversed(range(30)))
    )

    assert Counter((result.ingested, result.failed) for result in results) == {(1, 0): 30}
    stored_rows = open_stored_rows(processes[0])
    (contact,), (thread,), (deal,) = (
        await stored_rows.contacts(),
        await stored_rows.threads(),
        await stored_rows.deals(),
    )
    assert (contact.name, deal.title, deal.status) == ("name 0", "word 0", "open")
    assert contact.phone in {form.value for form in NUMBER_FORMS}
    first = {message.id: message.external_id for message in await stored_rows.messages()}
    assert deal.message_id
    assert first[deal.message_id] == messages[0].external_id
    assert thread.last_message_at == messages[-1].sent_at
    ids = {identity for identities in shown for identity in identities}
    assert {(i.kind, i.value) for i in await stored_rows.identities()} == ids
    assert len(await stored_rows.messages()) == len(await stored_rows.events()) == 30
    for engine in engines:
        await engine.dispose()


async def test_contact_added_during_the_ingestion_is_found(
    postgres_transactions: Transactions,
) -> None:
    """The CRM adds the contact between read and write; the repeated transaction finds it."""
    shop = await create_shop(postgres_transactions)
    eva = Contact(id=ContactId(new_id()), org_id=shop.org_id, name="Eva", phone="5491155550001")

    async with postgres_transactions.begin(Operator()) as repos:
        await repos.contacts.add({eva.id: eva}, {})
        await flush(repos)
        ingestion = create_task(make_ingestion(postgres_transactions)([make_message(name="other")]))
        await wait_for_lock(postgres_transactions)

    assert (await ingestion).ingested == 1
    (contact,) = await open_stored_rows(postgres_transactions).contacts()
    assert (contact.id, contact.name) == (eva.id, "Eva")


async def wait_for_lock(transactions: Transactions, waiting: int = 1) -> None:
    """Return when so many transactions wait for a lock."""
    assert isinstance(transactions, PostgresTransactions)
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with timeout(5), transactions.pools[Operator].connect() as db:
        while (await db.exec_driver_sql(query)).scalar_one() < waiting:
            await db.rollback()  # a transaction always sees the same activity
            await sleep(0.01)
