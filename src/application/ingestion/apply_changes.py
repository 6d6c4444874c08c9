"""Edits, deletions, reactions, new numbers, consent, echoes: what happens after the first word."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.errors import Contended
from application.ingestion.batch_retry import in_halves
from application.ports.storage import Repositories, Transactions
from application.recovery.store_failed_messages import KeepFailed
from domain.change import Change
from domain.ids import NewId
from domain.insight import nothing_known
from domain.planning.change_plan import ChangeBatch, Known, Outcome, conflict_events, echo_events


class _ComesEarly(Contended):
    """A change came before its subject."""


@dataclass(frozen=True, slots=True)
class ApplyChanges:
    """Applies each change once, and tells of it; none of them opens a deal.

    Safe to call again with the same changes, and in any order: one that comes before the message
    or person it is about waits for it.
    """

    transactions: Transactions
    keep_failed: KeepFailed
    new_id: NewId

    async def __call__(self, changes: Sequence[Change]) -> None:
        """Apply all. Raises StorageUnavailable where they could not be kept."""

        async def set_aside(change: Change, reason: str) -> None:
            await self.keep_failed([(change, reason)])

        await in_halves(self._apply, changes, set_aside)

    async def _apply(self, changes: Sequence[Change]) -> None:
        try:
            await self._apply_to_stored(changes)
        except _ComesEarly:
            await self._apply_to_stored(changes, alone=True)

    async def _apply_to_stored(self, changes: Sequence[Change], *, alone: bool = False) -> None:
        """Read what is there, decide what it becomes, write that: in one transaction.

        A change may wait for its subject only while nobody else can be storing it.
        """
        async with self.transactions.begin() as repos:
            connections = await repos.connections.enabled({c.address for c in changes})
            batch = ChangeBatch.of(changes, connections, self.new_id)
            if alone:
                await repos.changes.alone()
            batch = batch.without(await repos.changes.known(set(batch.noticed)))
            known = batch.known(await repos.contacts.owners(batch.identities), self.new_id)
            outcome = batch.outcome(
                known,
                await repos.threads.find(set(), known.keys),
                await repos.messages.locked(batch.messages),
                await repos.changes.about(batch.subjects),
                self.new_id,
            )
            if outcome.is_early and not alone:
                raise _ComesEarly
            await self._write(repos, known, outcome)

    async def _write(self, repos: Repositories, known: Known, outcome: Outcome) -> None:
        await repos.contacts.add({}, known.new_identities)
        await repos.contacts.change(known.changed)
        await repos.messages.add(outcome.echoes)
        await repos.messages.change({key: new for key, (_, new) in outcome.changed.items()})
        added = await repos.changes.add(outcome.records)
        if len(added) < len(outcome.records):
            raise Contended
        noticed = await repos.changes.add(known.conflicts)
        await repos.changes.update(outcome.updated)
        await repos.threads.move(outcome.moved)
        await self._write_leads(repos, outcome)
        await repos.events.append(
            [
                *outcome.events,
                *echo_events(outcome.echoes.values(), self.new_id),
                *conflict_events([known.conflicts[key] for key in noticed], self.new_id),
            ]
        )

    async def _write_leads(self, repos: Repositories, outcome: Outcome) -> None:
        """Let titles follow the words, and forget what was said of words taken back."""
        bodies = {old.id: (old.body, new.body) for old, new in outcome.changed.values()}
        deals = await repos.deals.named_after([old for old, _ in outcome.changed.values()])
        renamed = {
            deal.id: (deal, deal.renamed(*bodies[deal.message_id]))
            for deal in deals
            if deal.message_id in bodies
        }
        await repos.deals.change({id_: two for id_, two in renamed.items() if two[0] != two[1]})
        await repos.insights.redescribe(
            {key: nothing_known(m.body) for key, (_, m) in outcome.changed.items() if m.is_deleted}
        )
