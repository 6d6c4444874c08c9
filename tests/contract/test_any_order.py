"""A conversation ends the same in every order of its deliveries, also with repeats."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.contact import Identity
from domain.inbound import InboundMessage
from domain.message import Direction
from infrastructure.memory import MemoryTransactions
from infrastructure.postgres.pools import INGEST_ROLE, open_pool
from infrastructure.postgres.transactions import PostgresTransactions
from tests.support.builders import (
    create_shop,
    make_apply_changes,
    make_consent,
    make_echo,
    make_edit,
    make_ingestion,
    make_message,
    make_reaction,
    make_unsend,
    new_id,
    phone_identity,
    user_identity,
)
from tests.support.conversations import Item
from tests.support.database import share_pool
from tests.support.stored_rows import open_stored_rows

PEOPLE = [("5491155550001", "AR.1"), ("5491155550002", "AR.2")]
TEXTS = ["hola", "lo quiero comprar", "¿cuánto cuesta?\ngracias", ""]
NAMES = ["Ana", "Bea", ""]
REFERRALS = [{}, {}, {"referral": {"source_id": "ad.1"}}, {"referral": {"source_id": "ad.2"}}]

# Few minutes, so that many items have the same time.
minutes = st.integers(0, 3)
people = st.sampled_from(PEOPLE)


@dataclass(frozen=True)
class Delivery:
    """Some of the items, delivered together. Its changes may be applied before its messages."""

    items: Sequence[Item]
    changes_first: bool


@dataclass(frozen=True)
class Conversation:
    """The items over up to two numbers, and one of the ways in which they may be delivered.

    `owners` holds the organisation of each number.
    """

    owners: Sequence[int]
    items: Sequence[Item]
    deliveries: Sequence[Delivery]


@st.composite
def shown_identities(draw: st.DrawFn) -> Sequence[Identity]:
    """Generate the identities that a sender shows: the user id, with or without the number.

    No sender shows the number alone. Ids that were never shown together belong to two contacts,
    which are never merged, so there the order of deliveries decides.
    """
    number, user_id = draw(people)
    return (
        [phone_identity(number), user_identity(user_id)]
        if draw(st.booleans())
        else [user_identity(user_id)]
    )


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Generate a conversation of messages, echoes and changes, with repeats."""
    owners = draw(st.sampled_from([(0,), (0, 0), (0, 1)]))
    numbers = st.sampled_from([str(n) for n in range(len(owners))])
    ids = (f"wamid.{n}" for n in count())
    messages = [
        make_message(
            draw(st.sampled_from(TEXTS)),
            to=draw(numbers),
            by=draw(shown_identities()),
            id=next(ids),
            minute=draw(minutes),
            name=draw(st.sampled_from(NAMES)),
            content=draw(st.sampled_from(REFERRALS)),
        )
        for _ in range(draw(st.integers(1, 8)))
    ]

    def draw_person(number: str) -> Sequence[Identity]:
        """Draw a person; with the phone only where their messages show it to the organisation.

        A change that arrives before its person links no identities.
        """
        person = draw(people)
        org = owners[int(number)]
        shown = {
            id_
            for message in messages
            if owners[int(message.address.external_id)] == org
            for id_ in message.sender.identities
        }
        identities = [phone_identity(person[0]), user_identity(person[1])]
        return identities if {*identities} <= shown and draw(st.booleans()) else identities[1:]

    echoes = [
        make_echo(
            draw(st.sampled_from(TEXTS)),
            to=draw_person(number := draw(numbers)),
            over=number,
            id=next(ids),
            minute=draw(minutes),
        )
        for _ in range(draw(st.integers(0, 2)))
    ]
    sent_items: list[Item] = [*messages, *echoes]
    changes = []
    for _ in range(draw(st.integers(0, 8))):
        target = draw(st.sampled_from(sent_items))
        id_and_minute: Any = {"id": next(ids), "minute": draw(minutes)}
        match draw(st.sampled_from(["edit", "edit", "unsend", "reaction", "consent"])):
            case "edit":
                changes.append(make_edit(target, draw(st.sampled_from(TEXTS)), **id_and_minute))
            case "unsend":
                changes.append(make_unsend(target, **id_and_minute))
            case "reaction":
                emoji = draw(st.sampled_from(["👍", "❤️", None]))
                by = draw(st.sampled_from(Direction))
                changes.append(make_reaction(target, emoji, by=by, **id_and_minute))
            case _:
                answer, to = draw(st.booleans()), draw(numbers)
                changes.append(make_consent(answer, by=draw_person(to), to=to, **id_and_minute))
    items = [*sent_items, *changes]
    repeats = draw(st.lists(st.sampled_from(items), max_size=4))
    mixed = draw(st.permutations([*items, *repeats]))
    ends = sorted({0, len(mixed), *draw(st.lists(st.integers(0, len(mixed)), max_size=8))})
    deliveries = [
        Delivery(mixed[start:end], changes_first=draw(st.booleans()))
        for start, end in pairwise(ends)
    ]
    return Conversation(owners, items, deliveries)


Shops: TypeAlias = Mapping[str, Connection]
_numbers = count(1)


async def open_shops(transactions: Transactions, owners: Sequence[int]) -> Shops:
    """Create organisations with new numbers; return the connections by the generated numbers."""
    shops: dict[str, Connection] = {}
    for n, owner in enumerate(owners):
        number = f"n{next(_numbers)}"
        first = shops.get(str(owner))
        if first is None:
            shops[str(n)] = await create_shop(transactions, number)
        else:
            shops[str(n)] = replace(first, id=ConnectionId(new_id()), external_id=number)
            async with transactions.begin(Operator()) as repos:
                await repos.connections.add(shops[str(n)])
    return shops


async def deliver_and_read(
    transactions: Transactions,
    owners: Sequence[int],
    deliveries: Sequence[Delivery],
    *,
    writer: Transactions | None = None,
) -> Mapping[str, Any]:
    """Let `writer` store the deliveries, and return all rows."""
    shops = await open_shops(transactions, owners)
    ingest = make_ingestion(writer or transactions)
    apply = make_apply_changes(writer or transactions)

    def assign_number(item: Any) -> Any:
        number = shops[item.address.external_id].external_id
        return replace(item, address=Address(Channel.WHATSAPP, number))

    for delivery in deliveries:
        items = [assign_number(item) for item in delivery.items]
        messages = [item for item in items if isinstance(item, InboundMessage)]
        changes = [item for item in items if isinstance(item, IncomingChange)]
        if delivery.changes_first:
            await apply(changes)
        counters = await ingest(messages)
        assert counters.failed == 0
        if not delivery.changes_first:
            await apply(changes)
    return await read_rows(transactions, shops)


async def read_rows(transactions: Transactions, shops: Shops) -> Mapping[str, Any]:
    """Return all rows of these shops, with natural keys in place of ids.

    These differ with the order of deliveries and are left out:

    - the `external_id` of a thread, which holds the id that its person showed first;
    - the payloads of events, which are ids, and so which message opened a deal;
    - an echo that was pending and is a message now: one that was not pending is not stored.
    """
    stored_rows = open_stored_rows(transactions)
    orgs = {shop.org_id: n for n, shop in shops.items()}
    numbers = {shop.id: n for n, shop in shops.items()}

    async def select(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if row.org_id in orgs]

    identities: dict[Any, list[Any]] = {}
    for identity in await select(await stored_rows.identities()):
        known = identities.setdefault(identity.contact_id, [orgs[identity.org_id]])
        known.append((str(identity.kind), identity.value))
    people = {
        contact_id: tuple(sorted(map(str, known))) for contact_id, known in identities.items()
    }
    threads = await select(await stored_rows.threads())
    thread_keys = {t.id: (people[t.contact_id], numbers[t.connection_id]) for t in threads}
    messages = await select(await stored_rows.messages())
    external_ids = {m.id: m.external_id for m in messages}
    deals = await select(await stored_rows.deals())
    deal_keys = {deal.id: people[deal.contact_id] for deal in deals}
    return {
        "contacts": {
            people[c.id]: (
                c.name,
                c.phone,
                c.profile_name,
                c.profile_seen_at,
                c.marketing_consent,
                c.marketing_consent_at,
            )
            for c in await select(await stored_rows.contacts())
        },
        "threads": {thread_keys[t.id]: t.last_message_at for t in threads},
        "messages": {
            (orgs[m.org_id], m.external_id): (
                thread_keys[m.thread_id],
                str(m.direction),
                m.kind,
                m.body,
                m.content,
                m.sent_at,
            )
            for m in messages
        },
        "deals": {
            deal_keys[d.id]: (str(d.status), d.title, external_ids[d.message_id], d.source)
            for d in deals
        },
        "insights": {
            deal_keys[i.deal_id]: (
                i.summary,
                i.intent,
                i.score,
                i.next_step,
                i.provider,
                i.updated_at,
                i.message_external_id,
            )
            for i in await select(await stored_rows.insights())
        },
        "changes": {
            (orgs[c.org_id], c.external_id): (
                c.subject,
                {name: value for name, value in c.content.items() if name != "over"},
                c.sent_at,
                c.is_waiting,
            )
            for c in await select(await stored_rows.changes())
            if c.is_waiting or c.kind != ChangeKind.ECHO
        },
        "events": Counter(
            (orgs[e.org_id], e.type) for e in await select(await stored_rows.events())
        ),
        "rows": {
            "contacts": len(people),
            "deals": len(deals),
            "threads": len(threads),
            "messages": len(messages),
        },
    }


def make_ordered_deliveries(items: Sequence[Item]) -> list[Delivery]:
    """Deliver each item alone, in the order of sending."""
    by_time = sorted(items, key=lambda item: (item.sent_at, item.external_id))
    return [Delivery([item], changes_first=True) for item in by_time]


REPRODUCIBLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(REPRODUCIBLE, max_examples=300)
@given(conversation=conversations())
async def test_every_order_of_deliveries_ends_the_same_in_memory(
    conversation: Conversation,
) -> None:
    ordered = await deliver_and_read(
        MemoryTransactions(), conversation.owners, make_ordered_deliveries(conversation.items)
    )
    mixed = await deliver_and_read(
        MemoryTransactions(), conversation.owners, conversation.deliveries
    )

    assert mixed == ordered


@pytest.fixture
async def ingest_transactions(database_url: str) -> AsyncIterator[Transactions]:
    """Transactions with the privileges of the webhook writer, and no others."""
    engine = open_pool(database_url, role=INGEST_ROLE)
    yield PostgresTransactions(share_pool(engine), timeout_seconds=60)
    await engine.dispose()


@settings(REPRODUCIBLE, max_examples=25)
@given(conversation=conversations())
async def test_every_order_of_deliveries_ends_the_same_in_postgres(
    postgres_transactions: Transactions,
    ingest_transactions: Transactions,
    conversation: Conversation,
) -> None:
    in_memory = await deliver_and_read(
        MemoryTransactions(), conversation.owners, make_ordered_deliveries(conversation.items)
    )
    mixed = await deliver_and_read(
        postgres_transactions,
        conversation.owners,
        conversation.deliveries,
        writer=ingest_transactions,
    )

    assert mixed == in_memory
