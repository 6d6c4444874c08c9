"""Profile names name the contact: the earliest counts, a name given by a person stays."""

from datetime import timedelta

from application.ports.storage import Transactions
from tests.support.builders import (
    NOON,
    create_shop,
    make_message,
)
from tests.support.conversations import create_shop_with_contact, ingest_each, ingest_in_every_order
from tests.support.stored_rows import get_only_contact, open_stored_rows


async def test_earliest_profile_name_names_the_contact_in_any_order(
    transactions: Transactions,
) -> None:
    await ingest_in_every_order(
        transactions,
        make_message(name="", minute=0),
        make_message(name="Ana", minute=1),
        make_message(name="Anita ✨", minute=2),
    )

    contacts = await open_stored_rows(transactions).contacts()
    assert [(c.name, c.profile_name, c.profile_seen_at) for c in contacts] == [
        ("Ana", "Ana", NOON + timedelta(minutes=1))
    ] * 6


async def test_of_two_names_of_one_second_the_same_wins_in_any_order(
    transactions: Transactions,
) -> None:
    await ingest_in_every_order(transactions, make_message(name="Ana"), make_message(name="Bea"))

    assert [c.name for c in await open_stored_rows(transactions).contacts()] == ["Ana", "Ana"]


async def test_later_profile_name_does_not_replace_the_first(transactions: Transactions) -> None:
    await create_shop(transactions)

    await ingest_each(
        transactions, make_message(name="Ana"), make_message(name="Ana la de las tortas", minute=1)
    )

    assert (await get_only_contact(transactions)).name == "Ana"


async def test_earlier_profile_name_that_arrives_late_replaces_the_later_one(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await ingest_each(
        transactions, make_message(name="Anita ✨", minute=5), make_message(name="Ana", minute=1)
    )

    contact = await get_only_contact(transactions)
    assert (contact.name, contact.profile_name) == ("Ana", "Ana")
    assert contact.profile_seen_at == NOON + timedelta(minutes=1)


async def test_empty_profile_name_never_replaces_a_name(transactions: Transactions) -> None:
    await create_shop(transactions)

    await ingest_each(
        transactions, make_message(name="Ana", minute=5), make_message(name="", minute=1)
    )

    contact = await get_only_contact(transactions)
    assert (contact.name, contact.profile_name) == ("Ana", "Ana")


async def test_contact_without_name_gets_the_first_profile_name(transactions: Transactions) -> None:
    await create_shop(transactions)

    await ingest_each(transactions, make_message(name=""))
    assert (await get_only_contact(transactions)).profile_name is None
    await ingest_each(transactions, make_message(name="Ana", minute=1))

    assert (await get_only_contact(transactions)).name == "Ana"


async def test_profile_name_does_not_replace_a_name_given_by_a_person(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await ingest_each(transactions, make_message(name="Anita ✨", minute=5))
    await open_stored_rows(transactions).rename(contact="Ana Gómez", deal="La boda")

    await ingest_each(
        transactions, make_message(name="Ana", minute=1), make_message(name="Ana!", minute=9)
    )

    contact = await get_only_contact(transactions)
    assert (contact.name, contact.profile_name) == ("Ana Gómez", "Ana")


async def test_crm_contact_without_name_gets_the_profile_name(transactions: Transactions) -> None:
    await create_shop_with_contact(transactions, name="")

    await ingest_each(transactions, make_message(name="Ana"))

    assert (await get_only_contact(transactions)).name == "Ana"


async def test_each_organisation_has_its_own_name_of_a_person(transactions: Transactions) -> None:
    await create_shop(transactions)
    await create_shop(transactions, "222")

    await ingest_each(
        transactions,
        make_message(name="Ana", minute=5),
        make_message(to="222", name="Anita", minute=1),
    )

    assert {c.name for c in await open_stored_rows(transactions).contacts()} == {"Ana", "Anita"}
