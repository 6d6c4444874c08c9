"""The repository of connections, over each storage adapter."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.connection import Channel, ConnectionActivity, ConnectionId
from domain.errors import NumberConnectedElsewhere
from domain.message import Direction
from domain.organization import OrgId
from tests.support.builders import NOON, create_shop, new_id
from tests.support.conversations import add_second_number
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


async def test_added_connection_is_returned_with_its_times(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    connection = replace(shop, id=ConnectionId(new_id()), external_id="222")

    async with transactions.begin(Operator()) as repos:
        stored = await repos.connections.add(connection)

    assert stored == connection
    assert stored.created_at
    assert stored.updated_at


async def test_update_writes_name_token_and_state_only(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    changed = replace(
        shop,
        external_id="222",
        channel=Channel.INSTAGRAM,
        display_name="Ventas",
        access_token="v1.k.c.1234",
        is_enabled=False,
    )
    expected = replace(changed, external_id=shop.external_id, channel=shop.channel)

    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.update(changed) == expected

    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.find_by_id(shop.id) == expected
        assert await repos.connections.get_for_update(shop.org_id, changed.address) is None


async def test_unknown_connection_is_not_found(transactions: Transactions) -> None:
    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.find_by_id(ConnectionId(new_id())) is None
        assert not await repos.connections.remove(ConnectionId(new_id()))


async def test_connections_of_an_organisation_are_listed_oldest_first(
    transactions: Transactions,
) -> None:
    first = await create_shop(transactions, "333")
    await create_shop(transactions, "222")
    second = replace(first, id=ConnectionId(new_id()), external_id="111")

    async with transactions.begin(Operator()) as repos:
        await repos.connections.add(second)

    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.list_for_organization(first.org_id) == [first, second]


async def test_activity_of_one_connection_is_read_alone(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    second = await add_second_number(transactions, shop)
    without_thread = replace(shop, id=ConnectionId(new_id()), external_id="333")
    ana = make_contact(shop)
    threads = [make_thread(shop, ana, "a"), make_thread(second, ana, "b")]
    await add_entities(transactions, ana, *threads)

    async with transactions.begin(Operator()) as repos:
        await repos.connections.add(without_thread)
        of_all = await repos.connections.read_activity(shop.org_id, NOON)
        of_second = await repos.connections.read_activity(shop.org_id, NOON, second.id)

    activity = ConnectionActivity(last_message_at=NOON, messages_last_day=0)
    assert of_all == {shop.id: activity, second.id: activity}
    assert of_second == {second.id: activity}
