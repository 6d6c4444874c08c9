"""Reads and writes the table `unmatched_messages`, which has no content of messages (D63)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from application.ports.storage import UnmatchedRepository
from domain.connection import Address, Channel
from domain.unmatched import UnmatchedTraffic
from infrastructure.postgres import tables
from infrastructure.postgres.batches import BatchParameter
from infrastructure.postgres.session import PostgresSession

_unmatched = tables.unmatched_messages.c

LIST_UNMATCHED = sa.select(
    _unmatched.channel,
    _unmatched.external_id,
    _unmatched.count,
    _unmatched.first_at,
    _unmatched.last_at,
).order_by(_unmatched.last_at.desc())
_counts = BatchParameter("counts", [_unmatched.channel, _unmatched.external_id, _unmatched.count])
_new = insert(tables.unmatched_messages).from_select(
    ["channel", "external_id", "count", "first_at", "last_at"],
    sa.select(*_counts.c, sa.bindparam("now", type_=_unmatched.first_at.type), sa.bindparam("now")),
)
ADD_COUNTS = _new.on_conflict_do_update(
    index_elements=["channel", "external_id"],
    set_={
        "count": _unmatched.count + _new.excluded.count,
        "last_at": sa.func.greatest(_unmatched.last_at, _new.excluded.last_at),
    },
)


@dataclass(frozen=True, slots=True)
class PostgresUnmatchedRepository(UnmatchedRepository):
    """Table `unmatched_messages`."""

    session: PostgresSession

    async def add_counts(self, messages: Mapping[Address, int], now: datetime) -> None:
        if messages:
            rows = [(*address, messages[address]) for address in sorted(messages)]
            await self.session.execute(ADD_COUNTS, {**_counts.bind(rows), "now": now})

    async def list_all(self) -> list[UnmatchedTraffic]:
        return [
            UnmatchedTraffic(
                address=Address(Channel(channel), external_id),
                count=count,
                first_at=first_at,
                last_at=last_at,
            )
            for channel, external_id, count, first_at, last_at in await self.session.execute(
                LIST_UNMATCHED
            )
        ]
