"""The repository of changes, over each storage adapter."""

from dataclasses import replace
from datetime import timedelta

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.change import ChangeKind, ChangeTarget
from domain.connection import Channel
from tests.support.builders import NOON, create_shop
from tests.support.entities import (
    add_entities,
    make_change_record,
    sort_changes,
)
from tests.support.stored_rows import open_stored_rows


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


async def test_update_writes_content_and_state_of_a_change_only(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    change = make_change_record(shop)
    await add_entities(transactions, change)
    changed = replace(
        change,
        kind=ChangeKind.UNSEND,
        subject="wamid.2",
        content={},
        sent_at=NOON + timedelta(hours=1),
        is_waiting=False,
    )

    async with transactions.begin(Operator()) as repos:
        await repos.changes.update([changed])

    expected = replace(change, content={}, is_waiting=False)
    assert await open_stored_rows(transactions).changes() == [expected]


async def test_update_of_an_unknown_change_is_ignored(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    change, unknown = make_change_record(shop), make_change_record(shop, "unknown")
    await add_entities(transactions, change)

    async with transactions.begin(Operator()) as repos:
        await repos.changes.update([replace(unknown, is_waiting=False)])

    assert await open_stored_rows(transactions).changes() == [change]


async def test_changes_of_a_message_include_its_own_echo(transactions: Transactions) -> None:
    """An echo is stored under its own id, and waits for the person it was sent to."""
    shop = await create_shop(transactions)
    person = "whatsapp_phone:5491155550001"
    echo = replace(make_change_record(shop, target=person), kind=ChangeKind.ECHO)
    edit = make_change_record(shop, "wamid.10", target=echo.external_id)
    edit_of_edit = make_change_record(shop, "wamid.11", target=edit.external_id)
    await add_entities(transactions, echo, edit, edit_of_edit)
    target_of_echo = ChangeTarget(*echo.key)

    async with transactions.begin(Operator()) as repos:
        changes = await repos.changes.list_for_targets({target_of_echo, edit_of_edit.target})
        pending = await repos.changes.find_pending({target_of_echo})

    assert sort_changes(changes) == {
        target_of_echo: [echo, edit],
        edit_of_edit.target: [edit_of_edit],
    }
    assert pending == {target_of_echo: [edit]}
