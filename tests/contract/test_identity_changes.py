"""A person with a new number or user id stays the same contact."""

from datetime import timedelta
from typing import Any

import pytest

from application.ports.storage import Transactions
from tests.support.builders import (
    NOON,
    create_shop,
    list_leads,
    make_identity_change,
    make_message,
    phone_identity,
    user_identity,
)
from tests.support.conversations import (
    NEW_PHONE,
    OLD_PHONE,
    create_shop_with_contact,
    deliver_each,
)
from tests.support.stored_rows import (
    get_only_contact,
    get_only_thread,
    list_change_events,
    open_stored_rows,
)


async def test_person_with_a_new_number_stays_the_same_contact(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver_each(transactions, make_message("hola", by=OLD_PHONE))

    await deliver_each(transactions, make_identity_change(phone_identity(NEW_PHONE), by=OLD_PHONE))

    contact = await get_only_contact(transactions)
    assert contact.phone == NEW_PHONE
    identities = await open_stored_rows(transactions).identities()
    assert {(i.contact_id, i.kind, i.value) for i in identities} == {
        (contact.id, "whatsapp_phone", OLD_PHONE),
        (contact.id, "whatsapp_phone", NEW_PHONE),
    }

    await deliver_each(transactions, make_message("soy yo", by=NEW_PHONE, minute=5))

    assert (await get_only_contact(transactions)) == contact
    assert (await get_only_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}


async def test_new_number_replaces_the_phone_of_a_crm_contact(
    transactions: Transactions,
) -> None:
    """The stored phone may have a plus, and no message has shown it yet."""
    await create_shop_with_contact(transactions, phone=f"+{OLD_PHONE}")

    await deliver_each(transactions, make_identity_change(phone_identity(NEW_PHONE), by=OLD_PHONE))

    assert (await get_only_contact(transactions)).phone == NEW_PHONE


async def test_new_number_does_not_replace_a_phone_given_by_a_person(
    transactions: Transactions,
) -> None:
    await create_shop_with_contact(transactions, phone="5491100000000")
    await deliver_each(
        transactions, make_message(by=[phone_identity("5491100000000"), user_identity("AR.1")])
    )

    await deliver_each(
        transactions,
        make_identity_change(
            phone_identity(NEW_PHONE), by=[phone_identity(OLD_PHONE), user_identity("AR.1")]
        ),
    )

    assert (await get_only_contact(transactions)).phone == "5491100000000"
    await deliver_each(transactions, make_message(by=NEW_PHONE))
    assert len(await open_stored_rows(transactions).threads()) == 1


async def test_old_number_of_a_crm_contact_still_finds_the_contact(
    transactions: Transactions,
) -> None:
    await create_shop_with_contact(transactions, phone=f"+{OLD_PHONE}")
    await deliver_each(
        transactions,
        make_message(by=OLD_PHONE),
        make_identity_change(phone_identity(NEW_PHONE), by=OLD_PHONE),
    )

    await deliver_each(transactions, make_message("late", by=OLD_PHONE, minute=0.5))

    assert (await get_only_contact(transactions)).phone == NEW_PHONE


@pytest.mark.parametrize(
    "by",
    [OLD_PHONE, [phone_identity(OLD_PHONE), user_identity("AR.1")]],
    ids=["phone", "phone and id"],
)
async def test_new_number_of_another_contact_is_a_conflict_and_merges_nothing(
    transactions: Transactions, by: Any
) -> None:
    await create_shop(transactions)
    await deliver_each(
        transactions, make_message(by=OLD_PHONE), make_message(by=NEW_PHONE, name="Eva")
    )
    before = await open_stored_rows(transactions).contacts()
    identities = await open_stored_rows(transactions).identities()

    await deliver_each(transactions, make_identity_change(phone_identity(NEW_PHONE), by=by))
    await deliver_each(
        transactions, make_identity_change(phone_identity(NEW_PHONE), by=by, minute=2)
    )

    assert await open_stored_rows(transactions).contacts() == before
    owners = {i.value: i.contact_id for i in await open_stored_rows(transactions).identities()}
    assert owners.items() >= {i.value: i.contact_id for i in identities}.items()
    (conflict,) = await list_change_events(transactions, "identity_conflict")
    ana, eva = sorted(before, key=lambda contact: contact.name)
    assert conflict.payload == {
        "channel": "whatsapp",
        "contact_ids": [str(ana.id), str(eva.id)],
    }
    assert len(await list_change_events(transactions, "identity_changed")) == 2


async def test_new_number_of_an_unknown_person_makes_no_contact(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver_each(transactions, make_identity_change(phone_identity(NEW_PHONE), by=OLD_PHONE))

    stored_rows = open_stored_rows(transactions)
    assert [
        *await stored_rows.contacts(),
        *await stored_rows.identities(),
        *await stored_rows.threads(),
    ] == []
    (event,) = await stored_rows.events()
    assert event.type == "identity_changed"


async def test_person_with_a_new_user_id_stays_the_same_contact(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver_each(transactions, make_message("hola", by=[user_identity("AR.1")]))

    await deliver_each(
        transactions, make_identity_change(user_identity("AR.2"), by=[user_identity("AR.1")])
    )
    await deliver_each(transactions, make_message("soy yo", by=[user_identity("AR.2")], minute=5))

    contact = await get_only_contact(transactions)
    assert contact.phone is None
    assert (await get_only_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}


async def test_every_id_of_a_new_number_belongs_to_the_person(transactions: Transactions) -> None:
    await create_shop(transactions)
    await deliver_each(transactions, make_message("hola", by=OLD_PHONE))

    await deliver_each(
        transactions,
        make_identity_change(phone_identity(NEW_PHONE), user_identity("AR.2"), by=OLD_PHONE),
    )
    await deliver_each(transactions, make_message("soy yo", by=[user_identity("AR.2")], minute=5))

    assert (await get_only_contact(transactions)).phone == NEW_PHONE
