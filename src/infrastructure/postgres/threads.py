"""Writes the table `conversation_threads`. The ingest snapshot reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from application.ports.storage import ThreadRepository
from domain.message import Thread, ThreadId
from infrastructure.postgres import tables
from infrastructure.postgres.batches import BatchParameter, build_batch_insert, list_columns
from infrastructure.postgres.session import BatchWrite, PostgresSession

_threads = tables.conversation_threads.c

ADD_THREADS = BatchWrite.build(
    "new_threads",
    build_batch_insert(
        "new_threads",
        list_columns(tables.conversation_threads, Thread),
        ("org_id", "external_id", "id"),
    ).on_conflict_do_nothing(),
)

# The inner select locks the rows in key order (D3).
# greatest() sees what was committed since the read.
_advanced = BatchParameter(
    "advanced_threads",
    [_threads.org_id, _threads.id, _threads.last_message_at, _threads.connection_id],
)
_locked = (
    sa.select(_threads.org_id, _threads.id, _advanced.c.last_message_at, _advanced.c.connection_id)
    .where(_threads.org_id == _advanced.c.org_id, _threads.id == _advanced.c.id)
    .order_by(_threads.org_id, _threads.id)
    .with_for_update(of=tables.conversation_threads, key_share=True)
    .cte("locked")
)
ADVANCE_THREADS = BatchWrite.build(
    "advanced_threads",
    sa.update(tables.conversation_threads)
    .where(_threads.org_id == _locked.c.org_id, _threads.id == _locked.c.id)
    .values(
        last_message_at=sa.func.greatest(_threads.last_message_at, _locked.c.last_message_at),
        connection_id=sa.func.coalesce(_threads.connection_id, _locked.c.connection_id),
    ),
    must_write_all=False,
)


@dataclass(frozen=True, slots=True)
class PostgresThreadRepository(ThreadRepository):
    """Table `conversation_threads`."""

    session: PostgresSession

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        self.session.defer_write(ADD_THREADS, threads.values())

    async def advance(self, threads: Mapping[ThreadId, Thread]) -> None:
        self.session.defer_write(ADVANCE_THREADS, threads.values())
