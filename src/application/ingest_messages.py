"""The heart: a delivery becomes contacts, threads, messages, deals, insights and events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from application.attempts import in_halves
from application.describe import Describe
from application.keep_failed import KeepFailed
from application.ports import Repositories, Transactions
from application.unmatched import tell, unmatched
from domain.batch import Batch, Captured, Found, NewId, Waiting
from domain.change_batch import conflict_events, echo_events
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from domain.leads import Descriptions, deals, insights, lead_events


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What became of the messages of a delivery: received = ingested + skipped + failed."""

    received: int
    ingested: int
    skipped: int
    failed: int

    @classmethod
    def of(cls, received: int, *, ingested: int = 0, failed: int = 0) -> Self:
        """Count as skipped what was neither stored nor kept as failed."""
        skipped = received - ingested - failed
        return cls(received=received, ingested=ingested, skipped=skipped, failed=failed)

    def __add__(self, other: "Counters") -> "Counters":
        """Count two parts of a delivery together."""
        return Counters(
            received=self.received + other.received,
            ingested=self.ingested + other.ingested,
            skipped=self.skipped + other.skipped,
            failed=self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True)
class IngestMessages:
    """Stores each message once, in the organisation it was written to.

    Safe to call again with the same delivery, and from many places at once: Meta repeats itself,
    and a person writes several messages in a second.
    """

    transactions: Transactions
    describe: Describe
    keep_failed: KeepFailed
    new_id: NewId

    async def __call__(self, delivery: Sequence[Inbound]) -> Counters:
        """Keep the whole delivery, and say what became of it.

        Raises StorageUnavailable where it could not be kept; parts of it may be stored then, and
        count as duplicates when it comes again.
        """
        readable = [message for message in delivery if isinstance(message, InboundMessage)]
        unreadable = [(m, m.reason) for m in delivery if isinstance(m, BrokenMessage)]
        descriptions = await self.describe(readable)

        async def store(messages: Sequence[InboundMessage]) -> Counters:
            return await self._store(messages, descriptions)

        async def set_aside(message: InboundMessage, reason: str) -> Counters:
            return Counters.of(1, failed=await self.keep_failed([(message, reason)]))

        failed = await self.keep_failed(unreadable)
        stored = await in_halves(store, readable, set_aside)
        return sum(stored, Counters.of(len(unreadable), failed=failed))

    async def _store(
        self, messages: Sequence[InboundMessage], descriptions: Descriptions
    ) -> Counters:
        """Read what is there, decide what is missing, write that: in one transaction."""
        async with self.transactions.begin() as repos:
            found = await repos.intake.find(messages)
            batch = Batch.of(messages, found.connections).without(found.known)
            waiting = dict(found.waiting)
            waiting |= await repos.changes.waiting(batch.echo_subjects(waiting))
            captured = await self._store_messages(repos, batch, found, waiting)
            await self._store_leads(repos, captured, found, descriptions)
            for_nobody = unmatched(messages, found.connections)
            await repos.unmatched.count(for_nobody, self.keep_failed.clock.now())
        tell(for_nobody)
        return Counters.of(len(messages), ingested=len(captured))

    async def _store_messages(
        self, repos: Repositories, batch: Batch, found: Found, waiting: Waiting
    ) -> list[Captured]:
        people = batch.people(found.owners, waiting, self.new_id)
        await repos.contacts.add(people.new_contacts, people.new_identities)
        await repos.contacts.change(people.changed)

        conversations = batch.conversations(people, found.threads, waiting, self.new_id)
        await repos.threads.add(conversations.new)
        await repos.threads.move(conversations.moved)

        messages = batch.messages(conversations, waiting, self.new_id)
        echoes = batch.echoes(conversations, waiting, self.new_id)
        await repos.messages.add(messages | echoes)
        noticed = await repos.changes.add(people.conflicts)
        await repos.changes.update(batch.settled(waiting))
        await repos.events.append(
            [
                *echo_events(echoes.values(), self.new_id),
                *conflict_events([people.conflicts[key] for key in noticed], self.new_id),
            ]
        )
        return [
            Captured(
                message,
                conversations.thread_of[key],
                batch.arrivals[key].message.content.get("referral"),
            )
            for key, message in messages.items()
        ]

    async def _store_leads(
        self,
        repos: Repositories,
        captured: Sequence[Captured],
        found: Found,
        descriptions: Descriptions,
    ) -> None:
        theirs = deals(captured, found.deals, self.new_id)
        await repos.deals.add(theirs.new)
        await repos.deals.change(theirs.changed)

        provider = self.describe.insights.name
        await repos.insights.put(insights(captured, theirs, descriptions, provider, self.new_id))
        await repos.events.append(lead_events(captured, theirs, self.new_id))
