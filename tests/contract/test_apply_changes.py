"""What happens after the first word: the same over memory and over PostgreSQL, in any order."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any, TypeAlias

import pytest

from application.errors import StorageUnavailable
from application.ingestion.ingest_messages import Counters
from application.ports.storage import Transactions
from domain.change import Change, ChangeKind
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.contact import Contact, ContactId
from domain.deal import Deal, DealStatus
from domain.event import Event
from domain.failed_message import FIRST_RETRY
from domain.inbound import InboundMessage
from domain.insight import Insight
from domain.message import Direction, Message, Thread
from domain.organization import OrgId
from tests.support.builders import (
    NOON,
    application,
    consented,
    echoed,
    edited,
    ingestion,
    leads,
    new_id,
    open_shop,
    phone,
    reacted,
    renumbered,
    said,
    unsent,
    user,
)
from tests.support.stored_rows import crm_of

OLD, NEW = "5491155550001", "5491155550002"
INGESTED = Counters(received=1, ingested=1, skipped=0, failed=0)


def at(minute: float) -> str:
    """As times stand in a message's content."""
    return (NOON + timedelta(minutes=minute)).isoformat()


def a_crm_contact(org_id: OrgId, number: str) -> Contact:
    return Contact(id=ContactId(new_id()), org_id=org_id, name="Eva", phone=number)


async def a_second_number(transactions: Transactions, shop: Connection) -> Connection:
    """Of the same organisation."""
    second = replace(shop, id=ConnectionId(new_id()), external_id="222")
    async with transactions.begin() as repos:
        return await repos.connections.add(second)


async def deliver(transactions: Transactions, *things: InboundMessage | Change) -> None:
    """Each alone, one after the other."""
    for thing in things:
        if isinstance(thing, Change):
            await application(transactions)([thing])
        else:
            await ingestion(transactions)([thing])


Person: TypeAlias = str
"""A number that nobody else has."""


async def in_every_order(
    transactions: Transactions, make: Callable[[Person], Sequence[InboundMessage | Change]]
) -> int:
    """Deliver what is made for a person in every order, each for a person of its own."""
    count = 0
    for order in permutations(range(len(make("nobody")))):
        count += 1
        things = make(f"{count}")
        await deliver(transactions, *(things[n] for n in order))
    return count


async def the_message(transactions: Transactions) -> Message:
    (message,) = await crm_of(transactions).messages()
    return message


async def the_contact(transactions: Transactions) -> Contact:
    (contact,) = await crm_of(transactions).contacts()
    return contact


async def the_thread(transactions: Transactions) -> Thread:
    (thread,) = await crm_of(transactions).threads()
    return thread


async def the_deal(transactions: Transactions) -> Deal:
    (deal,) = await crm_of(transactions).deals()
    return deal


async def the_insight(transactions: Transactions) -> Insight:
    (insight,) = await crm_of(transactions).insights()
    return insight


async def told(transactions: Transactions, *types: str) -> list[Event]:
    """Every event of these types, or of any but a captured lead's."""
    events = await crm_of(transactions).events()
    return [e for e in events if e.type in types or (not types and e.type != "lead_captured")]


async def everything(transactions: Transactions) -> dict[str, Any]:
    crm = crm_of(transactions)
    async with transactions.begin() as repos:
        organizations = await repos.organizations.all()
        failed = [await repos.failed_messages.of(org.id) for org in organizations]
    return {
        "contacts": await crm.contacts(),
        "identities": await crm.identities(),
        "threads": await crm.threads(),
        "messages": await crm.messages(),
        "changes": await crm.changes(),
        "deals": await crm.deals(),
        "insights": await crm.insights(),
        "events": await crm.events(),
        "failed": failed,
    }


async def where_it_stands(transactions: Transactions, words: str) -> list[str]:
    """The tables that hold the words anywhere in a row."""
    return [name for name, rows in (await everything(transactions)).items() if words in repr(rows)]


# Edits


async def test_an_edit_replaces_the_words_and_keeps_the_old_ones(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    message = said("quiero una torta", content={"media": {"id": "m"}})

    await deliver(transactions, message, edited(message, "quiero dos tortas", minute=3))

    stored = await the_message(transactions)
    assert stored.body == "quiero dos tortas"
    assert stored.content == {
        "media": {"id": "m"},
        "edits": [{"body": "quiero una torta", "replaced_at": at(3)}],
    }
    assert stored.sent_at == NOON
    assert [lead.body for lead in await leads(transactions)] == ["quiero dos tortas"]
    assert (await the_deal(transactions)).title == "quiero dos tortas"


async def test_a_title_that_people_gave_is_not_edited(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said("quiero una torta")
    await deliver(transactions, message)
    await crm_of(transactions).rename(contact="Ana G.", deal="La boda")

    await deliver(transactions, edited(message, "quiero dos tortas"))

    assert (await the_deal(transactions)).title == "La boda"


async def test_the_title_of_a_deal_that_is_won_is_edited_too(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said("quiero una torta")
    await deliver(transactions, message)
    await crm_of(transactions).win_all_deals()

    await deliver(transactions, edited(message, "quiero dos tortas"))

    deal = await the_deal(transactions)
    assert (deal.title, deal.status) == ("quiero dos tortas", DealStatus.WON)


async def test_an_edit_of_a_later_message_leaves_the_title(transactions: Transactions) -> None:
    await open_shop(transactions)
    later = said("¿hay stock?", minute=1)
    await deliver(transactions, said("hola"), later)

    await deliver(transactions, edited(later, "¿hay stock hoy?", minute=2))

    assert (await the_deal(transactions)).title == "hola"


async def test_edits_in_any_order_end_with_the_last(transactions: Transactions) -> None:
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        message = said("uno", by=person)
        return [message, *(edited(message, word, minute=n) for n, word in EDITS)]

    orders = await in_every_order(transactions, make)

    edits = [
        {"body": "uno", "replaced_at": at(1)},
        {"body": "dos", "replaced_at": at(2)},
        {"body": "tres", "replaced_at": at(3)},
    ]
    stored = await crm_of(transactions).messages()
    assert [(m.body, m.content) for m in stored] == [("cuatro", {"edits": edits})] * orders
    assert [deal.title for deal in await crm_of(transactions).deals()] == ["cuatro"] * orders
    assert len(await told(transactions, "message_edited")) == 3 * orders


EDITS = [(1, "dos"), (2, "tres"), (3, "cuatro")]


async def test_several_edits_in_one_batch_are_applied_in_their_own_order(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    message = said("uno")
    await deliver(transactions, message)

    await application(transactions)(
        [edited(message, word, minute=n) for n, word in reversed(EDITS)]
    )

    stored = await the_message(transactions)
    assert stored.body == "cuatro"
    assert [edit["body"] for edit in stored.content["edits"]] == ["uno", "dos", "tres"]


async def test_edits_of_one_second_end_the_same_in_any_order(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said("uno")
    first, second = edited(message, "dos", id="wamid.a"), edited(message, "tres", id="wamid.b")

    await deliver(transactions, message, second, first)

    stored = await the_message(transactions)
    assert (stored.body, [e["body"] for e in stored.content["edits"]]) == ("tres", ["uno", "dos"])


async def test_an_edit_before_its_message_waits_for_it(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said("quiero una torta")

    await deliver(transactions, edited(message, "quiero dos tortas"))
    assert await leads(transactions) == []
    assert [change.is_waiting for change in await crm_of(transactions).changes()] == [True]
    await deliver(transactions, message)

    stored = await the_message(transactions)
    assert stored.body == "quiero dos tortas"
    assert stored.content["edits"] == [{"body": "quiero una torta", "replaced_at": at(1)}]
    assert (await the_deal(transactions)).title == "quiero dos tortas"
    assert [change.is_waiting for change in await crm_of(transactions).changes()] == [False]


async def test_an_edit_that_waited_is_not_forgotten_by_the_next_change(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    message = said("uno")

    await deliver(transactions, edited(message, "dos"), message, reacted(message, "👍", minute=2))

    stored = await the_message(transactions)
    assert stored.body == "dos"
    assert stored.content == {
        "edits": [{"body": "uno", "replaced_at": at(1)}],
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(2)}],
    }


# Messages that are taken back

SECRET = "hunter2"


async def test_words_that_were_taken_back_stand_nowhere(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said(f"comprar {SECRET}", content={"media": {"filename": f"{SECRET}.pdf"}})
    await deliver(transactions, message, edited(message, f"reembolso {SECRET}"))
    assert await where_it_stands(transactions, SECRET) == [
        "messages",
        "changes",
        "deals",
        "insights",
    ]

    await deliver(transactions, unsent(message, minute=2))

    assert await where_it_stands(transactions, SECRET) == []
    stored = await the_message(transactions)
    assert (stored.body, stored.content) == ("[deleted]", {"deleted_at": at(2)})
    assert stored.is_deleted


async def test_the_lead_of_a_message_that_was_taken_back_stays(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said("lo quiero comprar")

    await deliver(transactions, message, unsent(message))

    (lead,) = await leads(transactions)
    assert (lead.body, lead.deal, lead.deal_status) == ("[deleted]", "[deleted]", DealStatus.OPEN)
    insight = await the_insight(transactions)
    assert (insight.summary, insight.intent, insight.score) == ("[deleted]", "unknown", 0)
    assert insight.next_step == ""
    assert len(await crm_of(transactions).contacts()) == 1


async def test_what_is_said_of_another_message_stays(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said("hola")

    await deliver(transactions, message, said("lo quiero comprar", minute=1), unsent(message))

    assert (await the_insight(transactions)).intent == "purchase"
    assert (await the_deal(transactions)).title == "[deleted]"


async def test_a_title_that_people_gave_outlives_the_message(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said("hola")
    await deliver(transactions, message)
    await crm_of(transactions).rename(contact="Ana G.", deal="La boda")

    await deliver(transactions, unsent(message))

    assert (await the_deal(transactions)).title == "La boda"


async def test_a_message_that_was_taken_back_before_it_came_is_a_lead_without_words(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    message = said(f"comprar {SECRET}", content={"media": {"filename": f"{SECRET}.pdf"}})

    await deliver(transactions, unsent(message, minute=2))
    counters = await ingestion(transactions)([message])

    assert counters == INGESTED
    assert await where_it_stands(transactions, SECRET) == []
    stored = await the_message(transactions)
    assert (stored.body, stored.content) == ("[deleted]", {"deleted_at": at(2)})
    (lead,) = await leads(transactions)
    assert (lead.deal, lead.intent, lead.score) == ("[deleted]", "unknown", 0)


async def test_taking_back_wins_over_edits_in_any_order(transactions: Transactions) -> None:
    """Even over one that was made later: the words are gone."""
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        message = said(f"comprar {SECRET}", by=person)
        return [
            message,
            edited(message, f"{SECRET}, dos", minute=1),
            unsent(message, minute=2),
            edited(message, f"{SECRET}, tres", minute=3),
        ]

    orders = await in_every_order(transactions, make)

    stored = await crm_of(transactions).messages()
    gone = ("[deleted]", {"deleted_at": at(2)})
    assert [(m.body, m.content) for m in stored] == [gone] * orders
    assert await where_it_stands(transactions, SECRET) == []
    assert Counter(event.type for event in await told(transactions)) == {
        "message_edited": 2 * orders,
        "message_deleted": orders,
    }


async def test_a_message_that_is_taken_back_twice_is_gone_from_the_first_time_on(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        message = said(by=person)
        return [message, unsent(message, minute=2), unsent(message, minute=1)]

    orders = await in_every_order(transactions, make)

    contents = [message.content for message in await crm_of(transactions).messages()]
    assert contents == [{"deleted_at": at(1)}] * orders


async def test_reactions_leave_a_message_that_was_taken_back_without_content(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    message = said()

    await deliver(
        transactions,
        message,
        reacted(message, "👍"),
        unsent(message, minute=2),
        reacted(message, "❤️", minute=3),
    )

    assert (await the_message(transactions)).content == {"deleted_at": at(2)}


# Repeats


async def test_repeated_changes_change_nothing_and_are_told_once(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    first, second = said("hola"), said("chau", minute=1)
    await deliver(transactions, first, second)
    changes = [
        edited(first, "hola, hola"),
        reacted(first, "👍"),
        unsent(second),
        consented(False),
        renumbered(phone(NEW)),
        echoed(),
        echoed("too early", to=[user("AR.9")]),
        reacted(said("of nobody"), "👍"),
    ]
    await deliver(transactions, *changes)
    before = await everything(transactions)

    await deliver(transactions, *changes)
    await application(transactions)([*changes, *changes])
    await application(transactions)([*reversed(changes)])

    assert await everything(transactions) == before
    assert Counter(event.type for event in await told(transactions)) == {
        "message_edited": 1,
        "message_reacted": 2,
        "message_deleted": 1,
        "consent_changed": 1,
        "identity_changed": 1,
        "message_sent": 1,
    }


async def test_a_change_twice_in_one_batch_is_told_once(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said()
    await deliver(transactions, message)
    change = edited(message, "otra cosa")

    await application(transactions)([change, change])

    assert len(await told(transactions)) == 1
    assert len((await the_message(transactions)).content["edits"]) == 1


async def test_an_empty_batch_is_welcome(transactions: Transactions) -> None:
    await application(transactions)([])


# Reactions


async def test_a_reaction_stands_at_its_message(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said()

    await deliver(transactions, message, reacted(message, "👍", minute=2))

    assert (await the_message(transactions)).content == {
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(2)}]
    }


async def test_each_side_has_one_reaction(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said()

    await deliver(
        transactions,
        message,
        reacted(message, "👍", minute=1),
        reacted(message, "🙏", minute=2, by=Direction.OUTBOUND),
        reacted(message, "❤️", minute=3),
    )

    assert (await the_message(transactions)).content["reactions"] == [
        {"by": "inbound", "emoji": "❤️", "at": at(3)},
        {"by": "outbound", "emoji": "🙏", "at": at(2)},
    ]


async def test_a_reaction_that_is_taken_back_leaves_the_other_sides(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    message = said()

    await deliver(
        transactions,
        message,
        reacted(message, "👍", minute=1),
        reacted(message, "🙏", minute=1, by=Direction.OUTBOUND),
        reacted(message, None, minute=2),
    )

    assert (await the_message(transactions)).content["reactions"] == [
        {"by": "outbound", "emoji": "🙏", "at": at(1)}
    ]


async def test_reactions_in_any_order_end_with_the_last(transactions: Transactions) -> None:
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        message = said(by=person)
        emojis = enumerate(("👍", None, "❤️"))
        return [message, *(reacted(message, emoji, minute=n) for n, emoji in emojis)]

    orders = await in_every_order(transactions, make)

    reactions = [{"by": "inbound", "emoji": "❤️", "at": at(2)}]
    contents = [message.content for message in await crm_of(transactions).messages()]
    assert contents == [{"reactions": reactions}] * orders


async def test_the_last_reaction_taken_back_leaves_nothing(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said()

    await deliver(
        transactions, message, reacted(message, None, minute=2), reacted(message, "👍", minute=1)
    )

    assert (await the_message(transactions)).content == {}


async def test_a_reaction_to_what_nobody_stored_is_told_and_makes_no_lead(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)

    await deliver(transactions, reacted(said(), "👍"))

    (event,) = await crm_of(transactions).events()
    assert event.type == "message_reacted"
    crm = crm_of(transactions)
    assert [*await crm.contacts(), *await crm.threads(), *await crm.deals()] == []


async def test_a_reaction_before_its_message_waits_for_it(transactions: Transactions) -> None:
    await open_shop(transactions)
    message = said()

    await deliver(transactions, reacted(message, "👍", minute=2), message)

    assert (await the_message(transactions)).content == {
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(2)}]
    }


# Consent


async def test_a_contact_has_not_said_anything_about_marketing_at_first(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    await deliver(transactions, said())

    contact = await the_contact(transactions)

    assert (contact.marketing_consent, contact.marketing_consent_at) == (None, None)


async def test_the_last_word_on_marketing_counts_in_any_order(transactions: Transactions) -> None:
    """And none is lost that comes before the person."""
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        words = enumerate((False, True, False))
        return [said(by=person), *(consented(w, by=person, minute=n) for n, w in words)]

    orders = await in_every_order(transactions, make)

    last = (False, NOON + timedelta(minutes=2))
    contacts = await crm_of(transactions).contacts()
    assert [(c.marketing_consent, c.marketing_consent_at) for c in contacts] == [last] * orders
    assert len(await told(transactions, "consent_changed")) == 3 * orders


async def test_whoever_resumes_wants_marketing_again(transactions: Transactions) -> None:
    await open_shop(transactions)

    await deliver(transactions, said(), consented(False, minute=1), consented(True, minute=2))

    contact = await the_contact(transactions)
    assert contact.marketing_consent is True
    assert contact.marketing_consent_at == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_refusal_wins_over_a_consent_of_the_same_second(
    transactions: Transactions, order: Sequence[int]
) -> None:
    await open_shop(transactions)
    words = [consented(True), consented(False)]

    await deliver(transactions, said(), *(words[n] for n in order))

    assert (await the_contact(transactions)).marketing_consent is False


async def test_consent_before_the_person_is_known_waits_for_them(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    ana = [phone(OLD), user("AR.1")]

    await deliver(
        transactions, consented(False, by=ana, minute=2), consented(True, by=ana, minute=1)
    )
    assert await crm_of(transactions).contacts() == []
    await deliver(transactions, said(by=ana))

    contact = await the_contact(transactions)
    assert contact.marketing_consent is False
    assert contact.marketing_consent_at == NOON + timedelta(minutes=2)
    assert [change.is_waiting for change in await crm_of(transactions).changes()] == [False, False]


async def test_what_waits_for_a_person_is_found_by_the_user_id_alone(
    transactions: Transactions,
) -> None:
    """Who hides the number from now on is still the one it was said to."""
    await open_shop(transactions)
    ana = [phone(OLD), user("AR.1")]

    await deliver(transactions, consented(False, by=ana), echoed("¡hola!", to=ana, minute=1))
    await deliver(transactions, said(by=[user("AR.1")]))

    assert (await the_contact(transactions)).marketing_consent is False
    bodies = {message.body for message in await crm_of(transactions).messages()}
    assert bodies == {"hola", "¡hola!"}


async def test_consent_is_that_of_the_person_and_of_nobody_else(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    await deliver(transactions, said(), said(by=NEW, name="Eva"))

    await deliver(transactions, consented(False, by=NEW))

    consents = {c.name: c.marketing_consent for c in await crm_of(transactions).contacts()}
    assert consents == {"Ana": None, "Eva": False}


# Other numbers and ids


async def test_a_person_with_another_number_stays_the_same_contact(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    await deliver(transactions, said("hola", by=OLD))

    await deliver(transactions, renumbered(phone(NEW), by=OLD))

    contact = await the_contact(transactions)
    assert contact.phone == NEW
    identities = await crm_of(transactions).identities()
    assert {(i.contact_id, i.kind, i.value) for i in identities} == {
        (contact.id, "whatsapp_phone", OLD),
        (contact.id, "whatsapp_phone", NEW),
    }

    await deliver(transactions, said("soy yo", by=NEW, minute=5))

    assert (await the_contact(transactions)) == contact
    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)
    assert {lead.deal for lead in await leads(transactions)} == {"hola"}


async def test_another_number_of_a_crm_contact_replaces_its_own(
    transactions: Transactions,
) -> None:
    """Which may be written with a plus, and which no message has shown yet."""
    shop = await open_shop(transactions)
    eva = a_crm_contact(shop.org_id, f"+{OLD}")
    async with transactions.begin() as repos:
        await repos.contacts.add({eva.id: eva}, {})

    await deliver(transactions, renumbered(phone(NEW), by=OLD))

    assert (await the_contact(transactions)).phone == NEW


async def test_a_phone_that_people_gave_is_not_replaced(transactions: Transactions) -> None:
    shop = await open_shop(transactions)
    eva = a_crm_contact(shop.org_id, "5491100000000")
    async with transactions.begin() as repos:
        await repos.contacts.add({eva.id: eva}, {})
    await deliver(transactions, said(by=[phone("5491100000000"), user("AR.1")]))

    await deliver(transactions, renumbered(phone(NEW), by=[phone(OLD), user("AR.1")]))

    assert (await the_contact(transactions)).phone == "5491100000000"
    await deliver(transactions, said(by=NEW))
    assert len(await crm_of(transactions).threads()) == 1


async def test_the_old_number_of_a_crm_contact_stays_theirs(transactions: Transactions) -> None:
    shop = await open_shop(transactions)
    eva = a_crm_contact(shop.org_id, f"+{OLD}")
    async with transactions.begin() as repos:
        await repos.contacts.add({eva.id: eva}, {})
    await deliver(transactions, said(by=OLD), renumbered(phone(NEW), by=OLD))

    await deliver(transactions, said("late", by=OLD, minute=0.5))

    assert (await the_contact(transactions)).phone == NEW


@pytest.mark.parametrize("by", [OLD, [phone(OLD), user("AR.1")]], ids=["phone", "phone and id"])
async def test_a_new_number_that_is_somebodys_is_a_conflict_and_nothing_is_merged(
    transactions: Transactions, by: Any
) -> None:
    await open_shop(transactions)
    await deliver(transactions, said(by=OLD), said(by=NEW, name="Eva"))
    before = await crm_of(transactions).contacts()
    identities = await crm_of(transactions).identities()

    await deliver(transactions, renumbered(phone(NEW), by=by))
    await deliver(transactions, renumbered(phone(NEW), by=by, minute=2))

    assert await crm_of(transactions).contacts() == before
    owners = {i.value: i.contact_id for i in await crm_of(transactions).identities()}
    assert owners.items() >= {i.value: i.contact_id for i in identities}.items()
    (conflict,) = await told(transactions, "identity_conflict")
    ana, eva = sorted(before, key=lambda contact: contact.name)
    assert conflict.payload == {
        "channel": "whatsapp",
        "contact_ids": [str(ana.id), str(eva.id)],
    }
    assert len(await told(transactions, "identity_changed")) == 2


async def test_another_number_of_somebody_unknown_makes_nobody(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)

    await deliver(transactions, renumbered(phone(NEW), by=OLD))

    crm = crm_of(transactions)
    assert [*await crm.contacts(), *await crm.identities(), *await crm.threads()] == []
    (event,) = await crm.events()
    assert event.type == "identity_changed"


async def test_a_person_with_another_user_id_stays_the_same_contact(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    await deliver(transactions, said("hola", by=[user("AR.1")]))

    await deliver(transactions, renumbered(user("AR.2"), by=[user("AR.1")]))
    await deliver(transactions, said("soy yo", by=[user("AR.2")], minute=5))

    contact = await the_contact(transactions)
    assert contact.phone is None
    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)
    assert {lead.deal for lead in await leads(transactions)} == {"hola"}


async def test_all_ids_of_a_new_number_are_the_persons(transactions: Transactions) -> None:
    await open_shop(transactions)
    await deliver(transactions, said("hola", by=OLD))

    await deliver(transactions, renumbered(phone(NEW), user("AR.2"), by=OLD))
    await deliver(transactions, said("soy yo", by=[user("AR.2")], minute=5))

    assert (await the_contact(transactions)).phone == NEW


# What the business says from another device


async def test_an_echo_stands_in_the_persons_conversation(transactions: Transactions) -> None:
    await open_shop(transactions)
    await deliver(transactions, said("lo quiero comprar"))
    before = await the_deal(transactions), await the_insight(transactions)

    await deliver(transactions, echoed("¡dale!", minute=7, id="wamid.echo"))

    thread = await the_thread(transactions)
    assert thread.last_message_at == NOON + timedelta(minutes=7)
    (echo,) = [m for m in await crm_of(transactions).messages() if m.external_id == "wamid.echo"]
    assert (echo.thread_id, echo.direction, echo.kind) == (thread.id, "outbound", "text")
    assert (echo.body, echo.sent_at) == ("¡dale!", NOON + timedelta(minutes=7))
    assert (await the_deal(transactions), await the_insight(transactions)) == before
    (event,) = await told(transactions)
    assert event.type == "message_sent"
    assert event.payload == {
        "channel": "whatsapp",
        "message_id": str(echo.id),
        "thread_id": str(thread.id),
    }
    assert len(await leads(transactions)) == 1


async def test_an_echo_of_long_ago_does_not_move_the_conversation_back(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)

    await deliver(transactions, said(minute=5), echoed(minute=1))

    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)


async def test_a_message_that_was_an_echo_is_no_lead(transactions: Transactions) -> None:
    """It has the id of one that is stored."""
    await open_shop(transactions)
    await deliver(transactions, said(), echoed(id="wamid.echo"))

    counters = await ingestion(transactions)([said(id="wamid.echo")])

    assert counters == Counters(received=1, ingested=0, skipped=1, failed=0)


async def test_an_echo_before_its_conversation_waits_for_the_person(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)

    await deliver(transactions, echoed("¡hola!", minute=3), echoed("¿qué tal?", minute=1))
    crm = crm_of(transactions)
    assert [*await crm.contacts(), *await crm.threads(), *await crm.messages()] == []
    assert await crm.events() == []
    counters = await ingestion(transactions)([said("hola", minute=2)])

    assert counters == INGESTED
    thread = await the_thread(transactions)
    assert thread.last_message_at == NOON + timedelta(minutes=3)
    said_so = sorted(await crm.messages(), key=lambda message: message.sent_at)
    assert [(m.direction, m.body, m.thread_id) for m in said_so] == [
        ("outbound", "¿qué tal?", thread.id),
        ("inbound", "hola", thread.id),
        ("outbound", "¡hola!", thread.id),
    ]
    assert (await the_deal(transactions)).title == "hola"
    types = Counter(event.type for event in await crm.events())
    assert types == {"lead_captured": 1, "message_sent": 2}
    # What is a message now is not kept twice.
    assert [(c.is_waiting, c.content) for c in await crm.changes()] == [(False, {}), (False, {})]


async def test_an_echo_waits_for_the_person_to_write_over_its_own_connection(
    transactions: Transactions,
) -> None:
    shop = await open_shop(transactions)
    second = await a_second_number(transactions, shop)

    await deliver(transactions, echoed("¡hola!", over="222"), said())
    assert [m.direction for m in await crm_of(transactions).messages()] == ["inbound"]
    await deliver(transactions, echoed("otra vez", over="222", minute=2))
    assert [m.direction for m in await crm_of(transactions).messages()] == ["inbound"]
    await deliver(transactions, said(to="222", minute=3))

    threads = {t.id: t.connection_id for t in await crm_of(transactions).threads()}
    assert Counter(threads.values()) == {shop.id: 1, second.id: 1}
    echoes = [m for m in await crm_of(transactions).messages() if m.direction == "outbound"]
    assert {m.body for m in echoes} == {"¡hola!", "otra vez"}
    assert {threads[m.thread_id] for m in echoes} == {second.id}


async def test_an_echo_goes_over_its_own_connection(transactions: Transactions) -> None:
    shop = await open_shop(transactions)
    second = await a_second_number(transactions, shop)
    await deliver(transactions, said(), said(to="222"))

    await deliver(transactions, echoed(over="222"))

    threads = {t.id: t.connection_id for t in await crm_of(transactions).threads()}
    (echo,) = [m for m in await crm_of(transactions).messages() if m.direction == "outbound"]
    assert threads[echo.thread_id] == second.id


async def test_an_echo_is_edited_and_reacted_to_and_taken_back(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    echo = echoed("uno", id="wamid.echo")
    await deliver(
        transactions,
        said(),
        echo,
        edited(echo, "dos", minute=2),
        reacted(echo, "👍", minute=3),
    )

    async def stored() -> Message:
        return next(m for m in await crm_of(transactions).messages() if m.direction == "outbound")

    assert (await stored()).body == "dos"
    assert (await stored()).content == {
        "edits": [{"body": "uno", "replaced_at": at(2)}],
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(3)}],
    }

    await deliver(transactions, unsent(echo, minute=4))

    assert ((await stored()).body, (await stored()).content) == (
        "[deleted]",
        {"deleted_at": at(4)},
    )
    assert (await the_deal(transactions)).title == "hola"


async def test_an_echo_its_edit_and_its_conversation_come_in_any_order(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        echo = echoed("uno", to=person, minute=1)
        return [said(by=person), echo, edited(echo, "dos", minute=2)]

    orders = await in_every_order(transactions, make)

    edits = [{"body": "uno", "replaced_at": at(2)}]
    echoes = [m for m in await crm_of(transactions).messages() if m.direction == "outbound"]
    assert [(m.body, m.content) for m in echoes] == [("dos", {"edits": edits})] * orders
    assert not any(change.is_waiting for change in await crm_of(transactions).changes())
    assert len({m.thread_id for m in echoes}) == orders


async def test_of_an_echo_that_was_taken_back_no_words_stay_in_any_order(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        echo = echoed(f"uno {SECRET}", to=person, minute=1)
        edit = edited(echo, f"dos {SECRET}", minute=2)
        return [said(by=person), echo, edit, unsent(echo, minute=3)]

    orders = await in_every_order(transactions, make)

    assert await where_it_stands(transactions, SECRET) == []
    echoes = [m for m in await crm_of(transactions).messages() if m.direction == "outbound"]
    gone = ("[deleted]", {"deleted_at": at(3)})
    assert [(m.body, m.content) for m in echoes] == [gone] * orders


async def test_of_an_echo_that_was_taken_back_no_words_wait(transactions: Transactions) -> None:
    """The person may never write."""
    await open_shop(transactions)

    def make(person: Person) -> list[InboundMessage | Change]:
        echo = echoed(SECRET, to=person, minute=1)
        return [echo, unsent(echo, minute=3)]

    await in_every_order(transactions, make)

    assert await where_it_stands(transactions, SECRET) == []


async def test_whoever_never_writes_is_nobody(transactions: Transactions) -> None:
    await open_shop(transactions)

    await deliver(transactions, echoed(), consented(False), echoed(minute=3), reacted(said(), "👍"))
    await deliver(transactions, said(by=NEW))

    assert (await the_contact(transactions)).phone == NEW
    assert (await the_contact(transactions)).marketing_consent is None
    assert len(await crm_of(transactions).messages()) == 1


# Whose a change is


@pytest.mark.parametrize("connection", ["disabled", "unknown"])
async def test_changes_over_disabled_and_unknown_connections_do_nothing(
    transactions: Transactions, connection: str
) -> None:
    await open_shop(transactions)
    if connection == "disabled":
        await open_shop(transactions, "222", is_enabled=False)
    message = said()
    await deliver(transactions, message)
    before = await everything(transactions)
    elsewhere = replace(message, address=Address(Channel.WHATSAPP, "222"))

    await application(transactions)(
        [
            edited(elsewhere, "x"),
            unsent(elsewhere),
            reacted(elsewhere, "👍"),
            consented(False, to="222"),
            renumbered(phone(NEW), to="222"),
            echoed(over="222"),
        ]
    )

    assert await everything(transactions) == before


async def test_changes_never_reach_another_organisation(transactions: Transactions) -> None:
    """Though its messages and people have the same ids."""
    here = await open_shop(transactions)
    there = await open_shop(transactions, "222")
    message = said("hola", id="wamid.same")
    same = said("hola", to="222", id="wamid.same")
    await deliver(transactions, message, same, reacted(same, "👍"))

    async def rows_there() -> list[Any]:
        return [
            row
            for name, rows in (await everything(transactions)).items()
            if name != "failed"
            for row in rows
            if row.org_id == there.org_id
        ]

    before = await rows_there()
    changes = [
        edited(message, "x"),
        reacted(message, None, minute=3),
        consented(False),
        renumbered(phone(NEW)),
        echoed(),
        unsent(message, minute=4),
    ]
    await deliver(transactions, *changes)

    assert before
    assert await rows_there() == before
    assert {c.org_id for c in await crm_of(transactions).changes()} == {here.org_id, there.org_id}


async def test_one_change_id_in_two_organisations_is_two_changes(
    transactions: Transactions,
) -> None:
    await open_shop(transactions)
    await open_shop(transactions, "222")
    message, same = said(id="wamid.same"), said(to="222", id="wamid.same")
    await deliver(transactions, message, same)

    await application(transactions)(
        [edited(message, "x", id="wamid.edit"), edited(same, "x", id="wamid.edit")]
    )

    assert [m.body for m in await crm_of(transactions).messages()] == ["x", "x"]


# What is told


async def test_each_change_is_told_once_by_ids_alone(transactions: Transactions) -> None:
    shop = await open_shop(transactions)
    message = said("hola", by=OLD, name="Ana")
    await deliver(transactions, message)
    stored, contact = await the_message(transactions), await the_contact(transactions)
    about_message = {"message_id": str(stored.id), "thread_id": str(stored.thread_id)}
    about_person = {"contact_id": str(contact.id)}
    expected = [
        (edited(message, "x"), "message_edited", about_message),
        (reacted(message, "👍"), "message_reacted", about_message),
        (unsent(message), "message_deleted", about_message),
        (consented(False), "consent_changed", about_person),
        (renumbered(phone(NEW)), "identity_changed", about_person),
    ]

    await deliver(transactions, *(change for change, *_ in expected))

    ids = {c.external_id: str(c.id) for c in await crm_of(transactions).changes()}
    events = await told(transactions)
    assert {event.org_id for event in events} == {shop.org_id}
    assert [(event.type, event.payload) for event in events] == [
        (type_, {"channel": "whatsapp", "change_id": ids[change.external_id], **about})
        for change, type_, about in expected
    ]


async def test_every_kind_of_change_is_tried_here() -> None:
    tried = {
        edited(said(), "").kind,
        unsent(said()).kind,
        reacted(said(), "").kind,
        consented(True).kind,
        renumbered().kind,
        echoed().kind,
    }

    assert tried | {ChangeKind.CONFLICT} == {*ChangeKind}


# What cannot be processed


async def test_a_change_that_cannot_be_processed_is_kept_and_its_neighbours_are_applied(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    shop = await open_shop(transactions)
    messages = [said(str(n), minute=n) for n in range(9)]
    await ingestion(transactions)(messages)
    changes = [edited(message, f"edit {n}", minute=20) for n, message in enumerate(messages)]
    changes[4] = replace(changes[4], content={"secret words": 1}, payload={"entry": [SECRET]})

    await application(transactions)(changes)

    bodies = {m.external_id: m.body for m in await crm_of(transactions).messages()}
    assert [bodies[message.external_id] for message in messages] == [
        "4" if n == 4 else f"edit {n}" for n in range(9)
    ]
    async with transactions.begin() as repos:
        (failure,) = await repos.failed_messages.of(shop.org_id)
    assert (failure.payload, failure.error) == ({"entry": [SECRET]}, "KeyError")
    assert failure.next_attempt_at
    assert FIRST_RETRY / 2 <= failure.next_attempt_at - NOON <= FIRST_RETRY * 1.5
    assert "secret words" not in caplog.text
    assert SECRET not in caplog.text
    assert len(await told(transactions, "message_edited")) == 8


async def test_storage_that_does_not_answer_is_no_failed_change(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_shop(transactions)
    message = said()
    await deliver(transactions, message)
    before = await everything(transactions)

    def begin(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(transactions), "begin", begin)
        with pytest.raises(StorageUnavailable):
            await application(transactions)([edited(message, "x"), unsent(message)])

    assert await everything(transactions) == before


async def test_the_twelfth_change_is_like_the_first(transactions: Transactions) -> None:
    """Psycopg prepares after five runs, PostgreSQL plans generically after five more."""
    await open_shop(transactions)
    apply = application(transactions)

    for n in range(12):
        message = said(f"{n}", by=str(n))
        await apply([echoed(f"early {n}", to=str(n)), reacted(message, "👍")])
        await deliver(transactions, message)
        await apply([edited(message, f"edit {n}"), consented(False, by=str(n))])
        await apply([echoed(f"echo {n}", to=str(n)), renumbered(phone(f"9{n}"), by=str(n))])

    crm = crm_of(transactions)
    assert Counter(m.body for m in await crm.messages()) == Counter(
        f"{kind} {n}" for n in range(12) for kind in ("early", "edit", "echo")
    )
    assert [c.phone for c in await crm.contacts()] == [f"9{n}" for n in range(12)]
    assert {c.marketing_consent for c in await crm.contacts()} == {False}


async def test_three_hundred_changes_are_one_batch(transactions: Transactions) -> None:
    await open_shop(transactions)
    messages = [said(by=str(n), minute=n) for n in range(100)]
    await ingestion(transactions)(messages)

    await application(transactions)(
        [change for m in messages for change in (edited(m, "x"), reacted(m, "👍"), unsent(m))]
    )

    stored = await crm_of(transactions).messages()
    assert len(stored) == 100
    assert all(message.is_deleted for message in stored)
