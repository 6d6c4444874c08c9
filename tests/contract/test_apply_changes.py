"""Changes are applied once, in their own organisation, with one event each."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from application.errors import StorageUnavailable
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.change import ChangeKind
from domain.connection import Address, Channel
from domain.failed_message import FIRST_RETRY_DELAY
from tests.support.builders import (
    NOON,
    create_shop,
    make_apply_changes,
    make_consent,
    make_echo,
    make_edit,
    make_identity_change,
    make_ingestion,
    make_message,
    make_reaction,
    make_unsend,
    phone_identity,
    user_identity,
)
from tests.support.conversations import (
    NEW_PHONE,
    OLD_PHONE,
    SECRET,
    deliver_each,
)
from tests.support.failing_storage import FailingTransactions, raise_unavailable
from tests.support.stored_rows import (
    get_only_contact,
    get_only_message,
    list_change_events,
    open_stored_rows,
    read_all_tables,
)


async def test_repeated_changes_change_nothing_and_add_no_event(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    first, second = make_message("hola"), make_message("chau", minute=1)
    await deliver_each(transactions, first, second)
    changes = [
        make_edit(first, "hola, hola"),
        make_reaction(first, "👍"),
        make_unsend(second),
        make_consent(False),
        make_identity_change(phone_identity(NEW_PHONE)),
        make_echo(),
        make_echo("too early", to=[user_identity("AR.9")]),
        make_reaction(make_message("unknown"), "👍"),
    ]
    await deliver_each(transactions, *changes)
    before = await read_all_tables(transactions)

    await deliver_each(transactions, *changes)
    await make_apply_changes(transactions)([*changes, *changes])
    await make_apply_changes(transactions)([*reversed(changes)])

    assert await read_all_tables(transactions) == before
    assert Counter(event.type for event in await list_change_events(transactions)) == {
        "message_edited": 1,
        "message_reacted": 2,
        "message_deleted": 1,
        "consent_changed": 1,
        "identity_changed": 1,
        "message_sent": 1,
    }


async def test_change_twice_in_one_batch_has_one_event(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()
    await deliver_each(transactions, message)
    change = make_edit(message, "otra cosa")

    await make_apply_changes(transactions)([change, change])

    assert len(await list_change_events(transactions)) == 1
    assert len((await get_only_message(transactions)).content["edits"]) == 1


async def test_empty_batch_of_changes_begins_no_transaction(transactions: Transactions) -> None:
    counted = FailingTransactions(transactions)

    await make_apply_changes(counted)([])

    assert counted.calls == 0


@pytest.mark.parametrize("connection", ["disabled", "unknown"])
async def test_changes_over_disabled_and_unknown_connections_do_nothing(
    transactions: Transactions, connection: str
) -> None:
    await create_shop(transactions)
    if connection == "disabled":
        await create_shop(transactions, "222", is_enabled=False)
    message = make_message()
    await deliver_each(transactions, message)
    before = await read_all_tables(transactions)
    elsewhere = replace(message, address=Address(Channel.WHATSAPP, "222"))

    await make_apply_changes(transactions)(
        [
            make_edit(elsewhere, "x"),
            make_unsend(elsewhere),
            make_reaction(elsewhere, "👍"),
            make_consent(False, to="222"),
            make_identity_change(phone_identity(NEW_PHONE), to="222"),
            make_echo(over="222"),
        ]
    )

    assert await read_all_tables(transactions) == before


async def test_changes_never_reach_another_organisation(transactions: Transactions) -> None:
    """The messages and people of the other organisation have the same ids."""
    here = await create_shop(transactions)
    there = await create_shop(transactions, "222")
    message = make_message("hola", id="wamid.same")
    same = make_message("hola", to="222", id="wamid.same")
    await deliver_each(transactions, message, same, make_reaction(same, "👍"))

    async def read_rows_there() -> list[Any]:
        tables = await read_all_tables(transactions)
        return [row for rows in tables.values() for row in rows if row.org_id == there.org_id]

    before = await read_rows_there()
    changes = [
        make_edit(message, "x"),
        make_reaction(message, None, minute=3),
        make_consent(False),
        make_identity_change(phone_identity(NEW_PHONE)),
        make_echo(),
        make_unsend(message, minute=4),
    ]
    await deliver_each(transactions, *changes)

    assert before
    assert await read_rows_there() == before
    assert {c.org_id for c in await open_stored_rows(transactions).changes()} == {
        here.org_id,
        there.org_id,
    }


async def test_one_change_id_in_two_organisations_is_two_changes(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await create_shop(transactions, "222")
    message, same = make_message(id="wamid.same"), make_message(to="222", id="wamid.same")
    await deliver_each(transactions, message, same)

    await make_apply_changes(transactions)(
        [make_edit(message, "x", id="wamid.edit"), make_edit(same, "x", id="wamid.edit")]
    )

    assert [m.body for m in await open_stored_rows(transactions).messages()] == ["x", "x"]


async def test_each_change_has_one_event_that_holds_ids_only(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    message = make_message("hola", by=OLD_PHONE, name="Ana")
    await deliver_each(transactions, message)
    stored, contact = await get_only_message(transactions), await get_only_contact(transactions)
    about_message = {"message_id": str(stored.id), "thread_id": str(stored.thread_id)}
    about_person = {"contact_id": str(contact.id)}
    expected = [
        (make_edit(message, "x"), "message_edited", about_message),
        (make_reaction(message, "👍"), "message_reacted", about_message),
        (make_unsend(message), "message_deleted", about_message),
        (make_consent(False), "consent_changed", about_person),
        (make_identity_change(phone_identity(NEW_PHONE)), "identity_changed", about_person),
    ]

    await deliver_each(transactions, *(change for change, *_ in expected))

    ids = {c.external_id: str(c.id) for c in await open_stored_rows(transactions).changes()}
    events = await list_change_events(transactions)
    assert {event.org_id for event in events} == {shop.org_id}
    assert [(event.type, event.payload) for event in events] == [
        (type_, {"channel": "whatsapp", "change_id": ids[change.external_id], **about})
        for change, type_, about in expected
    ]


async def test_builders_make_every_kind_of_change() -> None:
    made = {
        make_edit(make_message(), "").kind,
        make_unsend(make_message()).kind,
        make_reaction(make_message(), "").kind,
        make_consent(True).kind,
        make_identity_change().kind,
        make_echo().kind,
    }

    assert made | {ChangeKind.CONFLICT} == {*ChangeKind}


async def test_failing_change_is_stored_as_failed_and_the_others_are_applied(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    shop = await create_shop(transactions)
    messages = [make_message(str(n), minute=n) for n in range(9)]
    await make_ingestion(transactions)(messages)
    changes = [make_edit(message, f"edit {n}", minute=20) for n, message in enumerate(messages)]
    changes[4] = replace(changes[4], content={"secret words": 1}, payload={"entry": [SECRET]})

    await make_apply_changes(transactions)(changes)

    bodies = {m.external_id: m.body for m in await open_stored_rows(transactions).messages()}
    assert [bodies[message.external_id] for message in messages] == [
        "4" if n == 4 else f"edit {n}" for n in range(9)
    ]
    async with transactions.begin(Operator()) as repos:
        (failure,) = await repos.failed_messages.list_for_organization(shop.org_id)
    reason, _, _ = failure.error.partition(";")
    assert (failure.payload, reason) == ({"entry": [SECRET]}, "unexpected error (KeyError)")
    assert failure.next_attempt_at
    assert FIRST_RETRY_DELAY / 2 <= failure.next_attempt_at - NOON <= FIRST_RETRY_DELAY * 1.5
    assert "secret words" not in caplog.text
    assert SECRET not in caplog.text
    assert len(await list_change_events(transactions, "message_edited")) == 8


async def test_unavailable_storage_makes_no_change_fail(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message()
    await deliver_each(transactions, message)
    before = await read_all_tables(transactions)
    unavailable = FailingTransactions(transactions, raise_unavailable)

    with pytest.raises(StorageUnavailable):
        await make_apply_changes(unavailable)([make_edit(message, "x"), make_unsend(message)])

    assert await read_all_tables(transactions) == before


async def test_twelfth_run_of_each_change_statement_works_like_the_first(
    transactions: Transactions,
) -> None:
    """Psycopg prepares after five runs, PostgreSQL plans generically after five more."""
    await create_shop(transactions)
    apply = make_apply_changes(transactions)

    for n in range(12):
        message = make_message(f"{n}", by=str(n))
        await apply([make_echo(f"early {n}", to=str(n)), make_reaction(message, "👍")])
        await deliver_each(transactions, message)
        await apply([make_edit(message, f"edit {n}"), make_consent(False, by=str(n))])
        await apply(
            [
                make_echo(f"echo {n}", to=str(n)),
                make_identity_change(phone_identity(f"9{n}"), by=str(n)),
            ]
        )

    stored_rows = open_stored_rows(transactions)
    assert Counter(m.body for m in await stored_rows.messages()) == Counter(
        f"{kind} {n}" for n in range(12) for kind in ("early", "edit", "echo")
    )
    assert [c.phone for c in await stored_rows.contacts()] == [f"9{n}" for n in range(12)]
    assert {c.marketing_consent for c in await stored_rows.contacts()} == {False}


async def test_batch_of_three_hundred_changes_is_applied(transactions: Transactions) -> None:
    await create_shop(transactions)
    messages = [make_message(by=str(n), minute=n) for n in range(100)]
    await make_ingestion(transactions)(messages)

    await make_apply_changes(transactions)(
        [
            change
            for m in messages
            for change in (make_edit(m, "x"), make_reaction(m, "👍"), make_unsend(m))
        ]
    )

    stored = await open_stored_rows(transactions).messages()
    assert len(stored) == 100
    assert all(message.is_deleted for message in stored)
