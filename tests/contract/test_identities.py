"""Who somebody is, what they are called, and where they came from: in any order of delivery."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations

import pytest

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.contact import Contact, ContactId, Identity
from domain.deal import Deal
from domain.inbound import InboundMessage
from domain.message import Thread
from tests.support.builders import (
    NOON,
    create_shop,
    list_leads,
    make_apply_changes,
    make_consent,
    make_ingestion,
    make_message,
    make_unsend,
    new_id,
    parent_identity,
    phone_identity,
    user_identity,
)
from tests.support.stored_rows import open_stored_rows

PHONE, OTHER = "5491155550001", "5491155550002"
# One number, as Argentina writes it for mobiles from abroad, and as it is dialled within.
FORMS = [phone_identity("5491155550001"), phone_identity("541155550001")]


async def the_contact(transactions: Transactions) -> Contact:
    (contact,) = await open_stored_rows(transactions).contacts()
    return contact


async def the_thread(transactions: Transactions) -> Thread:
    (thread,) = await open_stored_rows(transactions).threads()
    return thread


async def the_deal(transactions: Transactions) -> Deal:
    (deal,) = await open_stored_rows(transactions).deals()
    return deal


async def identities(transactions: Transactions) -> set[tuple[ContactId, str, str]]:
    found = await open_stored_rows(transactions).identities()
    return {(i.contact_id, str(i.kind), i.value) for i in found}


async def ingest(transactions: Transactions, *messages: InboundMessage) -> None:
    """Each in a delivery of its own."""
    for message in messages:
        counters = await make_ingestion(transactions)([message])
        assert counters.ingested == 1


async def in_every_order(transactions: Transactions, *messages: InboundMessage) -> None:
    """Deliver them in every order, each time to another organisation."""
    for n, order in enumerate(permutations(messages)):
        await create_shop(transactions, f"shop {n}")
        for message in order:
            here = make_message(
                message.body,
                to=f"shop {n}",
                by=message.sender.identities,
                id=message.external_id,
                minute=(message.sent_at - NOON) / timedelta(minutes=1),
                name=message.sender.name,
                content=message.content,
            )
            await ingest(transactions, here)


async def in_the_crm(transactions: Transactions, name: str = "Eva", number: str = PHONE) -> Contact:
    """A shop whose CRM knew somebody before."""
    shop = await create_shop(transactions)
    eva = Contact(id=ContactId(new_id()), org_id=shop.org_id, name=name, phone=number)
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({eva.id: eva}, {})
    return eva


# Names


async def test_the_first_profile_name_is_the_contacts_in_any_order(
    transactions: Transactions,
) -> None:
    await in_every_order(
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
    await in_every_order(transactions, make_message(name="Ana"), make_message(name="Bea"))

    assert [c.name for c in await open_stored_rows(transactions).contacts()] == ["Ana", "Ana"]


async def test_a_name_that_changed_is_not_taken_over(transactions: Transactions) -> None:
    await create_shop(transactions)

    await ingest(
        transactions, make_message(name="Ana"), make_message(name="Ana la de las tortas", minute=1)
    )

    assert (await the_contact(transactions)).name == "Ana"


async def test_an_earlier_name_that_comes_late_is_taken(transactions: Transactions) -> None:
    await create_shop(transactions)

    await ingest(
        transactions, make_message(name="Anita ✨", minute=5), make_message(name="Ana", minute=1)
    )

    contact = await the_contact(transactions)
    assert (contact.name, contact.profile_name) == ("Ana", "Ana")
    assert contact.profile_seen_at == NOON + timedelta(minutes=1)


async def test_an_empty_name_never_wins(transactions: Transactions) -> None:
    await create_shop(transactions)

    await ingest(transactions, make_message(name="Ana", minute=5), make_message(name="", minute=1))

    contact = await the_contact(transactions)
    assert (contact.name, contact.profile_name) == ("Ana", "Ana")


async def test_a_name_comes_when_it_is_first_shown(transactions: Transactions) -> None:
    await create_shop(transactions)

    await ingest(transactions, make_message(name=""))
    assert (await the_contact(transactions)).profile_name is None
    await ingest(transactions, make_message(name="Ana", minute=1))

    assert (await the_contact(transactions)).name == "Ana"


async def test_a_name_that_people_gave_stays(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest(transactions, make_message(name="Anita ✨", minute=5))
    await open_stored_rows(transactions).rename(contact="Ana Gómez", deal="La boda")

    await ingest(
        transactions, make_message(name="Ana", minute=1), make_message(name="Ana!", minute=9)
    )

    contact = await the_contact(transactions)
    assert (contact.name, contact.profile_name) == ("Ana Gómez", "Ana")


async def test_a_contact_whose_name_people_left_empty_gets_one(transactions: Transactions) -> None:
    await in_the_crm(transactions, name="")

    await ingest(transactions, make_message(name="Ana"))

    assert (await the_contact(transactions)).name == "Ana"


async def test_names_are_each_organisations_own(transactions: Transactions) -> None:
    await create_shop(transactions)
    await create_shop(transactions, "222")

    await ingest(
        transactions,
        make_message(name="Ana", minute=5),
        make_message(to="222", name="Anita", minute=1),
    )

    assert {c.name for c in await open_stored_rows(transactions).contacts()} == {"Ana", "Anita"}


# Ids


async def test_a_phone_is_filled_in_when_it_is_shown(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest(transactions, make_message(by=[user_identity("AR.1")]))
    assert (await the_contact(transactions)).phone is None

    await ingest(
        transactions, make_message(by=[phone_identity(PHONE), user_identity("AR.1")], minute=1)
    )

    contact = await the_contact(transactions)
    assert contact.phone == PHONE
    assert await identities(transactions) == {
        (contact.id, "whatsapp_phone", PHONE),
        (contact.id, "whatsapp_user", "AR.1"),
    }
    assert len(await open_stored_rows(transactions).threads()) == 1


async def test_a_phone_that_people_gave_is_kept(transactions: Transactions) -> None:
    eva = await in_the_crm(transactions, number="5491100000000")
    await ingest(
        transactions, make_message(by=[phone_identity("5491100000000"), user_identity("AR.1")])
    )

    await ingest(
        transactions, make_message(by=[phone_identity(PHONE), user_identity("AR.1")], minute=1)
    )

    assert (await the_contact(transactions)).phone == eva.phone


@pytest.mark.parametrize("batches", ["one", "many"])
async def test_a_parent_id_is_an_id_like_any_other(
    transactions: Transactions, batches: str
) -> None:
    """Linked with the phone and the user id, and alone the same person."""
    await create_shop(transactions)
    messages = [
        make_message(
            "hola", by=[phone_identity(PHONE), user_identity("AR.1"), parent_identity("AR.ENT.1")]
        ),
        make_message("¿y?", by=[user_identity("AR.2"), parent_identity("AR.ENT.1")], minute=1),
        make_message("¿hola?", by=[user_identity("AR.2")], minute=2),
        make_message("me voy", by=[parent_identity("AR.ENT.1")], minute=3),
    ]

    if batches == "one":
        await make_ingestion(transactions)(messages)
    else:
        await ingest(transactions, *messages)

    contact = await the_contact(transactions)
    assert await identities(transactions) == {
        (contact.id, "whatsapp_phone", PHONE),
        (contact.id, "whatsapp_user", "AR.1"),
        (contact.id, "whatsapp_user", "AR.2"),
        (contact.id, "whatsapp_parent_user", "AR.ENT.1"),
    }
    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=3)
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}


async def test_whoever_shows_all_ids_links_the_others_of_the_batch(
    transactions: Transactions,
) -> None:
    """Whichever was sent first."""
    await create_shop(transactions)

    await make_ingestion(transactions)(
        [
            make_message(by=[user_identity("AR.1")]),
            make_message(by=PHONE, minute=1),
            make_message(by=[phone_identity(PHONE), user_identity("AR.1")], minute=2),
        ]
    )

    assert (await the_contact(transactions)).phone == PHONE
    assert len(await open_stored_rows(transactions).threads()) == 1


# Forms of one number


@pytest.mark.parametrize("first", [FORMS, FORMS[::-1]], ids=["9 first", "9 last"])
async def test_every_form_of_a_number_is_the_same_person(
    transactions: Transactions, first: Sequence[Identity]
) -> None:
    await create_shop(transactions)

    await ingest(
        transactions,
        make_message("hola", by=first),
        make_message("¿y?", by=first[::-1], minute=1),
        make_message("¿hola?", by=[first[0]], minute=2),
        make_message("me voy", by=[first[1]], minute=3),
    )

    contact = await the_contact(transactions)
    assert contact.phone == first[0].value
    assert await identities(transactions) == {(contact.id, *form) for form in FORMS}
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}
    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=3)


@pytest.mark.parametrize("stored", ["+5491155550001", "541155550001", "+541155550001"])
async def test_a_crm_contact_is_found_by_any_form_of_its_number(
    transactions: Transactions, stored: str
) -> None:
    eva = await in_the_crm(transactions, number=stored)

    await ingest(
        transactions,
        make_message(by=FORMS),
        make_message(by=[*FORMS, user_identity("AR.1")], minute=1),
    )

    contact = await the_contact(transactions)
    assert (contact.id, contact.name, contact.phone) == (eva.id, "Eva", stored)
    assert await identities(transactions) == {
        *((eva.id, *form) for form in FORMS),
        (eva.id, "whatsapp_user", "AR.1"),
    }


async def test_consent_finds_a_crm_contact_by_any_form_of_its_number(
    transactions: Transactions,
) -> None:
    await in_the_crm(transactions, number="+541155550001")

    await make_apply_changes(transactions)([make_consent(False, by=FORMS)])

    assert (await the_contact(transactions)).marketing_consent is False


# Conflicts


async def test_ids_of_two_contacts_are_a_conflict_that_is_told_once(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await ingest(
        transactions,
        make_message("a", by=PHONE, name="Ana"),
        make_message("b", by=[user_identity("AR.1")], name="Bea"),
    )
    before = await open_stored_rows(transactions).contacts(), await identities(transactions)
    both = [phone_identity(PHONE), user_identity("AR.1")]

    await ingest(
        transactions, make_message("1", by=both, minute=1), make_message("2", by=both, minute=2)
    )
    await make_ingestion(transactions)([make_message(str(n), by=both, minute=n) for n in (3, 4)])
    await make_apply_changes(transactions)(
        [make_consent(True, by=both), make_consent(False, by=both, minute=1)]
    )

    ana, bea = sorted(
        await open_stored_rows(transactions).contacts(), key=lambda contact: contact.name
    )
    whose = {t.id: t.contact_id for t in await open_stored_rows(transactions).threads()}
    messages = {m.body: whose[m.thread_id] for m in await open_stored_rows(transactions).messages()}
    assert messages == {"b": bea.id} | dict.fromkeys("a1234", ana.id)
    assert [len(before[0]), len(before[1])] == [2, 2]
    assert await identities(transactions) == before[1]
    assert (ana.marketing_consent, bea.marketing_consent) == (False, None)
    (conflict,) = [
        event
        for event in await open_stored_rows(transactions).events()
        if event.type == "identity_conflict"
    ]
    assert conflict.org_id == ana.org_id
    assert conflict.payload == {
        "channel": "whatsapp",
        "contact_ids": [str(ana.id), str(bea.id)],
    }


async def test_three_contacts_are_two_conflicts(transactions: Transactions) -> None:
    await create_shop(transactions)
    ids = [phone_identity(PHONE), user_identity("AR.1"), parent_identity("AR.ENT.1")]
    await ingest(transactions, *(make_message(by=[id_], name=id_.value) for id_ in ids))

    await ingest(transactions, make_message("all", by=ids), make_message("again", by=ids))

    name = {str(c.id): c.name for c in await open_stored_rows(transactions).contacts()}
    conflicts = [
        [name[id_] for id_ in event.payload["contact_ids"]]
        for event in await open_stored_rows(transactions).events()
        if event.type == "identity_conflict"
    ]
    assert sorted(conflicts) == [[PHONE, "AR.1"], [PHONE, "AR.ENT.1"]]


async def test_two_forms_of_a_number_that_are_two_contacts_are_a_conflict(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await ingest(transactions, *(make_message(by=[form], name=form.value) for form in FORMS))

    await ingest(transactions, make_message("both", by=FORMS))

    events = [event.type for event in await open_stored_rows(transactions).events()]
    assert events.count("identity_conflict") == 1
    assert len(await open_stored_rows(transactions).contacts()) == 2


# Where somebody came from

AD = {
    "source_type": "ad",
    "source_id": "120212",
    "click_id": "Aff-n8",
    "headline": "Tortas a medida",
}
LATER_AD = {"source_type": "ad", "source_id": "999"}


async def test_the_first_ad_is_the_deals_source_in_any_order(transactions: Transactions) -> None:
    await in_every_order(
        transactions,
        make_message("hola", minute=0, id="wamid.0"),
        make_message("vi el aviso", minute=1, id="wamid.1", content={"referral": AD}),
        make_message("vi otro", minute=2, id="wamid.2", content={"referral": LATER_AD}),
    )

    sources = [deal.source for deal in await open_stored_rows(transactions).deals()]
    expected = {**AD, "sent_at": "2026-11-22T12:01:00+00:00", "message": "wamid.1"}
    assert sources == [expected] * 6


async def test_of_two_ads_of_one_second_the_same_wins_in_any_order(
    transactions: Transactions,
) -> None:
    await in_every_order(
        transactions,
        make_message(id="wamid.a", content={"referral": AD}),
        make_message(id="wamid.b", content={"referral": LATER_AD}),
    )

    sources = [deal.source for deal in await open_stored_rows(transactions).deals()]
    assert [source and source["message"] for source in sources] == ["wamid.a", "wamid.a"]


async def test_a_later_ad_does_not_replace_the_first(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest(transactions, make_message(content={"referral": AD}))
    before = await the_deal(transactions)

    await ingest(transactions, make_message(content={"referral": LATER_AD}, minute=1))

    assert before.source
    assert await the_deal(transactions) == before


@pytest.mark.parametrize("taken_back", ["before it came", "after it came"])
async def test_an_ad_is_the_source_though_its_message_was_taken_back(
    transactions: Transactions, taken_back: str
) -> None:
    await create_shop(transactions)
    message = make_message(content={"referral": AD})

    if taken_back == "before it came":
        await make_apply_changes(transactions)([make_unsend(message)])
    await ingest(transactions, message)
    if taken_back == "after it came":
        await make_apply_changes(transactions)([make_unsend(message)])

    source = (await the_deal(transactions)).source
    assert source
    assert source["source_id"] == AD["source_id"]
    (stored,) = await open_stored_rows(transactions).messages()
    assert stored.content.keys() == {"deleted_at"}


async def test_a_deal_of_whoever_came_by_themselves_has_no_source(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await ingest(
        transactions, make_message("hola"), make_message(content={"referral": {}}, minute=1)
    )

    assert (await the_deal(transactions)).source is None


async def test_a_new_deal_has_its_own_source(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest(transactions, make_message(content={"referral": AD}))
    await open_stored_rows(transactions).win_all_deals()

    await ingest(transactions, make_message(content={"referral": LATER_AD}, minute=1))

    sources = [deal.source for deal in await open_stored_rows(transactions).deals()]
    assert [source and source["source_id"] for source in sources] == ["120212", "999"]


# What a deal is called


async def test_a_deal_is_called_after_the_earliest_message_in_any_order(
    transactions: Transactions,
) -> None:
    await in_every_order(
        transactions,
        make_message("¿hay stock?", minute=2, id="wamid.2"),
        make_message("", minute=1, id="wamid.1"),
        make_message("hola\n¿qué tal?", minute=0, id="wamid.0"),
    )

    first = {m.id: m.external_id for m in await open_stored_rows(transactions).messages()}
    deals = await open_stored_rows(transactions).deals()
    assert [deal.title for deal in deals] == ["hola"] * 6
    assert [first[deal.message_id] for deal in deals if deal.message_id] == ["wamid.0"] * 6


async def test_of_two_messages_of_one_second_the_same_names_the_deal_in_any_order(
    transactions: Transactions,
) -> None:
    await in_every_order(
        transactions, make_message("a", id="wamid.b"), make_message("b", id="wamid.a")
    )

    assert [deal.title for deal in await open_stored_rows(transactions).deals()] == ["b", "b"]


async def test_a_title_that_people_gave_stays(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest(transactions, make_message("¿hay stock?", minute=5))
    await open_stored_rows(transactions).rename(contact="Ana", deal="La boda")

    await ingest(transactions, make_message("hola", minute=1), make_message("chau", minute=9))

    assert (await the_deal(transactions)).title == "La boda"


async def test_a_deal_that_is_won_is_not_called_otherwise(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest(transactions, make_message("¿hay stock?", minute=5))
    await open_stored_rows(transactions).win_all_deals()

    await ingest(transactions, make_message("hola", minute=1))

    titles = {str(d.status): d.title for d in await open_stored_rows(transactions).deals()}
    assert titles == {"won": "¿hay stock?", "open": "hola"}
