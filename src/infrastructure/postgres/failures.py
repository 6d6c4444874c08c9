"""What is kept for another try, and what came for nobody."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from application.ports import FailedMessageRepository, UnmatchedRepository
from domain.connection import Address, Channel
from domain.inbound import FailedMessage, FailedMessageId, Unmatched
from domain.organization import OrgId
from infrastructure.postgres import tables as t
from infrastructure.postgres.batches import columns_of, insert_rows, keys, recordset, rows
from infrastructure.postgres.unit_of_work import UnitOfWork, wait_for_standbys

failed, unmatched = t.failed_messages.c, t.unmatched_messages.c

FAILED_MESSAGE = columns_of(t.failed_messages, FailedMessage)
NEW = [column for column in FAILED_MESSAGE if column.name != "created_at"]
ADD = insert_rows("new", NEW, ("id",)).on_conflict_do_nothing()
KEPT = sa.select(*FAILED_MESSAGE).where(failed.resolved_at.is_(None)).order_by(failed.id)
_due = (
    sa.select(failed.id)
    .where(failed.resolved_at.is_(None), failed.next_attempt_at <= sa.bindparam("now"))
    .order_by(failed.next_attempt_at)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
CLAIM = (
    sa.update(t.failed_messages)
    .where(failed.id.in_(_due))
    .values(next_attempt_at=sa.bindparam("until"))
    .returning(*FAILED_MESSAGE)
)


@dataclass(frozen=True, slots=True)
class PostgresFailedMessageRepository(FailedMessageRepository):
    """Table `failed_messages`."""

    db: UnitOfWork

    async def add(self, failures: Collection[FailedMessage]) -> None:
        if failures:
            await self.db.execute(ADD, {"new": recordset(failures)})
            await wait_for_standbys(self.db)  # some may be kept already

    async def of(self, org_id: OrgId | None) -> list[FailedMessage]:
        theirs = KEPT if org_id is None else KEPT.where(failed.org_id == org_id)
        return [FailedMessage(**row) for row in (await self.db.execute(theirs)).mappings()]

    async def claim(self, now: datetime, until: datetime, limit: int) -> list[FailedMessage]:
        claimed = await self.db.execute(CLAIM, {"now": now, "until": until, "limit": limit})
        found = [FailedMessage(**row) for row in claimed.mappings()]
        return sorted(found, key=lambda failure: failure.id)

    async def change(self, failure: FailedMessage) -> None:
        await self.db.execute(
            sa.update(t.failed_messages)
            .where(failed.id == failure.id)
            .values(
                error=failure.error,
                attempts=failure.attempts,
                next_attempt_at=failure.next_attempt_at,
            )
        )

    async def resolve(self, id: FailedMessageId, now: datetime) -> None:
        await self.db.execute(
            sa.update(t.failed_messages)
            .where(failed.id == id)
            .values(resolved_at=now, payload={}, next_attempt_at=None)
        )


UNMATCHED = [
    unmatched.channel,
    unmatched.external_id,
    unmatched.count,
    unmatched.first_at,
    unmatched.last_at,
]
_seen = rows("seen", [unmatched.channel, unmatched.external_id, unmatched.count])
_count = sa.dialects.postgresql.insert(t.unmatched_messages).from_select(
    ["channel", "external_id", "count", "first_at", "last_at"],
    sa.select(*_seen.c, sa.bindparam("now", type_=unmatched.first_at.type), sa.bindparam("now")),
)
COUNT = _count.on_conflict_do_update(
    index_elements=["channel", "external_id"],
    set_={
        "count": unmatched.count + _count.excluded.count,
        "last_at": sa.func.greatest(unmatched.last_at, _count.excluded.last_at),
    },
)


@dataclass(frozen=True, slots=True)
class PostgresUnmatchedRepository(UnmatchedRepository):
    """Table `unmatched_messages`."""

    db: UnitOfWork

    async def count(self, messages: Mapping[Address, int], now: datetime) -> None:
        if messages:
            seen = [(*address, messages[address]) for address in sorted(messages)]
            names = [column.name for column in _seen.c]
            await self.db.execute(COUNT, {"seen": keys(seen, names), "now": now})

    async def all(self) -> list[Unmatched]:
        found = await self.db.execute(sa.select(*UNMATCHED).order_by(unmatched.last_at.desc()))
        return [
            Unmatched(
                address=Address(Channel(channel), external_id),
                count=count,
                first_at=first_at,
                last_at=last_at,
            )
            for channel, external_id, count, first_at, last_at in found
        ]
