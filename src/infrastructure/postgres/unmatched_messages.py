"""Reads and writes the table `unmatched_messages`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from application.ports.storage import UnmatchedRepository
from domain.connection import Address, Channel
from domain.unmatched import UnmatchedTraffic
from infrastructure.postgres import tables
from infrastructure.postgres.batches import json_rows, key_rows
from infrastructure.postgres.session import PostgresSession

UNMATCHED = [
    tables.unmatched_messages.c.channel,
    tables.unmatched_messages.c.external_id,
    tables.unmatched_messages.c.count,
    tables.unmatched_messages.c.first_at,
    tables.unmatched_messages.c.last_at,
]

_seen = json_rows(
    "seen",
    [
        tables.unmatched_messages.c.channel,
        tables.unmatched_messages.c.external_id,
        tables.unmatched_messages.c.count,
    ],
)

_count = sa.dialects.postgresql.insert(tables.unmatched_messages).from_select(
    ["channel", "external_id", "count", "first_at", "last_at"],
    sa.select(
        *_seen.c,
        sa.bindparam("now", type_=tables.unmatched_messages.c.first_at.type),
        sa.bindparam("now"),
    ),
)

COUNT = _count.on_conflict_do_update(
    index_elements=["channel", "external_id"],
    set_={
        "count": tables.unmatched_messages.c.count + _count.excluded.count,
        "last_at": sa.func.greatest(tables.unmatched_messages.c.last_at, _count.excluded.last_at),
    },
)


@dataclass(frozen=True, slots=True)
class PostgresUnmatchedRepository(UnmatchedRepository):
    """Table `unmatched_messages`."""

    db: PostgresSession

    async def add_counts(self, messages: Mapping[Address, int], now: datetime) -> None:
        if messages:
            seen = [(*address, messages[address]) for address in sorted(messages)]
            names = [column.name for column in _seen.c]
            await self.db.execute(COUNT, {"seen": key_rows(seen, names), "now": now})

    async def list_all(self) -> list[UnmatchedTraffic]:
        found = await self.db.execute(
            sa.select(*UNMATCHED).order_by(tables.unmatched_messages.c.last_at.desc())
        )
        return [
            UnmatchedTraffic(
                address=Address(Channel(channel), external_id),
                count=count,
                first_at=first_at,
                last_at=last_at,
            )
            for channel, external_id, count, first_at, last_at in found
        ]
