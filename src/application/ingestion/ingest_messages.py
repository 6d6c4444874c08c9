"""Stores messages: each becomes a contact, thread, message, deal, insight and event, exactly once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, Self

from application.ingestion.bisection import bisect_failures
from application.ingestion.count_unmatched import count_unmatched, log_unmatched
from application.ingestion.describe_messages import DescribeMessages
from application.ports.clock import Clock
from application.ports.storage import Repositories, Transactions
from domain.actor import WebhookWriter
from domain.change import IncomingChange
from domain.ids import NewId
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from domain.message import MessageKey
from domain.planning.change_plan import make_conflict_events, make_echo_events
from domain.planning.deal_plan import Descriptions, make_lead_events, plan_deals, plan_insights
from domain.planning.message_plan import CapturedMessage, MessageBatch
from domain.planning.snapshot import IngestSnapshot, PendingChanges, SnapshotRequest


class Result(Enum):
    """What became of a message. SKIPPED: a duplicate, or no enabled connection for its address."""

    INGESTED = auto()
    SKIPPED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """The results of a delivery: received = ingested + skipped + failed."""

    received: int
    ingested: int
    skipped: int
    failed: int

    @classmethod
    def count(cls, results: Iterable[Result]) -> Self:
        """Count the results."""
        results = list(results)
        return cls(
            received=len(results),
            ingested=results.count(Result.INGESTED),
            skipped=results.count(Result.SKIPPED),
            failed=results.count(Result.FAILED),
        )


class FailureSink(Protocol):
    """Takes the messages and changes that cannot be processed."""

    async def __call__(
        self, failures: Sequence[tuple[Inbound | IncomingChange, str]]
    ) -> list[bool]:
        """Take each with the reason; return whether each has a connection and was taken.

        Raises StorageUnavailable where they cannot be kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class IngestMessages:
    """Stores each message once, in the organisation whose connection received it.

    It is safe to call again with the same messages, and concurrently: Meta repeats deliveries,
    and a person writes several messages in a second.
    """

    transactions: Transactions
    describe: DescribeMessages
    on_failure: FailureSink
    clock: Clock
    new_id: NewId

    async def __call__(
        self, messages: Sequence[Inbound], on_failure: FailureSink | None = None
    ) -> list[Result]:
        """Store all messages, and return the result of each, in their order.

        A message that fails goes to `on_failure`, else to `self.on_failure`.
        Raises StorageUnavailable where not all could be kept. Some may be stored then; they count
        as duplicates when they come again.
        """
        sink = on_failure or self.on_failure
        readable = [(i, m) for i, m in enumerate(messages) if isinstance(m, InboundMessage)]
        broken = [(i, m) for i, m in enumerate(messages) if isinstance(m, BrokenMessage)]
        results: dict[int, Result] = {}
        kept = await sink([(message, message.reason) for _, message in broken])
        results |= {
            index: _make_failure_result(is_kept)
            for (index, _), is_kept in zip(broken, kept, strict=True)
        }
        stored = await self._store([message for _, message in readable], sink)
        results |= dict(zip((index for index, _ in readable), stored, strict=True))
        return [results[index] for index in range(len(messages))]

    async def _store(self, messages: Sequence[InboundMessage], sink: FailureSink) -> list[Result]:
        """Store all in one transaction; where that fails, find those at fault by bisection."""
        descriptions = await self.describe(messages)

        async def store(batch: Sequence[InboundMessage]) -> list[Result]:
            return await self._store_batch(batch, descriptions)

        async def fail(message: InboundMessage, reason: str) -> list[Result]:
            return [_make_failure_result(is_kept) for is_kept in await sink([(message, reason)])]

        parts = await bisect_failures(store, messages, fail)
        return [result for part in parts for result in part]

    async def _store_batch(
        self, messages: Sequence[InboundMessage], descriptions: Descriptions
    ) -> list[Result]:
        """Read what is stored, decide what is missing, write that: in one transaction (D1)."""
        async with self.transactions.begin(WebhookWriter()) as repos:
            snapshot = await repos.snapshots.read(SnapshotRequest.for_messages(messages))
            batch = MessageBatch.resolve(messages, snapshot.connections)
            batch = batch.without_stored(snapshot.stored_keys)
            pending = dict(snapshot.pending)
            pending |= await repos.changes.find_pending(batch.list_echo_targets(pending))
            captured = await self._write_messages(repos, batch, snapshot, pending)
            await self._write_deals_and_insights(repos, captured, snapshot, descriptions)
            unmatched = count_unmatched(messages, snapshot.connections)
            await repos.unmatched.add_counts(unmatched, self.clock.now())
        log_unmatched(unmatched)
        return [
            Result.INGESTED if is_new else Result.SKIPPED
            for is_new in batch.contains_each(messages)
        ]

    async def _write_messages(
        self,
        repos: Repositories,
        batch: MessageBatch,
        snapshot: IngestSnapshot,
        pending: PendingChanges,
    ) -> list[CapturedMessage]:
        contact_plan = batch.plan_contacts(snapshot.matches, pending, self.new_id)
        await repos.contacts.add(contact_plan.new_contacts, contact_plan.new_identities)
        await repos.contacts.compare_and_swap(contact_plan.changed_contacts)

        thread_plan = batch.plan_threads(contact_plan, snapshot.threads, pending, self.new_id)
        await repos.threads.add(thread_plan.new_threads)
        await repos.threads.advance(thread_plan.advanced_threads)

        messages = batch.make_messages(thread_plan, pending, self.new_id)
        echo_keys = {MessageKey(*target) for target in batch.list_echo_targets(pending)}
        stored = await repos.messages.get_for_update(echo_keys) if echo_keys else {}
        echoes = batch.make_echoes(thread_plan, pending, stored, self.new_id)
        await repos.messages.add(messages | echoes)
        new_conflicts = await repos.changes.add(contact_plan.conflicts)
        await repos.changes.update(batch.settle_changes(pending))
        await repos.events.append(
            [
                *make_echo_events(echoes.values(), self.new_id),
                *make_conflict_events(
                    [contact_plan.conflicts[key] for key in new_conflicts], self.new_id
                ),
            ]
        )
        return [
            CapturedMessage(
                message,
                thread_plan.threads[key],
                batch.resolved[key].message.content.get("referral"),
            )
            for key, message in messages.items()
        ]

    async def _write_deals_and_insights(
        self,
        repos: Repositories,
        captured: Sequence[CapturedMessage],
        snapshot: IngestSnapshot,
        descriptions: Descriptions,
    ) -> None:
        deal_plan = plan_deals(captured, snapshot.open_deals, self.new_id)
        await repos.deals.add(deal_plan.new)
        await repos.deals.compare_and_swap(deal_plan.changed)

        provider = self.describe.provider_name
        insights = plan_insights(captured, deal_plan, descriptions, provider, self.new_id)
        await repos.insights.upsert(insights)
        await repos.events.append(make_lead_events(captured, deal_plan, self.new_id))


def _make_failure_result(is_kept: bool) -> Result:  # noqa: FBT001 - the answer of a FailureSink
    return Result.FAILED if is_kept else Result.SKIPPED
