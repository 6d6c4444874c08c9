"""Edits, deletions, reactions, new numbers, consent, echoes: what happens after the first word."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.errors import ConcurrentUpdate
from application.ingestion.batch_retry import bisect_failures
from application.ports.storage import Repositories, Transactions
from application.recovery.store_failed_messages import StoreFailedMessages
from domain.change import IncomingChange
from domain.ids import NewId
from domain.insight import description_of_deleted
from domain.planning.change_plan import (
    ChangeBatch,
    ChangePlan,
    ContactMatches,
    make_conflict_events,
    make_echo_events,
)


class _ComesEarly(ConcurrentUpdate):
    """A change came before its subject."""


@dataclass(frozen=True, slots=True)
class ApplyChanges:
    """Applies each change once, and tells of it; none of them opens a deal.

    Safe to call again with the same changes, and in any order: one that comes before the message
    or person it is about waits for it.
    """

    transactions: Transactions
    store_failed_messages: StoreFailedMessages
    new_id: NewId

    async def __call__(self, changes: Sequence[IncomingChange]) -> None:
        """Apply all. Raises StorageUnavailable where they could not be kept."""

        async def on_failure(change: IncomingChange, reason: str) -> None:
            await self.store_failed_messages([(change, reason)])

        await bisect_failures(self._apply, changes, on_failure)

    async def _apply(self, changes: Sequence[IncomingChange]) -> None:
        try:
            await self._apply_to_stored(changes)
        except _ComesEarly:
            await self._apply_to_stored(changes, alone=True)

    async def _apply_to_stored(
        self, changes: Sequence[IncomingChange], *, alone: bool = False
    ) -> None:
        """Read what is there, decide what it becomes, write that: in one transaction.

        A change may wait for its subject only while nobody else can be storing it.
        """
        async with self.transactions.begin() as repos:
            connections = await repos.connections.find_enabled({c.address for c in changes})
            batch = ChangeBatch.of(changes, connections, self.new_id)
            if alone:
                await repos.changes.lock_ingest_exclusively()
            batch = batch.without_stored(await repos.changes.find_stored_keys(set(batch.noticed)))
            known = batch.known(
                await repos.contacts.match_identities(batch.identities), self.new_id
            )
            outcome = batch.outcome(
                known,
                await repos.threads.find(set(), known.keys),
                await repos.messages.get_for_update(batch.messages),
                await repos.changes.list_for_targets(batch.targets),
                self.new_id,
            )
            if outcome.is_early and not alone:
                raise _ComesEarly
            await self._write(repos, known, outcome)

    async def _write(self, repos: Repositories, known: ContactMatches, outcome: ChangePlan) -> None:
        await repos.contacts.add({}, known.new_identities)
        await repos.contacts.compare_and_swap(known.changed)
        await repos.messages.add(outcome.echoes)
        await repos.messages.update({key: new for key, (_, new) in outcome.changed.items()})
        added = await repos.changes.add(outcome.records)
        if len(added) < len(outcome.records):
            raise ConcurrentUpdate
        noticed = await repos.changes.add(known.conflicts)
        await repos.changes.update(outcome.updated)
        await repos.threads.advance(outcome.moved)
        await self._write_leads(repos, outcome)
        await repos.events.append(
            [
                *outcome.events,
                *make_echo_events(outcome.echoes.values(), self.new_id),
                *make_conflict_events([known.conflicts[key] for key in noticed], self.new_id),
            ]
        )

    async def _write_leads(self, repos: Repositories, outcome: ChangePlan) -> None:
        """Let titles follow the words, and forget what was said of words taken back."""
        bodies = {old.id: (old.body, new.body) for old, new in outcome.changed.values()}
        deals = await repos.deals.list_with_first_message_in(
            [old for old, _ in outcome.changed.values()]
        )
        renamed = {
            deal.id: (deal, deal.with_title_following(*bodies[deal.message_id]))
            for deal in deals
            if deal.message_id in bodies
        }
        await repos.deals.compare_and_swap(
            {id_: two for id_, two in renamed.items() if two[0] != two[1]}
        )
        await repos.insights.replace_descriptions(
            {
                key: description_of_deleted(m.body)
                for key, (_, m) in outcome.changed.items()
                if m.is_deleted
            }
        )
