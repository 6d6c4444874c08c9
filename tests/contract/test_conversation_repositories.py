"""The repositories of threads and messages, over each storage adapter."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.connection import Channel
from tests.support.builders import NOON, create_shop
from tests.support.entities import add_entities, make_contact, make_stored_message, make_thread
from tests.support.stored_rows import open_stored_rows


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
