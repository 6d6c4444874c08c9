"""The repositories of threads and messages, over each storage adapter."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.connection import Channel
from domain.message import Direction, Thread
from tests.support.builders import NOON, create_shop
from tests.support.conversations import add_second_number
from tests.support.entities import add_entities, make_contact, make_stored_message, make_thread
from tests.support.stored_rows import get_only_message, get_only_thread, open_stored_rows


@pytest.mark.parametrize("same", ["external id", "contact and connection"])
async def test_second_thread_of_the_same_key_is_a_concurrent_update(
    transactions: Transactions, same: str
) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop, phone=None), make_contact(shop, phone=None)
    first = make_thread(shop, ana)
    second = (
        make_thread(shop, eva) if same == "external id" else make_thread(shop, ana, "another id")
    )
    await add_entities(transactions, ana, eva, first)

    with pytest.raises(ConcurrentUpdate):
        await add_entities(transactions, second)


async def test_last_message_time_of_a_thread_only_advances(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread)

    for hours in (2, 1):
        advanced = replace(thread, last_message_at=NOON + timedelta(hours=hours))
        async with transactions.begin(Operator()) as repos:
            await repos.threads.advance({thread.id: advanced})

    (stored,) = await open_stored_rows(transactions).threads()
    assert stored.last_message_at == NOON + timedelta(hours=2)


async def test_message_is_added_once(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread)
    first, again, other = (
        make_stored_message(thread, id_) for id_ in ("wamid.1", "wamid.1", "wamid.2")
    )

    await add_entities(transactions, first)
    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.messages.add({again.key: again, other.key: other})

    assert await open_stored_rows(transactions).messages() == [first]


async def test_same_message_id_on_another_channel_is_another_message(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread)
    here = make_stored_message(thread)
    there = replace(make_stored_message(thread), channel=Channel.INSTAGRAM)

    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({here.key: here, there.key: there})

    assert len(await open_stored_rows(transactions).messages()) == 2


async def test_locked_messages_are_returned_and_updated(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread)
    one, two = make_stored_message(thread, "wamid.1"), make_stored_message(thread, "wamid.2")
    unknown = make_stored_message(thread, "wamid.3")
    await add_entities(transactions, one, two)
    changed = replace(one, body="chau", content={"edits": [{"body": one.body}]})

    async with transactions.begin(Operator()) as repos:
        assert await repos.messages.get_for_update({one.key, unknown.key}) == {one.key: one}
        await repos.messages.update({one.key: changed})

    async with transactions.begin(Operator()) as repos:
        stored = await repos.messages.get_for_update({one.key, two.key})
    assert stored == {one.key: changed, two.key: two}


async def test_two_new_threads_of_one_external_id_are_a_concurrent_update(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop, phone=None), make_contact(shop, phone=None)
    await add_entities(transactions, ana, eva)
    threads = [make_thread(shop, ana), make_thread(shop, eva)]

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.threads.add({thread.id: thread for thread in threads})

    assert await open_stored_rows(transactions).threads() == []


async def advance_thread(transactions: Transactions, thread: Thread) -> None:
    async with transactions.begin(Operator()) as repos:
        await repos.threads.advance({thread.id: thread})


async def test_advancing_an_unknown_thread_is_ignored(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread)

    await advance_thread(transactions, make_thread(shop, ana, "unknown"))

    assert await get_only_thread(transactions) == thread


@pytest.mark.parametrize("last_message_at", [NOON + timedelta(hours=1), NOON, None])
async def test_thread_that_lost_its_connection_gets_the_given_one(
    transactions: Transactions, last_message_at: datetime | None
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, replace(thread, connection_id=None))

    await advance_thread(transactions, replace(thread, last_message_at=last_message_at))

    stored = await get_only_thread(transactions)
    assert stored == replace(thread, last_message_at=last_message_at or NOON)


async def test_advanced_thread_keeps_everything_but_its_time(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    second = await add_second_number(transactions, shop)
    ana, eva = make_contact(shop), make_contact(shop, phone=None)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, eva, thread)
    later = NOON + timedelta(hours=1)
    changed = replace(
        thread,
        contact_id=eva.id,
        connection_id=second.id,
        channel=Channel.INSTAGRAM,
        external_id="another id",
        last_message_at=later,
    )

    await advance_thread(transactions, changed)

    assert await get_only_thread(transactions) == replace(thread, last_message_at=later)


async def test_connection_of_another_thread_of_the_contact_is_a_concurrent_update(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    without_connection = replace(make_thread(shop, ana, "another id"), connection_id=None)
    await add_entities(transactions, ana, thread, without_connection)

    with pytest.raises(ConcurrentUpdate):
        await advance_thread(transactions, replace(without_connection, connection_id=shop.id))

    assert await open_stored_rows(transactions).threads() == [thread, without_connection]


async def test_update_writes_body_and_content_of_a_message_only(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop), make_contact(shop, phone=None)
    thread, other_thread = make_thread(shop, ana, "a"), make_thread(shop, eva, "b")
    message = make_stored_message(thread)
    await add_entities(transactions, ana, eva, thread, other_thread, message)
    changed = replace(
        message,
        thread_id=other_thread.id,
        direction=Direction.OUTBOUND,
        kind="image",
        body="chau",
        content={"deleted_at": "now"},
        sent_at=NOON + timedelta(hours=1),
    )

    async with transactions.begin(Operator()) as repos:
        await repos.messages.update({message.key: changed})

    expected = replace(message, body="chau", content={"deleted_at": "now"})
    assert await get_only_message(transactions) == expected


async def test_update_of_an_unknown_message_is_ignored(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    message, unknown = make_stored_message(thread), make_stored_message(thread, "unknown")
    await add_entities(transactions, ana, thread, message)

    async with transactions.begin(Operator()) as repos:
        await repos.messages.update({unknown.key: replace(unknown, body="chau")})

    assert await get_only_message(transactions) == message
