"""Permanent conflicts of identities: the message is stored, and nothing merges silently."""

import pytest

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.contact import Contact, ContactId, ContactIdentity, ContactIdentityId, IdentityKey
from domain.event import IDENTITY_CONFLICT
from domain.organization import OrgId
from tests.support.builders import (
    create_shop,
    make_apply_changes,
    make_echo,
    make_identity_change,
    make_ingestion,
    make_message,
    new_id,
    phone_identity,
    user_identity,
)
from tests.support.stored_rows import open_stored_rows

PHONE = "5491155552901"
MIA = [user_identity("AR.2901")]
MIA_WITH_HER_NUMBER = [*MIA, phone_identity(PHONE)]


async def add_contact(
    transactions: Transactions, org_id: OrgId, phone: str | None, *identities: str
) -> Contact:
    """Add a contact with phone identities, as the rest of the CRM may."""
    contact = Contact(id=ContactId(new_id()), org_id=org_id, name="CRM", phone=phone)
    rows = [
        ContactIdentity(
            id=ContactIdentityId(new_id()),
            org_id=org_id,
            contact_id=contact.id,
            kind=phone_identity(value).kind,
            value=value,
        )
        for value in identities
    ]
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add(
            {contact.id: contact}, {IdentityKey(org_id, r.kind, r.value): r for r in rows}
        )
    return contact


async def list_conflicts(transactions: Transactions) -> list[set[str]]:
    """The contacts of each conflict event."""
    events = await open_stored_rows(transactions).events()
    return [set(e.payload["contact_ids"]) for e in events if e.type == IDENTITY_CONFLICT]


async def test_a_shared_number_of_another_contact_is_a_conflict_and_the_message_is_stored(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)
    await ingest([make_message(by=PHONE)])
    await ingest([make_message(by=MIA, minute=1)])

    counters = await ingest([make_message(by=MIA_WITH_HER_NUMBER, minute=2)])

    assert (counters.ingested, counters.failed) == (1, 0)
    contacts = await open_stored_rows(transactions).contacts()
    assert sorted(c.phone or "" for c in contacts) == ["", PHONE]
    assert await list_conflicts(transactions) == [{str(c.id) for c in contacts}]


@pytest.mark.parametrize("stored", [PHONE, f"+{PHONE}"])
async def test_a_shared_number_of_a_contact_that_never_wrote_is_a_conflict(
    transactions: Transactions, stored: str
) -> None:
    shop = await create_shop(transactions)
    crm_contact = await add_contact(transactions, shop.org_id, stored)
    ingest = make_ingestion(transactions)
    await ingest([make_message(by=MIA)])

    counters = await ingest([make_message(by=MIA_WITH_HER_NUMBER, minute=1)])

    assert (counters.ingested, counters.failed) == (1, 0)
    (conflict,) = await list_conflicts(transactions)
    assert str(crm_contact.id) in conflict


async def test_two_people_who_share_one_number_both_get_their_messages_stored(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)
    shared = phone_identity(PHONE)

    for minute, person in enumerate(("AR.1", "AR.2", "AR.1", "AR.2")):
        message = make_message(by=[user_identity(person), shared], minute=minute)
        assert (await ingest([message])).ingested == 1

    contacts = await open_stored_rows(transactions).contacts()
    assert sorted(c.phone or "" for c in contacts) in (["", PHONE], [PHONE])
    assert len(await open_stored_rows(transactions).messages()) == 4


async def test_a_number_that_is_one_contacts_identity_and_anothers_phone_is_a_conflict(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    holder = await add_contact(transactions, shop.org_id, PHONE)
    linked = await add_contact(transactions, shop.org_id, None, PHONE)

    counters = await make_ingestion(transactions)([make_message(by=PHONE)])

    assert (counters.ingested, counters.failed) == (1, 0)
    (thread,) = await open_stored_rows(transactions).threads()
    assert thread.contact_id == linked.id
    assert await list_conflicts(transactions) == [{str(linked.id), str(holder.id)}]


async def test_a_number_change_to_the_number_of_other_contacts_is_a_conflict(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    await make_ingestion(transactions)([make_message(by="111")])
    rows = open_stored_rows(transactions)
    (writer,) = await rows.contacts()
    linked = await add_contact(transactions, shop.org_id, None, "222")
    holder = await add_contact(transactions, shop.org_id, "222")

    await make_apply_changes(transactions)([make_identity_change(phone_identity("222"), by="111")])

    phones = {contact.id: contact.phone for contact in await rows.contacts()}
    assert phones == {writer.id: "111", linked.id: None, holder.id: "222"}
    conflicts = await list_conflicts(transactions)
    assert sorted(map(sorted, conflicts)) == sorted(
        sorted([str(writer.id), str(other.id)]) for other in (linked, holder)
    )


async def test_a_pending_echo_whose_message_is_stored_fails_no_message(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest, apply = make_ingestion(transactions), make_apply_changes(transactions)
    await apply([make_echo(to="111", id="wamid.1")])  # pending: the person never wrote
    await ingest([make_message(by="222", id="wamid.1")])  # another message with its id

    counters = await ingest([make_message(by="111")])

    assert (counters.ingested, counters.failed) == (1, 0)
