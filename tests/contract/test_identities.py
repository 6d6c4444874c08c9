"""Ids and numbers find the contact of a sender; ids of two contacts are a conflict."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from application.ports.storage import Transactions
from domain.contact import Identity
from tests.support.builders import (
    NOON,
    create_shop,
    list_leads,
    make_apply_changes,
    make_consent,
    make_ingestion,
    make_message,
    parent_identity,
    phone_identity,
    user_identity,
)
from tests.support.conversations import (
    OLD_PHONE,
    create_shop_with_contact,
    ingest_each,
)
from tests.support.stored_rows import (
    get_only_contact,
    get_only_thread,
    list_change_events,
    open_stored_rows,
    read_identities,
)

NUMBER_FORMS = [phone_identity("5491155550001"), phone_identity("541155550001")]
"""One mobile number of Argentina: as it is written abroad, and as it is dialled within."""


async def test_contact_without_phone_gets_the_first_shown_phone(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest_each(transactions, make_message(by=[user_identity("AR.1")]))
    assert (await get_only_contact(transactions)).phone is None

    await ingest_each(
        transactions, make_message(by=[phone_identity(OLD_PHONE), user_identity("AR.1")], minute=1)
    )

    contact = await get_only_contact(transactions)
    assert contact.phone == OLD_PHONE
    assert await read_identities(transactions) == {
        (contact.id, "whatsapp_phone", OLD_PHONE),
        (contact.id, "whatsapp_user", "AR.1"),
    }
    assert len(await open_stored_rows(transactions).threads()) == 1


async def test_shown_phone_does_not_replace_a_phone_given_by_a_person(
    transactions: Transactions,
) -> None:
    eva = await create_shop_with_contact(transactions, phone="5491100000000")
    await ingest_each(
        transactions, make_message(by=[phone_identity("5491100000000"), user_identity("AR.1")])
    )

    await ingest_each(
        transactions, make_message(by=[phone_identity(OLD_PHONE), user_identity("AR.1")], minute=1)
    )

    assert (await get_only_contact(transactions)).phone == eva.phone


@pytest.mark.parametrize("batches", ["one", "many"])
async def test_parent_user_id_alone_finds_the_contact(
    transactions: Transactions, batches: str
) -> None:
    """A message links it with the phone and the user id."""
    await create_shop(transactions)
    messages = [
        make_message(
            "hola",
            by=[phone_identity(OLD_PHONE), user_identity("AR.1"), parent_identity("AR.ENT.1")],
        ),
        make_message("¿y?", by=[user_identity("AR.2"), parent_identity("AR.ENT.1")], minute=1),
        make_message("¿hola?", by=[user_identity("AR.2")], minute=2),
        make_message("me voy", by=[parent_identity("AR.ENT.1")], minute=3),
    ]

    if batches == "one":
        await make_ingestion(transactions)(messages)
    else:
        await ingest_each(transactions, *messages)

    contact = await get_only_contact(transactions)
    assert await read_identities(transactions) == {
        (contact.id, "whatsapp_phone", OLD_PHONE),
        (contact.id, "whatsapp_user", "AR.1"),
        (contact.id, "whatsapp_user", "AR.2"),
        (contact.id, "whatsapp_parent_user", "AR.ENT.1"),
    }
    assert (await get_only_thread(transactions)).last_message_at == NOON + timedelta(minutes=3)
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}


async def test_message_with_all_ids_links_the_other_senders_of_its_batch(
    transactions: Transactions,
) -> None:
    """The message with all ids was sent last."""
    await create_shop(transactions)

    await make_ingestion(transactions)(
        [
            make_message(by=[user_identity("AR.1")]),
            make_message(by=OLD_PHONE, minute=1),
            make_message(by=[phone_identity(OLD_PHONE), user_identity("AR.1")], minute=2),
        ]
    )

    assert (await get_only_contact(transactions)).phone == OLD_PHONE
    assert len(await open_stored_rows(transactions).threads()) == 1


@pytest.mark.parametrize("first", [NUMBER_FORMS, NUMBER_FORMS[::-1]], ids=["9 first", "9 last"])
async def test_every_form_of_a_number_finds_the_same_contact(
    transactions: Transactions, first: Sequence[Identity]
) -> None:
    await create_shop(transactions)

    await ingest_each(
        transactions,
        make_message("hola", by=first),
        make_message("¿y?", by=first[::-1], minute=1),
        make_message("¿hola?", by=[first[0]], minute=2),
        make_message("me voy", by=[first[1]], minute=3),
    )

    contact = await get_only_contact(transactions)
    assert contact.phone == first[0].value
    assert await read_identities(transactions) == {(contact.id, *form) for form in NUMBER_FORMS}
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}
    assert (await get_only_thread(transactions)).last_message_at == NOON + timedelta(minutes=3)


@pytest.mark.parametrize("stored", ["+5491155550001", "541155550001", "+541155550001"])
async def test_crm_contact_is_found_by_every_form_of_its_number(
    transactions: Transactions, stored: str
) -> None:
    eva = await create_shop_with_contact(transactions, phone=stored)

    await ingest_each(
        transactions,
        make_message(by=NUMBER_FORMS),
        make_message(by=[*NUMBER_FORMS, user_identity("AR.1")], minute=1),
    )

    contact = await get_only_contact(transactions)
    assert (contact.id, contact.name, contact.phone) == (eva.id, "Eva", stored)
    assert await read_identities(transactions) == {
        *((eva.id, *form) for form in NUMBER_FORMS),
        (eva.id, "whatsapp_user", "AR.1"),
    }


async def test_consent_finds_a_crm_contact_by_another_form_of_its_number(
    transactions: Transactions,
) -> None:
    await create_shop_with_contact(transactions, phone="+541155550001")

    await make_apply_changes(transactions)([make_consent(False, by=NUMBER_FORMS)])

    assert (await get_only_contact(transactions)).marketing_consent is False


async def test_ids_of_two_contacts_are_a_conflict_with_one_event(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await ingest_each(
        transactions,
        make_message("a", by=OLD_PHONE, name="Ana"),
        make_message("b", by=[user_identity("AR.1")], name="Bea"),
    )
    contacts = await open_stored_rows(transactions).contacts()
    identities = await read_identities(transactions)
    both = [phone_identity(OLD_PHONE), user_identity("AR.1")]

    await ingest_each(
        transactions, make_message("1", by=both, minute=1), make_message("2", by=both, minute=2)
    )
    await make_ingestion(transactions)([make_message(str(n), by=both, minute=n) for n in (3, 4)])
    await make_apply_changes(transactions)(
        [make_consent(True, by=both), make_consent(False, by=both, minute=1)]
    )

    ana, bea = sorted(
        await open_stored_rows(transactions).contacts(), key=lambda contact: contact.name
    )
    contact_ids = {t.id: t.contact_id for t in await open_stored_rows(transactions).threads()}
    messages = {
        m.body: contact_ids[m.thread_id] for m in await open_stored_rows(transactions).messages()
    }
    assert messages == {"b": bea.id} | dict.fromkeys("a1234", ana.id)
    assert [len(contacts), len(identities)] == [2, 2]
    assert await read_identities(transactions) == identities
    assert (ana.marketing_consent, bea.marketing_consent) == (False, None)
    (conflict,) = await list_change_events(transactions, "identity_conflict")
    assert conflict.org_id == ana.org_id
    assert conflict.payload == {
        "channel": "whatsapp",
        "contact_ids": [str(ana.id), str(bea.id)],
    }


async def test_ids_of_three_contacts_are_two_conflicts(transactions: Transactions) -> None:
    await create_shop(transactions)
    ids = [phone_identity(OLD_PHONE), user_identity("AR.1"), parent_identity("AR.ENT.1")]
    await ingest_each(transactions, *(make_message(by=[id_], name=id_.value) for id_ in ids))

    await ingest_each(transactions, make_message("all", by=ids), make_message("again", by=ids))

    names = {str(c.id): c.name for c in await open_stored_rows(transactions).contacts()}
    conflicts = [
        [names[id_] for id_ in event.payload["contact_ids"]]
        for event in await list_change_events(transactions, "identity_conflict")
    ]
    assert sorted(conflicts) == [[OLD_PHONE, "AR.1"], [OLD_PHONE, "AR.ENT.1"]]


async def test_two_forms_of_a_number_that_belong_to_two_contacts_are_a_conflict(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await ingest_each(
        transactions, *(make_message(by=[form], name=form.value) for form in NUMBER_FORMS)
    )

    await ingest_each(transactions, make_message("both", by=NUMBER_FORMS))

    assert len(await list_change_events(transactions, "identity_conflict")) == 1
    assert len(await open_stored_rows(transactions).contacts()) == 2
