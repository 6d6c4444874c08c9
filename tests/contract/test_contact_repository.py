"""The repository of contacts and identities, over each storage adapter."""

from dataclasses import replace
from typing import Any

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import SWAPPED_CONTACT_FIELDS, Transactions
from domain.actor import Operator
from domain.contact import (
    Contact,
    IdentityMatch,
)
from tests.support.builders import NOON, create_shop
from tests.support.entities import add_entities, make_contact, make_identity, read_matches
from tests.support.stored_rows import get_only_contact, open_stored_rows


async def test_identity_belongs_to_one_contact(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop, phone=None), make_contact(shop, phone=None)
    key, identity = make_identity(ana, "5491155550001")
    _, same = make_identity(eva, "5491155550001")

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({ana.id: ana}, {key: identity})
    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.contacts.add({eva.id: eva}, {key: same})


async def test_phone_belongs_to_one_contact(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop), make_contact(shop)
    await add_entities(transactions, ana)

    with pytest.raises(ConcurrentUpdate):
        await add_entities(transactions, eva)


async def test_contact_is_swapped_only_from_its_stored_values(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop), make_contact(shop, phone=None)
    await add_entities(transactions, ana, eva)
    changed = replace(
        ana,
        name="Ana G.",
        phone="5491155550009",
        profile_name="Ana",
        profile_seen_at=NOON,
        marketing_consent=False,
        marketing_consent_at=NOON,
    )

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.compare_and_swap({ana.id: (ana, changed)})

    async with transactions.begin(Operator()) as repos:
        key, _ = make_identity(changed, "5491155550009")
        assert await read_matches(repos, key, shop) == {
            key: IdentityMatch(changed, is_linked=False)
        }
    for old in (ana, replace(eva, name="Another name")):
        with pytest.raises(ConcurrentUpdate):
            async with transactions.begin(Operator()) as repos:
                await repos.contacts.compare_and_swap(
                    {old.id: (old, replace(old, name="Overwritten"))}
                )
    assert {c.name for c in await open_stored_rows(transactions).contacts()} == {"Ana G.", "Ana"}


async def test_contact_cannot_take_the_phone_of_another(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop), make_contact(shop, phone=None)
    await add_entities(transactions, ana, eva)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.contacts.compare_and_swap({eva.id: (eva, replace(eva, phone=ana.phone))})


async def test_two_new_contacts_of_one_phone_are_a_concurrent_update(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop), make_contact(shop)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.contacts.add({ana.id: ana, eva.id: eva}, {})

    assert await open_stored_rows(transactions).contacts() == []


async def test_two_organisations_may_have_a_contact_of_one_phone(
    transactions: Transactions,
) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    contacts = [make_contact(shop), make_contact(other)]

    await add_entities(transactions, *contacts)

    assert await open_stored_rows(transactions).contacts() == contacts


async def swap_contact(transactions: Transactions, old: Contact, new: Contact) -> None:
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.compare_and_swap({old.id: (old, new)})


CHANGED_VALUES: dict[str, Any] = {
    "name": "Ana G.",
    "phone": "5491155550009",
    "profile_name": "Ana",
    "profile_seen_at": NOON,
    "marketing_consent": True,
    "marketing_consent_at": NOON,
}


def test_every_swapped_field_of_a_contact_is_tried() -> None:
    assert CHANGED_VALUES.keys() == {*SWAPPED_CONTACT_FIELDS}


@pytest.mark.parametrize("field", SWAPPED_CONTACT_FIELDS)
async def test_contact_whose_field_changed_is_not_swapped(
    transactions: Transactions, field: str
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    await add_entities(transactions, ana)
    changed = replace(ana, **{field: CHANGED_VALUES[field]})
    await swap_contact(transactions, ana, changed)
    assert await get_only_contact(transactions) == changed

    with pytest.raises(ConcurrentUpdate):
        await swap_contact(transactions, ana, ana)

    assert await get_only_contact(transactions) == changed


async def test_swap_neither_compares_nor_writes_the_email_of_a_contact(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana = replace(make_contact(shop), email="ana@example.com")
    await add_entities(transactions, ana)
    old, new = replace(ana, email="old@example.com"), replace(ana, name="Ana G.", email=None)

    await swap_contact(transactions, old, new)

    assert await get_only_contact(transactions) == replace(ana, name="Ana G.")


async def test_swap_of_an_unknown_contact_is_a_concurrent_update(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    unknown = make_contact(shop)

    with pytest.raises(ConcurrentUpdate):
        await swap_contact(transactions, unknown, unknown)
