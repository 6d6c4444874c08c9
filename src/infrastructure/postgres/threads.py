"""Reads and writes the table `conversation_threads`."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

import sqlalchemy as sa

from application.ports.storage import ThreadRepository
from domain.connection import Channel
from domain.contact import (
    ContactKey,
)
from domain.message import Thread, ThreadId, ThreadKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    columns_of,
    insert_rows,
    json_rows,
    key_rows,
)
from infrastructure.postgres.session import BatchWrite, PostgresSession

THREAD = columns_of(tables.conversation_threads, Thread)

ADD_THREADS = BatchWrite.of(
    "new_threads",
    insert_rows("new_threads", THREAD, ("org_id", "external_id", "id")).on_conflict_do_nothing(),
)

_named = json_rows(
    "named", [tables.conversation_threads.c.org_id, tables.conversation_threads.c.external_id]
)

_theirs = json_rows(
    "theirs", [tables.conversation_threads.c.org_id, tables.conversation_threads.c.contact_id]
)

FIND_THREADS = sa.union(
    sa.select(*THREAD).where(
        tables.conversation_threads.c.org_id == _named.c.org_id,
        tables.conversation_threads.c.external_id == _named.c.external_id,
    ),
    sa.select(*THREAD).where(
        tables.conversation_threads.c.org_id == _theirs.c.org_id,
        tables.conversation_threads.c.contact_id == _theirs.c.contact_id,
    ),
)

# The inner select locks in key order; greatest() sees what was committed meanwhile.
_moved = json_rows(
    "moved",
    [
        tables.conversation_threads.c.org_id,
        tables.conversation_threads.c.id,
        tables.conversation_threads.c.last_message_at,
        tables.conversation_threads.c.connection_id,
    ],
)

_locked = (
    sa.select(
        tables.conversation_threads.c.org_id,
        tables.conversation_threads.c.id,
        _moved.c.last_message_at,
        _moved.c.connection_id,
    )
    .where(
        tables.conversation_threads.c.org_id == _moved.c.org_id,
        tables.conversation_threads.c.id == _moved.c.id,
    )
    .order_by(tables.conversation_threads.c.org_id, tables.conversation_threads.c.id)
    .with_for_update(of=tables.conversation_threads, key_share=True)
    .cte("locked")
)

MOVE_THREADS = BatchWrite.of(
    "moved",
    sa.update(tables.conversation_threads)
    .where(
        tables.conversation_threads.c.org_id == _locked.c.org_id,
        tables.conversation_threads.c.id == _locked.c.id,
    )
    .values(
        last_message_at=sa.func.greatest(
            tables.conversation_threads.c.last_message_at, _locked.c.last_message_at
        ),
        connection_id=sa.func.coalesce(
            tables.conversation_threads.c.connection_id, _locked.c.connection_id
        ),
    ),
    is_all=False,
)


@dataclass(frozen=True, slots=True)
class PostgresThreadRepository(ThreadRepository):
    """Table `conversation_threads`."""

    db: PostgresSession

    async def find(self, names: Set[ThreadKey], contacts: Set[ContactKey]) -> list[Thread]:
        named = key_rows(names, ["org_id", "external_id"])
        theirs = key_rows(contacts, ContactKey._fields)
        found = await self.db.execute(FIND_THREADS, {"named": named, "theirs": theirs})
        return [Thread(**{**row, "channel": Channel(row["channel"])}) for row in found.mappings()]

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        self.db.defer_write(ADD_THREADS, threads.values())

    async def advance(self, threads: Mapping[ThreadId, Thread]) -> None:
        self.db.defer_write(MOVE_THREADS, threads.values())
