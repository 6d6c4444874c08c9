"""The heart: a delivery becomes contacts, threads, messages, deals, insights and events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import Self

from application.ingestion.batch_retry import bisect_failures
from application.ingestion.describe_messages import DescribeMessages
from application.ingestion.unmatched import count_unmatched, log_unmatched
from application.ports.storage import Repositories, Transactions
from application.recovery.store_failed_messages import StoreFailedMessages
from domain.ids import NewId
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from domain.planning.change_plan import make_conflict_events, make_echo_events
from domain.planning.deal_plan import Descriptions, make_lead_events, plan_deals, plan_insights
from domain.planning.message_plan import IngestSnapshot, MessageBatch, PendingChanges, StoredMessage


class Result(Enum):
    """What became of a message: skipped are duplicates, and those for nobody."""

    INGESTED = auto()
    SKIPPED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What became of the messages of a delivery: received = ingested + skipped + failed."""

    received: int
    ingested: int
    skipped: int
    failed: int

    @classmethod
    def of(cls, results: Iterable[Result]) -> Self:
        """Count them."""
        each = list(results)
        return cls(
            received=len(each),
            ingested=each.count(Result.INGESTED),
            skipped=each.count(Result.SKIPPED),
            failed=each.count(Result.FAILED),
        )


@dataclass(frozen=True, slots=True)
class IngestMessages:
    """Stores each message once, in the organisation it was written to.

    Safe to call again with the same messages, and from many places at once: Meta repeats itself,
    and a person writes several messages in a second.
    """

    transactions: Transactions
    describe: DescribeMessages
    store_failed_messages: StoreFailedMessages
    new_id: NewId

    async def __call__(self, messages: Sequence[Inbound]) -> list[Result]:
        """Keep all of them, and say what became of each.

        Raises StorageUnavailable where they could not be kept; some may be stored then, and count
        as duplicates when they come again.
        """
        readable = [message for message in messages if isinstance(message, InboundMessage)]
        descriptions = await self.describe(readable)

        async def store(batch: Sequence[InboundMessage]) -> list[Result]:
            return await self._store(batch, descriptions)

        async def on_failure(message: InboundMessage, reason: str) -> list[Result]:
            return await self._set_aside([(message, reason)])

        unreadable = [(m, m.reason) for m in messages if isinstance(m, BrokenMessage)]
        broken = iter(await self._set_aside(unreadable))
        stored = chain.from_iterable(await bisect_failures(store, readable, on_failure))
        return [next(stored if isinstance(m, InboundMessage) else broken) for m in messages]

    async def _set_aside(self, failures: Sequence[tuple[Inbound, str]]) -> list[Result]:
        kept = await self.store_failed_messages(failures)
        return [Result.FAILED if is_kept else Result.SKIPPED for is_kept in kept]

    async def _store(
        self, messages: Sequence[InboundMessage], descriptions: Descriptions
    ) -> list[Result]:
        """Read what is there, decide what is missing, write that: in one transaction."""
        async with self.transactions.begin() as repos:
            found = await repos.snapshots.read(messages)
            batch = MessageBatch.of(messages, found.connections).without_stored(found.known)
            waiting = dict(found.waiting)
            waiting |= await repos.changes.find_pending(batch.echo_targets(waiting))
            captured = await self._store_messages(repos, batch, found, waiting)
            await self._store_leads(repos, captured, found, descriptions)
            for_nobody = count_unmatched(messages, found.connections)
            await repos.unmatched.add_counts(for_nobody, self.store_failed_messages.clock.now())
        log_unmatched(for_nobody)
        return [Result.INGESTED if new else Result.SKIPPED for new in batch.contains_each(messages)]

    async def _store_messages(
        self,
        repos: Repositories,
        batch: MessageBatch,
        found: IngestSnapshot,
        waiting: PendingChanges,
    ) -> list[StoredMessage]:
        people = batch.plan_contacts(found.owners, waiting, self.new_id)
        await repos.contacts.add(people.new_contacts, people.new_identities)
        await repos.contacts.compare_and_swap(people.changed)

        conversations = batch.plan_threads(people, found.threads, waiting, self.new_id)
        await repos.threads.add(conversations.new)
        await repos.threads.advance(conversations.moved)

        messages = batch.messages(conversations, waiting, self.new_id)
        echoes = batch.echoes(conversations, waiting, self.new_id)
        await repos.messages.add(messages | echoes)
        noticed = await repos.changes.add(people.conflicts)
        await repos.changes.update(batch.settle_changes(waiting))
        await repos.events.append(
            [
                *make_echo_events(echoes.values(), self.new_id),
                *make_conflict_events([people.conflicts[key] for key in noticed], self.new_id),
            ]
        )
        return [
            StoredMessage(
                message,
                conversations.threads[key],
                batch.resolved[key].message.content.get("referral"),
            )
            for key, message in messages.items()
        ]

    async def _store_leads(
        self,
        repos: Repositories,
        captured: Sequence[StoredMessage],
        found: IngestSnapshot,
        descriptions: Descriptions,
    ) -> None:
        theirs = plan_deals(captured, found.deals, self.new_id)
        await repos.deals.add(theirs.new)
        await repos.deals.compare_and_swap(theirs.changed)

        provider = self.describe.insights.name
        await repos.insights.upsert(
            plan_insights(captured, theirs, descriptions, provider, self.new_id)
        )
        await repos.events.append(make_lead_events(captured, theirs, self.new_id))
