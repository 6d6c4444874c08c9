"""In whatever order and however often it is delivered, the same conversation ends the same."""

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
from tests.support.database import share_pool
from tests.support.stored_rows import open_stored_rows

Thing: TypeAlias = InboundMessage | IncomingChange

PEOPLE = [("5491155550001", "AR.1"), ("5491155550002", "AR.2")]
WORDS = ["hola", "lo quiero comprar", "¿cuánto cuesta?\ngracias", ""]
NAMES = ["Ana", "Bea", ""]
REFERRALS = [{}, {}, {"referral": {"source_id": "ad.1"}}, {"referral": {"source_id": "ad.2"}}]

# Few minutes, so that many things happen in the same one.
minutes = st.integers(0, 3)
people = st.sampled_from(PEOPLE)


@dataclass(frozen=True)
class Delivery:
    """Some of what happened, at once; the messages of it may be stored after the rest."""

    things: Sequence[Thing]
    changes_first: bool


@dataclass(frozen=True)
class Story:
    """What happened over up to two numbers, and one of the ways it may be delivered.

    `owners` says of each number which organisation has it.
    """

    owners: Sequence[int]
    things: Sequence[Thing]
    deliveries: Sequence[Delivery]


@st.composite
def shown(draw: st.DrawFn) -> Sequence[Identity]:
    """Somebody with the number, or without.

    Nobody shows the number alone: ids that were never seen together are two people's, and once
    both have a contact they stay two, so there the order decides.
    """
    number, user_id = draw(people)
    return (
        [phone_identity(number), user_identity(user_id)]
        if draw(st.booleans())
        else [user_identity(user_id)]
    )


@st.composite
def stories(draw: st.DrawFn) -> Story:
    owners = draw(st.sampled_from([(0,), (0, 0), (0, 1)]))
    numbers = st.sampled_from([str(n) for n in range(len(owners))])
    ids = (f"wamid.{n}" for n in count())
    messages = [
        make_message(
            draw(st.sampled_from(WORDS)),
            to=draw(numbers),
            by=draw(shown()),
            id=next(ids),
            minute=draw(minutes),
            name=draw(st.sampled_from(NAMES)),
            content=draw(st.sampled_from(REFERRALS)),
        )
        for _ in range(draw(st.integers(1, 8)))
    ]

    def known_by(number: str) -> Sequence[Identity]:
        """Somebody; with the phone only where they show it to that organisation themselves.

        From a change that comes before its person nobody learns ids.
        """
        person = draw(people)
        org = owners[int(number)]
        seen = {
            id_
            for message in messages
            if owners[int(message.address.external_id)] == org
            for id_ in message.sender.identities
        }
        identities = [phone_identity(person[0]), user_identity(person[1])]
        return identities if {*identities} <= seen and draw(st.booleans()) else identities[1:]

    echoes = [
        make_echo(
            draw(st.sampled_from(WORDS)),
            to=known_by(number := draw(numbers)),
            over=number,
            id=next(ids),
            minute=draw(minutes),
        )
        for _ in range(draw(st.integers(0, 2)))
    ]
    written: list[Thing] = [*messages, *echoes]
    changes = []
    for _ in range(draw(st.integers(0, 8))):
        about = draw(st.sampled_from(written))
        when: Any = {"id": next(ids), "minute": draw(minutes)}
        match draw(st.sampled_from(["edit", "edit", "unsend", "reaction", "consent"])):
            case "edit":
                changes.append(make_edit(about, draw(st.sampled_from(WORDS)), **when))
            case "unsend":
                changes.append(make_unsend(about, **when))
            case "reaction":
                emoji = draw(st.sampled_from(["👍", "❤️", None]))
                by = draw(st.sampled_from(Direction))
                changes.append(make_reaction(about, emoji, by=by, **when))
            case _:
                wish, to = draw(st.booleans()), draw(numbers)
                changes.append(make_consent(wish, by=known_by(to), to=to, **when))
    things = [*written, *changes]
    repeats = draw(st.lists(st.sampled_from(things), max_size=4))
    mixed = draw(st.permutations([*things, *repeats]))
    ends = sorted({0, len(mixed), *draw(st.lists(st.integers(0, len(mixed)), max_size=8))})
    deliveries = [
        Delivery(mixed[start:end], changes_first=draw(st.booleans()))
        for start, end in pairwise(ends)
    ]
    return Story(owners, things, deliveries)


Shops: TypeAlias = Mapping[str, Connection]
_numbers = count(1)


async def open_shops(transactions: Transactions, owners: Sequence[int]) -> Shops:
    """New organisations, with numbers that nobody has yet, by what the story calls these."""
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


async def end_of(
    transactions: Transactions,
    owners: Sequence[int],
    deliveries: Sequence[Delivery],
    *,
    writer: Transactions | None = None,
) -> Mapping[str, Any]:
    """All rows in the end, where `writer` stored what was delivered."""
    shops = await open_shops(transactions, owners)
    ingest = make_ingestion(writer or transactions)
    apply = make_apply_changes(writer or transactions)

    def over(thing: Any) -> Any:
        number = shops[thing.address.external_id].external_id
        return replace(thing, address=Address(Channel.WHATSAPP, number))

    for delivery in deliveries:
        things = [over(thing) for thing in delivery.things]
        messages = [thing for thing in things if isinstance(thing, InboundMessage)]
        changes = [thing for thing in things if isinstance(thing, IncomingChange)]
        if delivery.changes_first:
            await apply(changes)
        counters = await ingest(messages)
        assert counters.failed == 0
        if not delivery.changes_first:
            await apply(changes)
    return await rows_of(transactions, shops)


async def rows_of(transactions: Transactions, shops: Shops) -> Mapping[str, Any]:
    """All rows of these shops, with natural keys where ids point.

    Left out are, besides ids:

    - a thread's `external_id`, which is named after the id that its person showed first;
    - events' payloads, which are ids, and with them which of its messages opened a deal;
    - an echo that waited and is a message now, because one that did not wait is not kept.
    """
    stored_rows = open_stored_rows(transactions)
    orgs = {shop.org_id: n for n, shop in shops.items()}
    number_of = {shop.id: n for n, shop in shops.items()}

    async def of_shops(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if row.org_id in orgs]

    ids_of: dict[Any, list[Any]] = {}
    for identity in await of_shops(await stored_rows.identities()):
        known = ids_of.setdefault(identity.contact_id, [orgs[identity.org_id]])
        known.append((str(identity.kind), identity.value))
    who = {contact_id: tuple(sorted(map(str, known))) for contact_id, known in ids_of.items()}
    threads = await of_shops(await stored_rows.threads())
    where = {t.id: (who[t.contact_id], number_of[t.connection_id]) for t in threads}
    messages = await of_shops(await stored_rows.messages())
    external_id_of = {m.id: m.external_id for m in messages}
    deals = await of_shops(await stored_rows.deals())
    whose = {deal.id: who[deal.contact_id] for deal in deals}
    return {
        "contacts": {
            who[c.id]: (
                c.name,
                c.phone,
                c.profile_name,
                c.profile_seen_at,
                c.marketing_consent,
                c.marketing_consent_at,
            )
            for c in await of_shops(await stored_rows.contacts())
        },
        "threads": {where[t.id]: t.last_message_at for t in threads},
        "messages": {
            (orgs[m.org_id], m.external_id): (
                where[m.thread_id],
                str(m.direction),
                m.kind,
                m.body,
                m.content,
                m.sent_at,
            )
            for m in messages
        },
        "deals": {
            whose[d.id]: (str(d.status), d.title, external_id_of[d.message_id], d.source)
            for d in deals
        },
        "insights": {
            whose[i.deal_id]: (
                i.summary,
                i.intent,
                i.score,
                i.next_step,
                i.provider,
                i.updated_at,
                i.message_external_id,
            )
            for i in await of_shops(await stored_rows.insights())
        },
        "changes": {
            (orgs[c.org_id], c.external_id): (
                c.subject,
                {name: value for name, value in c.content.items() if name != "over"},
                c.sent_at,
                c.is_waiting,
            )
            for c in await of_shops(await stored_rows.changes())
            if c.is_waiting or c.kind != ChangeKind.ECHO
        },
        "events": Counter(
            (orgs[e.org_id], e.type) for e in await of_shops(await stored_rows.events())
        ),
        "rows": {
            "contacts": len(who),
            "deals": len(deals),
            "threads": len(threads),
            "messages": len(messages),
        },
    }


def in_order(things: Sequence[Thing]) -> list[Delivery]:
    """As they happened, each alone."""
    by_time = sorted(things, key=lambda thing: (thing.sent_at, thing.external_id))
    return [Delivery([thing], changes_first=True) for thing in by_time]


ALWAYS_THE_SAME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(ALWAYS_THE_SAME, max_examples=300)
@given(story=stories())
async def test_every_order_of_deliveries_ends_the_same_in_memory(story: Story) -> None:
    in_turn = await end_of(MemoryTransactions(), story.owners, in_order(story.things))
    mixed = await end_of(MemoryTransactions(), story.owners, story.deliveries)

    assert mixed == in_turn


@pytest.fixture
async def webhook(database_url: str) -> AsyncIterator[Transactions]:
    """With the rights that the service has, and no others."""
    engine = open_pool(database_url, role=INGEST_ROLE)
    yield PostgresTransactions(share_pool(engine), timeout_seconds=60)
    await engine.dispose()


@settings(ALWAYS_THE_SAME, max_examples=25)
@given(story=stories())
async def test_every_order_of_deliveries_ends_the_same_in_postgres(
    postgres_transactions: Transactions, webhook: Transactions, story: Story
) -> None:
    in_memory = await end_of(MemoryTransactions(), story.owners, in_order(story.things))
    mixed = await end_of(postgres_transactions, story.owners, story.deliveries, writer=webhook)

    assert mixed == in_memory
