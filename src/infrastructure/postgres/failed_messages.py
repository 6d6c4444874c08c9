"""Reads and writes the table `failed_messages`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from application.ports.storage import FailedMessageRepository
from domain.failed_message import FailedMessage, FailedMessageId
from domain.organization import OrgId
from infrastructure.postgres import tables
from infrastructure.postgres.batches import columns_of, insert_rows, recordset
from infrastructure.postgres.session import PostgresSession, wait_for_standbys

FAILED_MESSAGE = columns_of(tables.failed_messages, FailedMessage)

NEW = [column for column in FAILED_MESSAGE if column.name != "created_at"]

ADD = insert_rows("new", NEW, ("id",)).on_conflict_do_nothing()

KEPT = (
    sa.select(*FAILED_MESSAGE)
    .where(tables.failed_messages.c.resolved_at.is_(None))
    .order_by(tables.failed_messages.c.id)
)

_due = (
    sa.select(tables.failed_messages.c.id)
    .where(
        tables.failed_messages.c.resolved_at.is_(None),
        tables.failed_messages.c.next_attempt_at <= sa.bindparam("now"),
    )
    .order_by(tables.failed_messages.c.next_attempt_at)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)

CLAIM = (
    sa.update(tables.failed_messages)
    .where(tables.failed_messages.c.id.in_(_due))
    .values(next_attempt_at=sa.bindparam("until"))
    .returning(*FAILED_MESSAGE)
)


@dataclass(frozen=True, slots=True)
class PostgresFailedMessageRepository(FailedMessageRepository):
    """Table `failed_messages`."""

    db: PostgresSession

    async def add(self, failures: Collection[FailedMessage]) -> None:
        if failures:
            await self.db.execute(ADD, {"new": recordset(failures)})
            await wait_for_standbys(self.db)  # some may be kept already

    async def list_for_organization(self, org_id: OrgId | None) -> list[FailedMessage]:
        theirs = KEPT if org_id is None else KEPT.where(tables.failed_messages.c.org_id == org_id)
        return [FailedMessage(**row) for row in (await self.db.execute(theirs)).mappings()]

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[FailedMessage]:
        claimed = await self.db.execute(CLAIM, {"now": now, "until": until, "limit": limit})
        found = [FailedMessage(**row) for row in claimed.mappings()]
        return sorted(found, key=lambda failure: failure.id)

    async def update(self, failure: FailedMessage) -> None:
        await self.db.execute(
            sa.update(tables.failed_messages)
            .where(tables.failed_messages.c.id == failure.id)
            .values(
                error=failure.error,
                attempts=failure.attempts,
                next_attempt_at=failure.next_attempt_at,
            )
        )

    async def resolve(self, id: FailedMessageId, now: datetime) -> None:
        await self.db.execute(
            sa.update(tables.failed_messages)
            .where(tables.failed_messages.c.id == id)
            .values(resolved_at=now, payload={}, next_attempt_at=None)
        )
