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
from domain.actor import Operator
from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.contact import Contact, ContactId
from domain.deal import Deal, DealStatus
from domain.event import Event
from domain.failed_message import FIRST_RETRY_DELAY
from domain.inbound import InboundMessage
from domain.insight import Insight
from domain.message import Direction, Message, Thread
from domain.organization import OrgId
from tests.support.builders import (
    NOON,
    create_shop,
    list_leads,
    make_apply_changes,
    make_consent,
    make_echo,
    make_edit,
    make_identity_change,
    make_ingestion,
    make_message,
    make_reaction,
    make_unsend,
    new_id,
    phone_identity,
    user_identity,
)
from tests.support.stored_rows import open_stored_rows

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
    async with transactions.begin(Operator()) as repos:
        return await repos.connections.add(second)


async def deliver(transactions: Transactions, *things: InboundMessage | IncomingChange) -> None:
    """Each alone, one after the other."""
    for thing in things:
        if isinstance(thing, IncomingChange):
            await make_apply_changes(transactions)([thing])
        else:
            await make_ingestion(transactions)([thing])


Person: TypeAlias = str
"""A number that nobody else has."""


async def in_every_order(
    transactions: Transactions, make: Callable[[Person], Sequence[InboundMessage | IncomingChange]]
) -> int:
    """Deliver what is made for a person in every order, each for a person of its own."""
    count = 0
    for order in permutations(range(len(make("nobody")))):
        count += 1
        things = make(f"{count}")
        await deliver(transactions, *(things[n] for n in order))
    return count


async def the_message(transactions: Transactions) -> Message:
    (message,) = await open_stored_rows(transactions).messages()
    return message


async def the_contact(transactions: Transactions) -> Contact:
    (contact,) = await open_stored_rows(transactions).contacts()
    return contact


async def the_thread(transactions: Transactions) -> Thread:
    (thread,) = await open_stored_rows(transactions).threads()
    return thread


async def the_deal(transactions: Transactions) -> Deal:
    (deal,) = await open_stored_rows(transactions).deals()
    return deal


async def the_insight(transactions: Transactions) -> Insight:
    (insight,) = await open_stored_rows(transactions).insights()
    return insight


async def told(transactions: Transactions, *types: str) -> list[Event]:
    """Every event of these types, or of any but a captured lead's."""
    events = await open_stored_rows(transactions).events()
    return [e for e in events if e.type in types or (not types and e.type != "lead_captured")]


async def everything(transactions: Transactions) -> dict[str, Any]:
    stored_rows = open_stored_rows(transactions)
    async with transactions.begin(Operator()) as repos:
        organizations = await repos.organizations.list_all()
        failed = [
            await repos.failed_messages.list_for_organization(org.id) for org in organizations
        ]
    return {
        "contacts": await stored_rows.contacts(),
        "identities": await stored_rows.identities(),
        "threads": await stored_rows.threads(),
        "messages": await stored_rows.messages(),
        "changes": await stored_rows.changes(),
        "deals": await stored_rows.deals(),
        "insights": await stored_rows.insights(),
        "events": await stored_rows.events(),
        "failed": failed,
    }


async def where_it_stands(transactions: Transactions, words: str) -> list[str]:
    """The tables that hold the words anywhere in a row."""
    return [name for name, rows in (await everything(transactions)).items() if words in repr(rows)]


# Edits


async def test_an_edit_replaces_the_words_and_keeps_the_old_ones(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta", content={"media": {"id": "m"}})

    await deliver(transactions, message, make_edit(message, "quiero dos tortas", minute=3))

    stored = await the_message(transactions)
    assert stored.body == "quiero dos tortas"
    assert stored.content == {
        "media": {"id": "m"},
        "edits": [{"body": "quiero una torta", "replaced_at": at(3)}],
    }
    assert stored.sent_at == NOON
    assert [lead.body for lead in await list_leads(transactions)] == ["quiero dos tortas"]
    assert (await the_deal(transactions)).title == "quiero dos tortas"


async def test_a_title_that_people_gave_is_not_edited(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta")
    await deliver(transactions, message)
    await open_stored_rows(transactions).rename(contact="Ana G.", deal="La boda")

    await deliver(transactions, make_edit(message, "quiero dos tortas"))

    assert (await the_deal(transactions)).title == "La boda"


async def test_the_title_of_a_deal_that_is_won_is_edited_too(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta")
    await deliver(transactions, message)
    await open_stored_rows(transactions).win_all_deals()

    await deliver(transactions, make_edit(message, "quiero dos tortas"))

    deal = await the_deal(transactions)
    assert (deal.title, deal.status) == ("quiero dos tortas", DealStatus.WON)


async def test_an_edit_of_a_later_message_leaves_the_title(transactions: Transactions) -> None:
    await create_shop(transactions)
    later = make_message("¿hay stock?", minute=1)
    await deliver(transactions, make_message("hola"), later)

    await deliver(transactions, make_edit(later, "¿hay stock hoy?", minute=2))

    assert (await the_deal(transactions)).title == "hola"


async def test_edits_in_any_order_end_with_the_last(transactions: Transactions) -> None:
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        message = make_message("uno", by=person)
        return [message, *(make_edit(message, word, minute=n) for n, word in EDITS)]

    orders = await in_every_order(transactions, make)

    edits = [
        {"body": "uno", "replaced_at": at(1)},
        {"body": "dos", "replaced_at": at(2)},
        {"body": "tres", "replaced_at": at(3)},
    ]
    stored = await open_stored_rows(transactions).messages()
    assert [(m.body, m.content) for m in stored] == [("cuatro", {"edits": edits})] * orders
    assert [deal.title for deal in await open_stored_rows(transactions).deals()] == [
        "cuatro"
    ] * orders
    assert len(await told(transactions, "message_edited")) == 3 * orders


EDITS = [(1, "dos"), (2, "tres"), (3, "cuatro")]


async def test_several_edits_in_one_batch_are_applied_in_their_own_order(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("uno")
    await deliver(transactions, message)

    await make_apply_changes(transactions)(
        [make_edit(message, word, minute=n) for n, word in reversed(EDITS)]
    )

    stored = await the_message(transactions)
    assert stored.body == "cuatro"
    assert [edit["body"] for edit in stored.content["edits"]] == ["uno", "dos", "tres"]


async def test_edits_of_one_second_end_the_same_in_any_order(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("uno")
    first, second = (
        make_edit(message, "dos", id="wamid.a"),
        make_edit(message, "tres", id="wamid.b"),
    )

    await deliver(transactions, message, second, first)

    stored = await the_message(transactions)
    assert (stored.body, [e["body"] for e in stored.content["edits"]]) == ("tres", ["uno", "dos"])


async def test_an_edit_before_its_message_waits_for_it(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta")

    await deliver(transactions, make_edit(message, "quiero dos tortas"))
    assert await list_leads(transactions) == []
    assert [change.is_waiting for change in await open_stored_rows(transactions).changes()] == [
        True
    ]
    await deliver(transactions, message)

    stored = await the_message(transactions)
    assert stored.body == "quiero dos tortas"
    assert stored.content["edits"] == [{"body": "quiero una torta", "replaced_at": at(1)}]
    assert (await the_deal(transactions)).title == "quiero dos tortas"
    assert [change.is_waiting for change in await open_stored_rows(transactions).changes()] == [
        False
    ]


async def test_an_edit_that_waited_is_not_forgotten_by_the_next_change(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("uno")

    await deliver(
        transactions, make_edit(message, "dos"), message, make_reaction(message, "👍", minute=2)
    )

    stored = await the_message(transactions)
    assert stored.body == "dos"
    assert stored.content == {
        "edits": [{"body": "uno", "replaced_at": at(1)}],
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(2)}],
    }


# Messages that are taken back

SECRET = "hunter2"


async def test_words_that_were_taken_back_stand_nowhere(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message(f"comprar {SECRET}", content={"media": {"filename": f"{SECRET}.pdf"}})
    await deliver(transactions, message, make_edit(message, f"reembolso {SECRET}"))
    assert await where_it_stands(transactions, SECRET) == [
        "messages",
        "changes",
        "deals",
        "insights",
    ]

    await deliver(transactions, make_unsend(message, minute=2))

    assert await where_it_stands(transactions, SECRET) == []
    stored = await the_message(transactions)
    assert (stored.body, stored.content) == ("[deleted]", {"deleted_at": at(2)})
    assert stored.is_deleted


async def test_the_lead_of_a_message_that_was_taken_back_stays(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("lo quiero comprar")

    await deliver(transactions, message, make_unsend(message))

    (lead,) = await list_leads(transactions)
    assert (lead.body, lead.deal, lead.deal_status) == ("[deleted]", "[deleted]", DealStatus.OPEN)
    insight = await the_insight(transactions)
    assert (insight.summary, insight.intent, insight.score) == ("[deleted]", "unknown", 0)
    assert insight.next_step == ""
    assert len(await open_stored_rows(transactions).contacts()) == 1


async def test_what_is_said_of_another_message_stays(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("hola")

    await deliver(
        transactions, message, make_message("lo quiero comprar", minute=1), make_unsend(message)
    )

    assert (await the_insight(transactions)).intent == "purchase"
    assert (await the_deal(transactions)).title == "[deleted]"


async def test_a_title_that_people_gave_outlives_the_message(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("hola")
    await deliver(transactions, message)
    await open_stored_rows(transactions).rename(contact="Ana G.", deal="La boda")

    await deliver(transactions, make_unsend(message))

    assert (await the_deal(transactions)).title == "La boda"


async def test_a_message_that_was_taken_back_before_it_came_is_a_lead_without_words(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message(f"comprar {SECRET}", content={"media": {"filename": f"{SECRET}.pdf"}})

    await deliver(transactions, make_unsend(message, minute=2))
    counters = await make_ingestion(transactions)([message])

    assert counters == INGESTED
    assert await where_it_stands(transactions, SECRET) == []
    stored = await the_message(transactions)
    assert (stored.body, stored.content) == ("[deleted]", {"deleted_at": at(2)})
    (lead,) = await list_leads(transactions)
    assert (lead.deal, lead.intent, lead.score) == ("[deleted]", "unknown", 0)


async def test_taking_back_wins_over_edits_in_any_order(transactions: Transactions) -> None:
    """Even over one that was made later: the words are gone."""
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        message = make_message(f"comprar {SECRET}", by=person)
        return [
            message,
            make_edit(message, f"{SECRET}, dos", minute=1),
            make_unsend(message, minute=2),
            make_edit(message, f"{SECRET}, tres", minute=3),
        ]

    orders = await in_every_order(transactions, make)

    stored = await open_stored_rows(transactions).messages()
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
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        message = make_message(by=person)
        return [message, make_unsend(message, minute=2), make_unsend(message, minute=1)]

    orders = await in_every_order(transactions, make)

    contents = [message.content for message in await open_stored_rows(transactions).messages()]
    assert contents == [{"deleted_at": at(1)}] * orders


async def test_reactions_leave_a_message_that_was_taken_back_without_content(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver(
        transactions,
        message,
        make_reaction(message, "👍"),
        make_unsend(message, minute=2),
        make_reaction(message, "❤️", minute=3),
    )

    assert (await the_message(transactions)).content == {"deleted_at": at(2)}


# Repeats


async def test_repeated_changes_change_nothing_and_are_told_once(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    first, second = make_message("hola"), make_message("chau", minute=1)
    await deliver(transactions, first, second)
    changes = [
        make_edit(first, "hola, hola"),
        make_reaction(first, "👍"),
        make_unsend(second),
        make_consent(False),
        make_identity_change(phone_identity(NEW)),
        make_echo(),
        make_echo("too early", to=[user_identity("AR.9")]),
        make_reaction(make_message("of nobody"), "👍"),
    ]
    await deliver(transactions, *changes)
    before = await everything(transactions)

    await deliver(transactions, *changes)
    await make_apply_changes(transactions)([*changes, *changes])
    await make_apply_changes(transactions)([*reversed(changes)])

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
    await create_shop(transactions)
    message = make_message()
    await deliver(transactions, message)
    change = make_edit(message, "otra cosa")

    await make_apply_changes(transactions)([change, change])

    assert len(await told(transactions)) == 1
    assert len((await the_message(transactions)).content["edits"]) == 1


async def test_an_empty_batch_is_welcome(transactions: Transactions) -> None:
    await make_apply_changes(transactions)([])


# Reactions


async def test_a_reaction_stands_at_its_message(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver(transactions, message, make_reaction(message, "👍", minute=2))

    assert (await the_message(transactions)).content == {
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(2)}]
    }


async def test_each_side_has_one_reaction(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver(
        transactions,
        message,
        make_reaction(message, "👍", minute=1),
        make_reaction(message, "🙏", minute=2, by=Direction.OUTBOUND),
        make_reaction(message, "❤️", minute=3),
    )

    assert (await the_message(transactions)).content["reactions"] == [
        {"by": "inbound", "emoji": "❤️", "at": at(3)},
        {"by": "outbound", "emoji": "🙏", "at": at(2)},
    ]


async def test_a_reaction_that_is_taken_back_leaves_the_other_sides(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver(
        transactions,
        message,
        make_reaction(message, "👍", minute=1),
        make_reaction(message, "🙏", minute=1, by=Direction.OUTBOUND),
        make_reaction(message, None, minute=2),
    )

    assert (await the_message(transactions)).content["reactions"] == [
        {"by": "outbound", "emoji": "🙏", "at": at(1)}
    ]


async def test_reactions_in_any_order_end_with_the_last(transactions: Transactions) -> None:
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        message = make_message(by=person)
        emojis = enumerate(("👍", None, "❤️"))
        return [message, *(make_reaction(message, emoji, minute=n) for n, emoji in emojis)]

    orders = await in_every_order(transactions, make)

    reactions = [{"by": "inbound", "emoji": "❤️", "at": at(2)}]
    contents = [message.content for message in await open_stored_rows(transactions).messages()]
    assert contents == [{"reactions": reactions}] * orders


async def test_the_last_reaction_taken_back_leaves_nothing(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver(
        transactions,
        message,
        make_reaction(message, None, minute=2),
        make_reaction(message, "👍", minute=1),
    )

    assert (await the_message(transactions)).content == {}


async def test_a_reaction_to_what_nobody_stored_is_told_and_makes_no_lead(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver(transactions, make_reaction(make_message(), "👍"))

    (event,) = await open_stored_rows(transactions).events()
    assert event.type == "message_reacted"
    stored_rows = open_stored_rows(transactions)
    assert [
        *await stored_rows.contacts(),
        *await stored_rows.threads(),
        *await stored_rows.deals(),
    ] == []


async def test_a_reaction_before_its_message_waits_for_it(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver(transactions, make_reaction(message, "👍", minute=2), message)

    assert (await the_message(transactions)).content == {
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(2)}]
    }


# Consent


async def test_a_contact_has_not_said_anything_about_marketing_at_first(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver(transactions, make_message())

    contact = await the_contact(transactions)

    assert (contact.marketing_consent, contact.marketing_consent_at) == (None, None)


async def test_the_last_word_on_marketing_counts_in_any_order(transactions: Transactions) -> None:
    """And none is lost that comes before the person."""
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        words = enumerate((False, True, False))
        return [make_message(by=person), *(make_consent(w, by=person, minute=n) for n, w in words)]

    orders = await in_every_order(transactions, make)

    last = (False, NOON + timedelta(minutes=2))
    contacts = await open_stored_rows(transactions).contacts()
    assert [(c.marketing_consent, c.marketing_consent_at) for c in contacts] == [last] * orders
    assert len(await told(transactions, "consent_changed")) == 3 * orders


async def test_whoever_resumes_wants_marketing_again(transactions: Transactions) -> None:
    await create_shop(transactions)

    await deliver(
        transactions, make_message(), make_consent(False, minute=1), make_consent(True, minute=2)
    )

    contact = await the_contact(transactions)
    assert contact.marketing_consent is True
    assert contact.marketing_consent_at == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_refusal_wins_over_a_consent_of_the_same_second(
    transactions: Transactions, order: Sequence[int]
) -> None:
    await create_shop(transactions)
    words = [make_consent(True), make_consent(False)]

    await deliver(transactions, make_message(), *(words[n] for n in order))

    assert (await the_contact(transactions)).marketing_consent is False


async def test_consent_before_the_person_is_known_waits_for_them(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ana = [phone_identity(OLD), user_identity("AR.1")]

    await deliver(
        transactions, make_consent(False, by=ana, minute=2), make_consent(True, by=ana, minute=1)
    )
    assert await open_stored_rows(transactions).contacts() == []
    await deliver(transactions, make_message(by=ana))

    contact = await the_contact(transactions)
    assert contact.marketing_consent is False
    assert contact.marketing_consent_at == NOON + timedelta(minutes=2)
    assert [change.is_waiting for change in await open_stored_rows(transactions).changes()] == [
        False,
        False,
    ]


async def test_what_waits_for_a_person_is_found_by_the_user_id_alone(
    transactions: Transactions,
) -> None:
    """Who hides the number from now on is still the one it was said to."""
    await create_shop(transactions)
    ana = [phone_identity(OLD), user_identity("AR.1")]

    await deliver(transactions, make_consent(False, by=ana), make_echo("¡hola!", to=ana, minute=1))
    await deliver(transactions, make_message(by=[user_identity("AR.1")]))

    assert (await the_contact(transactions)).marketing_consent is False
    bodies = {message.body for message in await open_stored_rows(transactions).messages()}
    assert bodies == {"hola", "¡hola!"}


async def test_consent_is_that_of_the_person_and_of_nobody_else(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver(transactions, make_message(), make_message(by=NEW, name="Eva"))

    await deliver(transactions, make_consent(False, by=NEW))

    consents = {
        c.name: c.marketing_consent for c in await open_stored_rows(transactions).contacts()
    }
    assert consents == {"Ana": None, "Eva": False}


# Other numbers and ids


async def test_a_person_with_another_number_stays_the_same_contact(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver(transactions, make_message("hola", by=OLD))

    await deliver(transactions, make_identity_change(phone_identity(NEW), by=OLD))

    contact = await the_contact(transactions)
    assert contact.phone == NEW
    identities = await open_stored_rows(transactions).identities()
    assert {(i.contact_id, i.kind, i.value) for i in identities} == {
        (contact.id, "whatsapp_phone", OLD),
        (contact.id, "whatsapp_phone", NEW),
    }

    await deliver(transactions, make_message("soy yo", by=NEW, minute=5))

    assert (await the_contact(transactions)) == contact
    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}


async def test_another_number_of_a_crm_contact_replaces_its_own(
    transactions: Transactions,
) -> None:
    """Which may be written with a plus, and which no message has shown yet."""
    shop = await create_shop(transactions)
    eva = a_crm_contact(shop.org_id, f"+{OLD}")
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({eva.id: eva}, {})

    await deliver(transactions, make_identity_change(phone_identity(NEW), by=OLD))

    assert (await the_contact(transactions)).phone == NEW


async def test_a_phone_that_people_gave_is_not_replaced(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    eva = a_crm_contact(shop.org_id, "5491100000000")
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({eva.id: eva}, {})
    await deliver(
        transactions, make_message(by=[phone_identity("5491100000000"), user_identity("AR.1")])
    )

    await deliver(
        transactions,
        make_identity_change(phone_identity(NEW), by=[phone_identity(OLD), user_identity("AR.1")]),
    )

    assert (await the_contact(transactions)).phone == "5491100000000"
    await deliver(transactions, make_message(by=NEW))
    assert len(await open_stored_rows(transactions).threads()) == 1


async def test_the_old_number_of_a_crm_contact_stays_theirs(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    eva = a_crm_contact(shop.org_id, f"+{OLD}")
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({eva.id: eva}, {})
    await deliver(
        transactions, make_message(by=OLD), make_identity_change(phone_identity(NEW), by=OLD)
    )

    await deliver(transactions, make_message("late", by=OLD, minute=0.5))

    assert (await the_contact(transactions)).phone == NEW


@pytest.mark.parametrize(
    "by", [OLD, [phone_identity(OLD), user_identity("AR.1")]], ids=["phone", "phone and id"]
)
async def test_a_new_number_that_is_somebodys_is_a_conflict_and_nothing_is_merged(
    transactions: Transactions, by: Any
) -> None:
    await create_shop(transactions)
    await deliver(transactions, make_message(by=OLD), make_message(by=NEW, name="Eva"))
    before = await open_stored_rows(transactions).contacts()
    identities = await open_stored_rows(transactions).identities()

    await deliver(transactions, make_identity_change(phone_identity(NEW), by=by))
    await deliver(transactions, make_identity_change(phone_identity(NEW), by=by, minute=2))

    assert await open_stored_rows(transactions).contacts() == before
    owners = {i.value: i.contact_id for i in await open_stored_rows(transactions).identities()}
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
    await create_shop(transactions)

    await deliver(transactions, make_identity_change(phone_identity(NEW), by=OLD))

    stored_rows = open_stored_rows(transactions)
    assert [
        *await stored_rows.contacts(),
        *await stored_rows.identities(),
        *await stored_rows.threads(),
    ] == []
    (event,) = await stored_rows.events()
    assert event.type == "identity_changed"


async def test_a_person_with_another_user_id_stays_the_same_contact(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver(transactions, make_message("hola", by=[user_identity("AR.1")]))

    await deliver(
        transactions, make_identity_change(user_identity("AR.2"), by=[user_identity("AR.1")])
    )
    await deliver(transactions, make_message("soy yo", by=[user_identity("AR.2")], minute=5))

    contact = await the_contact(transactions)
    assert contact.phone is None
    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)
    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}


async def test_all_ids_of_a_new_number_are_the_persons(transactions: Transactions) -> None:
    await create_shop(transactions)
    await deliver(transactions, make_message("hola", by=OLD))

    await deliver(
        transactions, make_identity_change(phone_identity(NEW), user_identity("AR.2"), by=OLD)
    )
    await deliver(transactions, make_message("soy yo", by=[user_identity("AR.2")], minute=5))

    assert (await the_contact(transactions)).phone == NEW


# What the business says from another device


async def test_an_echo_stands_in_the_persons_conversation(transactions: Transactions) -> None:
    await create_shop(transactions)
    await deliver(transactions, make_message("lo quiero comprar"))
    before = await the_deal(transactions), await the_insight(transactions)

    await deliver(transactions, make_echo("¡dale!", minute=7, id="wamid.echo"))

    thread = await the_thread(transactions)
    assert thread.last_message_at == NOON + timedelta(minutes=7)
    (echo,) = [
        m for m in await open_stored_rows(transactions).messages() if m.external_id == "wamid.echo"
    ]
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
    assert len(await list_leads(transactions)) == 1


async def test_an_echo_of_long_ago_does_not_move_the_conversation_back(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver(transactions, make_message(minute=5), make_echo(minute=1))

    assert (await the_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)


async def test_a_message_that_was_an_echo_is_no_lead(transactions: Transactions) -> None:
    """It has the id of one that is stored."""
    await create_shop(transactions)
    await deliver(transactions, make_message(), make_echo(id="wamid.echo"))

    counters = await make_ingestion(transactions)([make_message(id="wamid.echo")])

    assert counters == Counters(received=1, ingested=0, skipped=1, failed=0)


async def test_an_echo_before_its_conversation_waits_for_the_person(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver(transactions, make_echo("¡hola!", minute=3), make_echo("¿qué tal?", minute=1))
    stored_rows = open_stored_rows(transactions)
    assert [
        *await stored_rows.contacts(),
        *await stored_rows.threads(),
        *await stored_rows.messages(),
    ] == []
    assert await stored_rows.events() == []
    counters = await make_ingestion(transactions)([make_message("hola", minute=2)])

    assert counters == INGESTED
    thread = await the_thread(transactions)
    assert thread.last_message_at == NOON + timedelta(minutes=3)
    said_so = sorted(await stored_rows.messages(), key=lambda message: message.sent_at)
    assert [(m.direction, m.body, m.thread_id) for m in said_so] == [
        ("outbound", "¿qué tal?", thread.id),
        ("inbound", "hola", thread.id),
        ("outbound", "¡hola!", thread.id),
    ]
    assert (await the_deal(transactions)).title == "hola"
    types = Counter(event.type for event in await stored_rows.events())
    assert types == {"lead_captured": 1, "message_sent": 2}
    # What is a message now is not kept twice.
    assert [(c.is_waiting, c.content) for c in await stored_rows.changes()] == [
        (False, {}),
        (False, {}),
    ]


async def test_an_echo_waits_for_the_person_to_write_over_its_own_connection(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    second = await a_second_number(transactions, shop)

    await deliver(transactions, make_echo("¡hola!", over="222"), make_message())
    assert [m.direction for m in await open_stored_rows(transactions).messages()] == ["inbound"]
    await deliver(transactions, make_echo("otra vez", over="222", minute=2))
    assert [m.direction for m in await open_stored_rows(transactions).messages()] == ["inbound"]
    await deliver(transactions, make_message(to="222", minute=3))

    threads = {t.id: t.connection_id for t in await open_stored_rows(transactions).threads()}
    assert Counter(threads.values()) == {shop.id: 1, second.id: 1}
    echoes = [
        m for m in await open_stored_rows(transactions).messages() if m.direction == "outbound"
    ]
    assert {m.body for m in echoes} == {"¡hola!", "otra vez"}
    assert {threads[m.thread_id] for m in echoes} == {second.id}


async def test_an_echo_goes_over_its_own_connection(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    second = await a_second_number(transactions, shop)
    await deliver(transactions, make_message(), make_message(to="222"))

    await deliver(transactions, make_echo(over="222"))

    threads = {t.id: t.connection_id for t in await open_stored_rows(transactions).threads()}
    (echo,) = [
        m for m in await open_stored_rows(transactions).messages() if m.direction == "outbound"
    ]
    assert threads[echo.thread_id] == second.id


async def test_an_echo_is_edited_and_reacted_to_and_taken_back(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    echo = make_echo("uno", id="wamid.echo")
    await deliver(
        transactions,
        make_message(),
        echo,
        make_edit(echo, "dos", minute=2),
        make_reaction(echo, "👍", minute=3),
    )

    async def stored() -> Message:
        return next(
            m for m in await open_stored_rows(transactions).messages() if m.direction == "outbound"
        )

    assert (await stored()).body == "dos"
    assert (await stored()).content == {
        "edits": [{"body": "uno", "replaced_at": at(2)}],
        "reactions": [{"by": "inbound", "emoji": "👍", "at": at(3)}],
    }

    await deliver(transactions, make_unsend(echo, minute=4))

    assert ((await stored()).body, (await stored()).content) == (
        "[deleted]",
        {"deleted_at": at(4)},
    )
    assert (await the_deal(transactions)).title == "hola"


async def test_an_echo_its_edit_and_its_conversation_come_in_any_order(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        echo = make_echo("uno", to=person, minute=1)
        return [make_message(by=person), echo, make_edit(echo, "dos", minute=2)]

    orders = await in_every_order(transactions, make)

    edits = [{"body": "uno", "replaced_at": at(2)}]
    echoes = [
        m for m in await open_stored_rows(transactions).messages() if m.direction == "outbound"
    ]
    assert [(m.body, m.content) for m in echoes] == [("dos", {"edits": edits})] * orders
    assert not any(change.is_waiting for change in await open_stored_rows(transactions).changes())
    assert len({m.thread_id for m in echoes}) == orders


async def test_of_an_echo_that_was_taken_back_no_words_stay_in_any_order(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        echo = make_echo(f"uno {SECRET}", to=person, minute=1)
        edit = make_edit(echo, f"dos {SECRET}", minute=2)
        return [make_message(by=person), echo, edit, make_unsend(echo, minute=3)]

    orders = await in_every_order(transactions, make)

    assert await where_it_stands(transactions, SECRET) == []
    echoes = [
        m for m in await open_stored_rows(transactions).messages() if m.direction == "outbound"
    ]
    gone = ("[deleted]", {"deleted_at": at(3)})
    assert [(m.body, m.content) for m in echoes] == [gone] * orders


async def test_of_an_echo_that_was_taken_back_no_words_wait(transactions: Transactions) -> None:
    """The person may never write."""
    await create_shop(transactions)

    def make(person: Person) -> list[InboundMessage | IncomingChange]:
        echo = make_echo(SECRET, to=person, minute=1)
        return [echo, make_unsend(echo, minute=3)]

    await in_every_order(transactions, make)

    assert await where_it_stands(transactions, SECRET) == []


async def test_whoever_never_writes_is_nobody(transactions: Transactions) -> None:
    await create_shop(transactions)

    await deliver(
        transactions,
        make_echo(),
        make_consent(False),
        make_echo(minute=3),
        make_reaction(make_message(), "👍"),
    )
    await deliver(transactions, make_message(by=NEW))

    assert (await the_contact(transactions)).phone == NEW
    assert (await the_contact(transactions)).marketing_consent is None
    assert len(await open_stored_rows(transactions).messages()) == 1


# Whose a change is


@pytest.mark.parametrize("connection", ["disabled", "unknown"])
async def test_changes_over_disabled_and_unknown_connections_do_nothing(
    transactions: Transactions, connection: str
) -> None:
    await create_shop(transactions)
    if connection == "disabled":
        await create_shop(transactions, "222", is_enabled=False)
    message = make_message()
    await deliver(transactions, message)
    before = await everything(transactions)
    elsewhere = replace(message, address=Address(Channel.WHATSAPP, "222"))

    await make_apply_changes(transactions)(
        [
            make_edit(elsewhere, "x"),
            make_unsend(elsewhere),
            make_reaction(elsewhere, "👍"),
            make_consent(False, to="222"),
            make_identity_change(phone_identity(NEW), to="222"),
            make_echo(over="222"),
        ]
    )

    assert await everything(transactions) == before


async def test_changes_never_reach_another_organisation(transactions: Transactions) -> None:
    """Though its messages and people have the same ids."""
    here = await create_shop(transactions)
    there = await create_shop(transactions, "222")
    message = make_message("hola", id="wamid.same")
    same = make_message("hola", to="222", id="wamid.same")
    await deliver(transactions, message, same, make_reaction(same, "👍"))

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
        make_edit(message, "x"),
        make_reaction(message, None, minute=3),
        make_consent(False),
        make_identity_change(phone_identity(NEW)),
        make_echo(),
        make_unsend(message, minute=4),
    ]
    await deliver(transactions, *changes)

    assert before
    assert await rows_there() == before
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
    await deliver(transactions, message, same)

    await make_apply_changes(transactions)(
        [make_edit(message, "x", id="wamid.edit"), make_edit(same, "x", id="wamid.edit")]
    )

    assert [m.body for m in await open_stored_rows(transactions).messages()] == ["x", "x"]


# What is told


async def test_each_change_is_told_once_by_ids_alone(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    message = make_message("hola", by=OLD, name="Ana")
    await deliver(transactions, message)
    stored, contact = await the_message(transactions), await the_contact(transactions)
    about_message = {"message_id": str(stored.id), "thread_id": str(stored.thread_id)}
    about_person = {"contact_id": str(contact.id)}
    expected = [
        (make_edit(message, "x"), "message_edited", about_message),
        (make_reaction(message, "👍"), "message_reacted", about_message),
        (make_unsend(message), "message_deleted", about_message),
        (make_consent(False), "consent_changed", about_person),
        (make_identity_change(phone_identity(NEW)), "identity_changed", about_person),
    ]

    await deliver(transactions, *(change for change, *_ in expected))

    ids = {c.external_id: str(c.id) for c in await open_stored_rows(transactions).changes()}
    events = await told(transactions)
    assert {event.org_id for event in events} == {shop.org_id}
    assert [(event.type, event.payload) for event in events] == [
        (type_, {"channel": "whatsapp", "change_id": ids[change.external_id], **about})
        for change, type_, about in expected
    ]


async def test_every_kind_of_change_is_tried_here() -> None:
    tried = {
        make_edit(make_message(), "").kind,
        make_unsend(make_message()).kind,
        make_reaction(make_message(), "").kind,
        make_consent(True).kind,
        make_identity_change().kind,
        make_echo().kind,
    }

    assert tried | {ChangeKind.CONFLICT} == {*ChangeKind}


# What cannot be processed


async def test_a_change_that_cannot_be_processed_is_kept_and_its_neighbours_are_applied(
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
    assert len(await told(transactions, "message_edited")) == 8


async def test_storage_that_does_not_answer_is_no_failed_change(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_shop(transactions)
    message = make_message()
    await deliver(transactions, message)
    before = await everything(transactions)

    def begin(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(transactions), "begin", begin)
        with pytest.raises(StorageUnavailable):
            await make_apply_changes(transactions)([make_edit(message, "x"), make_unsend(message)])

    assert await everything(transactions) == before


async def test_the_twelfth_change_is_like_the_first(transactions: Transactions) -> None:
    """Psycopg prepares after five runs, PostgreSQL plans generically after five more."""
    await create_shop(transactions)
    apply = make_apply_changes(transactions)

    for n in range(12):
        message = make_message(f"{n}", by=str(n))
        await apply([make_echo(f"early {n}", to=str(n)), make_reaction(message, "👍")])
        await deliver(transactions, message)
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


async def test_three_hundred_changes_are_one_batch(transactions: Transactions) -> None:
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
