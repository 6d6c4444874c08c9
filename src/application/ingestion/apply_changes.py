"""Applies changes to stored messages and contacts: edit, unsend, reaction, consent, identity, echo."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.errors import ConcurrentUpdate
from application.ingestion.bisection import bisect_failures
from application.ingestion.ingest_messages import FailureSink
from application.ports.storage import Repositories, Transactions
from domain.actor import WebhookWriter
from domain.change import IncomingChange
from domain.ids import NewId
from domain.planning.change_plan import (
    ChangeBatch,
    ChangePlan,
    make_conflict_events,
    make_echo_events,
)
from domain.planning.deal_plan import describe_unsent, plan_new_titles
from domain.planning.identity_resolution import ContactPlan
from domain.planning.snapshot import SnapshotRequest


class _TargetMissing(Exception):
    """A change came before its target. Nothing was written."""


@dataclass(frozen=True, slots=True)
class ApplyChanges:
    """Applies each change once, and appends an event for it; no change opens a deal.

    It is safe to call again with the same changes, and in any order: a change that comes before
    the message or person it is about is stored as pending.
    """

    transactions: Transactions
    on_failure: FailureSink
    new_id: NewId

    async def __call__(
        self, changes: Sequence[IncomingChange], on_failure: FailureSink | None = None
    ) -> None:
        """Apply all changes.

        A change that fails goes to `on_failure`, else to `self.on_failure`. Raises
        StorageUnavailable where not all could be kept.
        """
        sink = on_failure or self.on_failure

        async def fail(change: IncomingChange, reason: str) -> None:
            await sink([(change, reason)])

        await bisect_failures(self._apply, changes, fail)

    async def _apply(self, changes: Sequence[IncomingChange]) -> None:
        try:
            await self._apply_to_stored(changes)
        except _TargetMissing:
            await self._apply_to_stored(changes, is_exclusive=True)

    async def _apply_to_stored(
        self, changes: Sequence[IncomingChange], *, is_exclusive: bool = False
    ) -> None:
        """Read what is stored, decide what it becomes, write that: in one transaction.

        A change may be stored as pending only while no other transaction can store its target
        (D11). Without the exclusive lock, _TargetMissing is raised in its place.
        """
        async with self.transactions.begin(WebhookWriter()) as repos:
            if is_exclusive:
                await repos.changes.lock_ingest_exclusively()
            snapshot = await repos.snapshots.read(SnapshotRequest.for_changes(changes))
            batch = ChangeBatch.resolve(changes, snapshot.connections, self.new_id)
            stored_keys = await repos.changes.find_stored_keys(set(batch.resolved))
            batch = batch.without_stored(stored_keys)
            contact_plan = batch.plan_contacts(snapshot.matches, self.new_id)
            plan = batch.plan(
                contact_plan,
                snapshot.threads,
                await repos.messages.get_for_update(batch.message_keys),
                await repos.changes.list_for_targets(batch.message_targets),
                self.new_id,
            )
            if plan.has_pending and not is_exclusive:
                raise _TargetMissing
            await self._write(repos, contact_plan, plan)

    async def _write(
        self, repos: Repositories, contact_plan: ContactPlan, plan: ChangePlan
    ) -> None:
        await repos.contacts.add({}, contact_plan.new_identities)
        await repos.contacts.compare_and_swap(contact_plan.changed_contacts)
        await repos.threads.advance(plan.advanced_threads)
        await repos.messages.add(plan.echoes)
        await repos.messages.update({key: new for key, (_, new) in plan.changed_messages.items()})
        added = await repos.changes.add(plan.records)
        if len(added) < len(plan.records):
            raise ConcurrentUpdate
        new_conflicts = await repos.changes.add(contact_plan.conflicts)
        await repos.changes.update(plan.updated_records)
        await self._write_deals_and_insights(repos, plan)
        await repos.events.append(
            [
                *plan.events,
                *make_echo_events(plan.echoes.values(), self.new_id),
                *make_conflict_events(
                    [contact_plan.conflicts[key] for key in new_conflicts], self.new_id
                ),
            ]
        )

    async def _write_deals_and_insights(self, repos: Repositories, plan: ChangePlan) -> None:
        """Give deals new titles, and remove unsent texts from insights."""
        changed = plan.changed_messages
        deals = await repos.deals.list_with_first_message_in([old for old, _ in changed.values()])
        await repos.deals.compare_and_swap(plan_new_titles(deals, changed))
        await repos.insights.replace_descriptions(describe_unsent(changed))
