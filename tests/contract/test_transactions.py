"""Transactions of each storage adapter: rollback, own writes, locks, empty batches."""

import pytest

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.organization import Organization, OrgId
from domain.planning.snapshot import IngestSnapshot, SnapshotRequest
from tests.support.builders import NOON, create_shop, new_id
from tests.support.entities import (
    add_entities,
    make_contact,
    make_deal,
    make_stored_message,
    make_thread,
)
from tests.support.stored_rows import read_all_tables


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
