"""Reads and writes the table `failed_messages`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from application.ports.storage import FailedMessageRepository
from domain.failed_message import FailedMessage, FailedMessageId
from domain.organization import OrgId
from infrastructure.postgres import tables
from infrastructure.postgres.batches import build_batch_insert, encode_entities, list_columns
from infrastructure.postgres.session import PostgresSession, make_commit_wait_for_standbys

_failed = tables.failed_messages.c

FAILED_MESSAGE_COLUMNS = list_columns(tables.failed_messages, FailedMessage)
NEW_FAILURES = "new_failures"
ADD_FAILURES = build_batch_insert(
    NEW_FAILURES,
    [column for column in FAILED_MESSAGE_COLUMNS if column.name != "created_at"],
    ("id",),
).on_conflict_do_nothing()
LIST_UNRESOLVED = (
    sa.select(*FAILED_MESSAGE_COLUMNS).where(_failed.resolved_at.is_(None)).order_by(_failed.id)
)
_due = (
    sa.select(_failed.id)
    .where(_failed.resolved_at.is_(None), _failed.next_attempt_at <= sa.bindparam("now"))
    .order_by(_failed.next_attempt_at)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
# The rows are the queue (D61).
CLAIM_DUE = (
    sa.update(tables.failed_messages)
    .where(_failed.id.in_(_due))
    .values(next_attempt_at=sa.bindparam("until"))
    .returning(*FAILED_MESSAGE_COLUMNS)
)


@dataclass(frozen=True, slots=True)
class PostgresFailedMessageRepository(FailedMessageRepository):
    """Table `failed_messages`."""

    session: PostgresSession

    async def add(self, failures: Collection[FailedMessage]) -> None:
        if failures:
            await self.session.execute(ADD_FAILURES, {NEW_FAILURES: encode_entities(failures)})
            await make_commit_wait_for_standbys(self.session)  # some may be stored already

    async def list_all(self) -> list[FailedMessage]:
        return await self._select(LIST_UNRESOLVED)

    async def list_for_organization(self, org_id: OrgId) -> list[FailedMessage]:
        return await self._select(LIST_UNRESOLVED.where(_failed.org_id == org_id))

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[FailedMessage]:
        parameters = {"now": now, "until": until, "limit": limit}
        result = await self.session.execute(CLAIM_DUE, parameters)
        claimed = [FailedMessage(**row) for row in result.mappings()]
        return sorted(claimed, key=lambda failure: failure.id)

    async def update(self, failure: FailedMessage) -> None:
        await self.session.execute(
            sa.update(tables.failed_messages)
            .where(_failed.id == failure.id, _failed.resolved_at.is_(None))
            .values(
                error=failure.error,
                attempts=failure.attempts,
                next_attempt_at=failure.next_attempt_at,
            )
        )

    async def resolve(self, id: FailedMessageId, now: datetime) -> None:
        await self.session.execute(
            sa.update(tables.failed_messages)
            .where(_failed.id == id, _failed.resolved_at.is_(None))
            .values(resolved_at=now, payload={}, next_attempt_at=None)
        )

    async def _select(self, query: sa.Select[*tuple[object, ...]]) -> list[FailedMessage]:
        result = await self.session.execute(query)
        return [FailedMessage(**row) for row in result.mappings()]
