"""The repository of contacts and identities, over each storage adapter."""

from dataclasses import replace

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.contact import (
    IdentityMatch,
)
from tests.support.builders import NOON, create_shop
from tests.support.entities import add_entities, make_contact, make_identity, read_matches
from tests.support.stored_rows import open_stored_rows


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
