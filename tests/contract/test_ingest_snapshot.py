"""The ingest snapshot: every stored row that a delivery may touch, over each adapter."""

from dataclasses import replace

import pytest

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.connection import Address, Channel
from domain.contact import (
    Identity,
    IdentityKey,
    IdentityKind,
    IdentityMatch,
)
from domain.deal import DealStatus, OpenDeal
from domain.planning.snapshot import MessageReference, Participant, SnapshotRequest
from tests.support.builders import SHOP_NUMBER, create_shop, make_message
from tests.support.entities import (
    add_entities,
    add_identity,
    make_change_record,
    make_contact,
    make_contact_key,
    make_deal,
    make_identity,
    make_stored_message,
    make_thread,
    read_matches,
)

UNKNOWN_ADDRESS = Address(Channel.INSTAGRAM, SHOP_NUMBER)


async def test_connection_is_found_by_its_address_while_it_is_enabled(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    disabled = await create_shop(transactions, "222", is_enabled=False)

    async with transactions.begin(Operator()) as repos:
        addresses = {shop.address, disabled.address, UNKNOWN_ADDRESS}
        snapshot = await repos.snapshots.read(SnapshotRequest(addresses=addresses))
        assert snapshot.connections == {shop.address: shop}
        stored = await repos.connections.get_for_update(disabled.org_id, disabled.address)
        assert stored == disabled
        assert await repos.connections.get_for_update(shop.org_id, disabled.address) is None


async def test_contact_is_found_by_its_identity(transactions: Transactions) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    ana = make_contact(shop)
    key, identity = make_identity(ana, "5491155550001")

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({ana.id: ana}, {key: identity})

    async with transactions.begin(Operator()) as repos:
        assert await read_matches(repos, key, shop, other) == {
            key: IdentityMatch(ana, is_linked=True)
        }


@pytest.mark.parametrize("stored", ["5491155550001", "+5491155550001"])
async def test_crm_contact_is_found_by_its_phone(transactions: Transactions, stored: str) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop, phone=stored)
    await add_entities(transactions, ana)

    async with transactions.begin(Operator()) as repos:
        key, _ = make_identity(ana, "5491155550001")
        assert await read_matches(repos, key, shop) == {key: IdentityMatch(ana, is_linked=False)}


async def test_identity_counts_more_than_a_phone(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop), make_contact(shop, phone=None)
    key, identity = make_identity(eva, "5491155550001")

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({ana.id: ana, eva.id: eva}, {key: identity})

    async with transactions.begin(Operator()) as repos:
        assert await read_matches(repos, key, shop) == {
            key: IdentityMatch(eva, is_linked=True, phone_holder_id=ana.id)
        }


async def test_threads_are_found_by_external_id_and_by_contact(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva, leo = (make_contact(shop, phone=None) for _ in range(3))
    thread_of_ana = make_thread(shop, ana, "wa:1:2")
    thread_of_eva = make_thread(shop, eva, None)
    thread_of_leo = make_thread(shop, leo, "x")
    await add_entities(transactions, ana, eva, leo, thread_of_ana, thread_of_eva, thread_of_leo)
    key = await add_identity(transactions, eva, "5491155550002")
    request = SnapshotRequest(
        addresses={shop.address},
        participants={Participant(shop.address, Identity(key.kind, key.value))},
        messages=[MessageReference(shop.address, "wamid.1", "wa:1:2")],
    )

    async with transactions.begin(Operator()) as repos:
        threads = (await repos.snapshots.read(request)).threads
    assert sorted(threads, key=lambda thread: thread.id) == [thread_of_ana, thread_of_eva]


async def test_won_deal_is_not_among_the_open_deals(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    await add_entities(transactions, ana, replace(make_deal(ana), status=DealStatus.WON))

    async with transactions.begin(Operator()) as repos:
        snapshot = await repos.snapshots.read(SnapshotRequest.for_messages([make_message()]))
        assert snapshot.open_deals == {}
    await add_entities(transactions, make_deal(ana))


async def test_open_deal_is_read_with_its_first_message(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    message, other = make_stored_message(thread), make_stored_message(thread, "wamid.2")
    deal = replace(make_deal(ana), message_id=message.id, source={"ref": "é", "sent_at": None})
    await add_entities(transactions, ana, thread, message, other, deal)

    async with transactions.begin(Operator()) as repos:
        snapshot = await repos.snapshots.read(SnapshotRequest.for_messages([make_message()]))
        assert snapshot.open_deals == {make_contact_key(ana): OpenDeal(deal, message)}
        assert await repos.deals.list_with_first_message_in([message, other]) == [deal]
        assert await repos.deals.list_with_first_message_in([other]) == []


async def test_snapshot_holds_every_row_that_a_batch_may_touch(transactions: Transactions) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    ana, eva = make_contact(shop), make_contact(shop, phone=None)
    leo, mia = make_contact(shop, phone="+5491155550003"), make_contact(shop, phone=None)
    contact_of_other = make_contact(other)
    threads = [
        make_thread(shop, ana, f"wa:{SHOP_NUMBER}:5491155550001"),
        make_thread(shop, eva, None),
        replace(make_thread(shop, eva, "another"), connection_id=None),
        make_thread(shop, mia, f"wa:{SHOP_NUMBER}:4"),
    ]
    await add_entities(transactions, ana, eva, leo, contact_of_other, mia, *threads)
    key_of_eva = await add_identity(transactions, eva, "5491155550002")
    stored = make_stored_message(threads[0], "wamid.stored")
    deal_of_ana, deal_of_mia = replace(make_deal(ana), message_id=stored.id), make_deal(mia)
    pending = make_change_record(shop, target="wamid.new")
    pending_of_leo = make_change_record(shop, "wamid.10", target="whatsapp_phone:5491155550003")
    applied = replace(make_change_record(shop, "wamid.11", target="wamid.new"), is_waiting=False)
    await add_entities(
        transactions,
        stored,
        pending,
        pending_of_leo,
        applied,
        deal_of_ana,
        deal_of_mia,
        make_deal(contact_of_other),
    )
    batch = [
        make_message(id="wamid.stored"),
        make_message(id="wamid.new", by="5491155550002"),
        make_message(by="5491155550003"),
        make_message(by="4"),
        make_message(to="999"),
    ]

    async with transactions.begin(Operator()) as repos:
        snapshot = await repos.snapshots.read(SnapshotRequest.for_messages(batch))

    assert {a: c.id for a, c in snapshot.connections.items()} == {shop.address: shop.id}
    assert snapshot.stored_keys == {stored.key}
    assert snapshot.pending == {pending.target: [pending], pending_of_leo.target: [pending_of_leo]}
    key_of_ana, _ = make_identity(ana, "5491155550001")
    key_of_leo, _ = make_identity(leo, "5491155550003")
    assert snapshot.matches == {
        key_of_ana: IdentityMatch(ana, is_linked=False),
        key_of_eva: IdentityMatch(eva, is_linked=True),
        key_of_leo: IdentityMatch(leo, is_linked=False),
    }
    assert sorted(snapshot.threads, key=lambda thread: thread.id) == threads
    assert snapshot.open_deals == {
        make_contact_key(ana): OpenDeal(deal_of_ana, stored),
        make_contact_key(mia): OpenDeal(deal_of_mia, None),
    }


async def test_snapshot_connections_hold_neither_name_nor_token(
    transactions: Transactions,
) -> None:
    """The webhook writer may read neither."""
    shop = await create_shop(transactions)
    named = replace(shop, display_name="Ventas", access_token="v1.k.c.1234")
    async with transactions.begin(Operator()) as repos:
        await repos.connections.update(named)

    async with transactions.begin(Operator()) as repos:
        snapshot = await repos.snapshots.read(SnapshotRequest(addresses={shop.address}))

    (connection,) = snapshot.connections.values()
    assert (connection.display_name, connection.access_token) == ("", None)
    assert (connection.id, connection.org_id) == (shop.id, shop.org_id)
    assert connection.address == shop.address


async def test_phone_of_a_contact_matches_whatsapp_phones_only(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    await add_entities(transactions, make_contact(shop, phone="5491155550001"))
    key = IdentityKey(shop.org_id, IdentityKind.WHATSAPP_USER, "5491155550001")

    async with transactions.begin(Operator()) as repos:
        assert await read_matches(repos, key, shop) == {}


async def test_pending_change_of_a_message_named_twice_is_returned_once(
    transactions: Transactions,
) -> None:
    """A delivery may hold a message twice, also with different thread ids."""
    shop = await create_shop(transactions)
    pending = make_change_record(shop, target="wamid.1")
    await add_entities(transactions, pending)
    request = SnapshotRequest(
        addresses={shop.address},
        messages=[
            MessageReference(shop.address, "wamid.1", thread_id)
            for thread_id in ("wa:1:2", "wa:1:2", "wa:1:3")
        ],
    )

    async with transactions.begin(Operator()) as repos:
        snapshot = await repos.snapshots.read(request)

    assert snapshot.pending == {pending.target: [pending]}
