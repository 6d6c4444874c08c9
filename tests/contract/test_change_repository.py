"""The repository of changes, over each storage adapter."""

from dataclasses import replace

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.connection import Channel
from tests.support.builders import create_shop
from tests.support.entities import (
    add_entities,
    make_change_record,
    sort_changes,
)


async def test_change_is_added_once(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    first, again, other = (
        make_change_record(shop),
        make_change_record(shop),
        make_change_record(shop, "wamid.10"),
    )
    elsewhere = replace(make_change_record(shop), channel=Channel.INSTAGRAM)

    async with transactions.begin(Operator()) as repos:
        assert await repos.changes.add({first.key: first}) == {first.key}
    async with transactions.begin(Operator()) as repos:
        assert await repos.changes.find_stored_keys({first.key, other.key}) == {first.key}
        added = await repos.changes.add({c.key: c for c in (again, other, elsewhere)})
        assert added == {other.key, elsewhere.key}
    async with transactions.begin(Operator()) as repos:
        changes = await repos.changes.list_for_targets({first.target})
    assert sort_changes(changes) == {first.target: [first, other]}


async def test_changes_are_found_by_their_target(transactions: Transactions) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    pending = make_change_record(shop)
    applied = replace(make_change_record(shop, "wamid.10"), is_waiting=False)
    changes = [
        pending,
        applied,
        make_change_record(other),
        replace(make_change_record(shop), channel=Channel.INSTAGRAM),
        make_change_record(shop, "wamid.11", target="wamid.2"),
    ]
    unknown = pending.target._replace(name="wamid.3")

    await add_entities(transactions, *changes)

    async with transactions.begin(Operator()) as repos:
        all_changes = await repos.changes.list_for_targets({pending.target, unknown})
        pending_changes = await repos.changes.find_pending({pending.target, unknown})
    assert sort_changes(all_changes) == {pending.target: [pending, applied]}
    assert pending_changes == {pending.target: [pending]}


async def test_updated_change_is_no_longer_pending(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    pending, other = make_change_record(shop), make_change_record(shop, "wamid.10")
    applied = replace(pending, is_waiting=False, content={})

    async with transactions.begin(Operator()) as repos:
        await repos.changes.lock_ingest_exclusively()
        await repos.changes.add({pending.key: pending, other.key: other})
    async with transactions.begin(Operator()) as repos:
        await repos.changes.update([applied])

    async with transactions.begin(Operator()) as repos:
        assert await repos.changes.find_pending({pending.target}) == {pending.target: [other]}
        changes = await repos.changes.list_for_targets({pending.target})
    assert sort_changes(changes) == {pending.target: [applied, other]}
