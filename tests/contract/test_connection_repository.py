"""The repository of connections, over each storage adapter."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.connection import ConnectionActivity, ConnectionId
from domain.errors import NumberConnectedElsewhere
from domain.message import Direction
from domain.organization import OrgId
from tests.support.builders import NOON, create_shop, new_id
from tests.support.entities import add_entities, make_contact, make_stored_message, make_thread
from tests.support.stored_rows import open_stored_rows


async def test_update_writes_a_connection_and_its_time(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    changed = replace(shop, display_name="Ventas", is_enabled=False, access_token="v1.k.c.1234")

    async with transactions.begin(Operator()) as repos:
        stored = await repos.connections.update(changed)

    assert stored == changed
    assert stored.created_at
    assert stored.updated_at
    assert stored.access_token_hint == "1234"
    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.list_for_organization(shop.org_id) == [stored]
        assert await repos.connections.find_by_id(shop.id) == stored


async def test_second_connection_of_a_number_is_a_concurrent_update(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.connections.add(replace(shop, id=ConnectionId(new_id()), is_enabled=False))


async def test_update_of_a_removed_connection_is_a_concurrent_update(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.connections.remove(shop.id)
            await repos.connections.update(shop)


async def test_connections_whose_token_another_key_encrypted_are_listed(
    transactions: Transactions,
) -> None:
    one, two = await create_shop(transactions), await create_shop(transactions, "222")
    await create_shop(transactions, "333")
    old = replace(one, access_token="v1.old%.c.1234")
    new = replace(two, access_token="v1.new_.c.1234")

    async with transactions.begin(Operator()) as repos:
        for connection in (old, new):
            await repos.connections.update(connection)

    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.list_not_encrypted_with("new_", 10) == [old]
        assert await repos.connections.list_not_encrypted_with("old%", 10) == [new]
        assert await repos.connections.list_not_encrypted_with("ne", 1) == [old]


async def test_activity_counts_inbound_messages_of_each_connection(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop, phone=None), make_contact(shop, phone=None)
    thread_of_ana = make_thread(shop, ana, "a")
    thread_of_eva = replace(make_thread(shop, eva, "b"), last_message_at=NOON + timedelta(hours=3))
    await add_entities(transactions, ana, eva, thread_of_ana, thread_of_eva)
    at_two, at_three = NOON + timedelta(hours=2), NOON + timedelta(hours=3)
    outbound = replace(make_stored_message(thread_of_eva, "4"), direction=Direction.OUTBOUND)
    await add_entities(
        transactions,
        make_stored_message(thread_of_ana, "1"),
        replace(make_stored_message(thread_of_eva, "2"), sent_at=at_three),
        replace(make_stored_message(thread_of_eva, "3"), sent_at=at_two),
        replace(outbound, sent_at=at_two),
    )

    async with transactions.begin(Operator()) as repos:
        since = NOON + timedelta(hours=1)
        assert await repos.connections.read_activity(shop.org_id, since) == {
            shop.id: ConnectionActivity(last_message_at=at_three, messages_last_day=2)
        }
        assert await repos.connections.read_activity(OrgId(new_id()), since) == {}


async def test_enabled_number_belongs_to_one_organisation(transactions: Transactions) -> None:
    await create_shop(transactions)

    with pytest.raises(NumberConnectedElsewhere):
        await create_shop(transactions)

    await create_shop(transactions, is_enabled=False)


async def test_disabled_number_cannot_be_enabled_while_another_organisation_has_it(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    second = await create_shop(transactions, is_enabled=False)

    with pytest.raises(NumberConnectedElsewhere):
        async with transactions.begin(Operator()) as repos:
            await repos.connections.update(replace(second, is_enabled=True))


async def test_removed_connection_leaves_its_threads(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread)

    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.remove(shop.id)
        assert not await repos.connections.remove(shop.id)

    stored = await open_stored_rows(transactions).threads()
    assert stored == [replace(thread, connection_id=None)]
