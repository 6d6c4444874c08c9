"""Transactions of each storage adapter: rollback, own writes, locks, empty batches."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from application.ports.storage import Repositories, Transactions
from domain.actor import Operator
from domain.change import ChangeTarget
from domain.connection import Address, Channel
from domain.message import MessageKey
from domain.organization import Organization, OrgId
from domain.planning.snapshot import IngestSnapshot, SnapshotRequest
from tests.support.builders import NOON, SHOP_NUMBER, create_shop, new_id
from tests.support.entities import (
    add_entities,
    make_contact,
    make_contact_key,
    make_deal,
    make_stored_message,
    make_thread,
)
from tests.support.stored_rows import read_all_tables

pytestmark = pytest.mark.slow


async def test_transaction_whose_block_raises_writes_nothing(transactions: Transactions) -> None:
    shop = Organization(id=OrgId(new_id()), name="Shop")

    with pytest.raises(ZeroDivisionError):
        async with transactions.begin(Operator()) as repos:
            await repos.organizations.add(shop)
            raise ZeroDivisionError

    async with transactions.begin(Operator()) as repos:
        assert await repos.organizations.get(shop.id) is None


async def test_empty_batches_do_nothing(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread, make_stored_message(thread), make_deal(ana))
    before = await read_all_tables(transactions)

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({}, {})
        await repos.contacts.compare_and_swap({})
        await repos.threads.add({})
        await repos.threads.advance({})
        await repos.messages.add({})
        assert await repos.messages.get_for_update(set()) == {}
        await repos.messages.update({})
        assert await repos.changes.find_stored_keys(set()) == set()
        assert await repos.changes.find_pending(set()) == {}
        assert await repos.changes.list_for_targets(set()) == {}
        assert await repos.changes.add({}) == set()
        await repos.changes.update([])
        empty = await repos.snapshots.read(SnapshotRequest(addresses=set()))
        assert empty == IngestSnapshot(connections={}, stored_keys=set(), threads=[])
        assert await repos.deals.list_with_first_message_in([]) == []
        await repos.deals.add({})
        await repos.deals.compare_and_swap({})
        await repos.insights.upsert({})
        await repos.insights.replace_descriptions({})
        await repos.events.append([])
        await repos.failed_messages.add([])
        await repos.unmatched.add_counts({}, NOON)

    assert await read_all_tables(transactions) == before
    async with transactions.begin(Operator()) as repos:
        assert await repos.unmatched.list_all() == []
        assert await repos.leads.list_latest(None, 10) == []


async def test_reads_include_the_writes_of_their_own_transaction(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    message = make_stored_message(thread)
    deal = replace(make_deal(ana), message_id=message.id)

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({ana.id: ana}, {})
        await repos.threads.add({thread.id: thread})
        await repos.messages.add({message.key: message})
        await repos.deals.add({make_contact_key(ana): deal})
        assert await repos.messages.get_for_update({message.key}) == {message.key: message}
        assert await repos.deals.list_with_first_message_in([message]) == [deal]


Lock: TypeAlias = Callable[[Repositories], Coroutine[Any, Any, object]]

ADDRESS = Address(Channel.WHATSAPP, SHOP_NUMBER)


async def lock_connection(repos: Repositories) -> None:
    (organization,) = await repos.organizations.list_all()
    assert await repos.connections.get_for_update(organization.id, ADDRESS)


async def lock_tokens(repos: Repositories) -> None:
    assert await repos.connections.list_not_encrypted_with("another", 10)


async def lock_message(repos: Repositories) -> None:
    (organization,) = await repos.organizations.list_all()
    key = MessageKey(organization.id, Channel.WHATSAPP, "wamid.1")
    assert await repos.messages.get_for_update({key})


async def lock_ingest(repos: Repositories) -> None:
    await repos.changes.lock_ingest_exclusively()


async def read_snapshot(repos: Repositories) -> None:
    assert (await repos.snapshots.read(SnapshotRequest(addresses={ADDRESS}))).connections


async def find_pending(repos: Repositories) -> None:
    (organization,) = await repos.organizations.list_all()
    await repos.changes.find_pending({ChangeTarget(organization.id, Channel.WHATSAPP, "wamid.1")})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lock_connection, lock_connection),
        (lock_tokens, lock_connection),
        (lock_message, lock_message),
        (lock_ingest, lock_ingest),
        (lock_ingest, read_snapshot),
        (lock_ingest, find_pending),
        (read_snapshot, lock_ingest),
        (find_pending, lock_ingest),
    ],
)
async def test_lock_keeps_other_transactions_waiting_until_its_own_ends(
    transactions: Transactions, first: Lock, second: Lock
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    await add_entities(transactions, ana, thread, make_stored_message(thread, "wamid.1"))
    async with transactions.begin(Operator()) as repos:
        await repos.connections.update(replace(shop, access_token="v1.k.c.1234"))

    async def run_second() -> None:
        async with transactions.begin(Operator()) as repos:
            await second(repos)

    async with transactions.begin(Operator()) as repos:
        await first(repos)
        waiting = asyncio.create_task(run_second())
        # A lock that holds cannot be seen; one that does not lets the task end in a moment.
        ended, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert not ended
    async with asyncio.timeout(60):
        await waiting
