"""Reads and writes the table `state_changes`, and takes the lock on ingestion."""

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from operator import attrgetter

import sqlalchemy as sa

from application.ports.storage import ChangeRepository
from domain.change import ChangeKind, ChangeRecord, ChangeTarget
from domain.connection import Channel
from domain.message import MessageKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    KEY,
    columns_of,
    insert_rows,
    json_rows,
    key_rows,
    recordset,
)
from infrastructure.postgres.messages import message_keys
from infrastructure.postgres.session import PostgresSession, Statement, wait_for_standbys

# Any number, but a different one from those of whatever else uses the database. A message and a
# change of it do not see each other before their transactions end; whoever stores messages holds
# the lock with others, whoever lets a change wait holds it alone.
LOCK = 0x1EAD_9047
SHARE = Statement(f"SELECT pg_advisory_xact_lock_shared({LOCK})")
ALONE = sa.text(f"SELECT pg_advisory_xact_lock({LOCK})")

CHANGE = columns_of(tables.state_changes, ChangeRecord)
FIELDS = [column.name for column in CHANGE]
CHANGE_KEY = [
    tables.state_changes.c.org_id,
    tables.state_changes.c.channel,
    tables.state_changes.c.external_id,
]
_asked = json_rows("asked", CHANGE_KEY)
KNOWN = sa.select(*CHANGE_KEY).where(*(column == _asked.c[column.name] for column in CHANGE_KEY))
_subject = json_rows(
    "asked",
    [tables.state_changes.c.org_id, tables.state_changes.c.channel, tables.state_changes.c.subject],
)
_asked_for = _subject.c.subject.label("asked_for")
_ABOUT = sa.select(*CHANGE, _asked_for).where(
    *(tables.state_changes.c[column.name] == column for column in _subject.c)
)
WAITING = _ABOUT.where(tables.state_changes.c.is_waiting)
ABOUT = sa.union_all(
    _ABOUT,
    sa.select(*CHANGE, _asked_for).where(
        tables.state_changes.c.org_id == _subject.c.org_id,
        tables.state_changes.c.channel == _subject.c.channel,
        tables.state_changes.c.external_id == _subject.c.subject,
        tables.state_changes.c.kind == sa.literal_column(f"'{ChangeKind.ECHO}'"),
    ),
)
ADD = insert_rows("new", CHANGE, MessageKey._fields).on_conflict_do_nothing().returning(*CHANGE_KEY)
_new = json_rows(
    "new",
    [
        tables.state_changes.c.org_id,
        tables.state_changes.c.id,
        tables.state_changes.c.content,
        tables.state_changes.c.is_waiting,
    ],
)
UPDATE = (
    sa.update(tables.state_changes)
    .where(tables.state_changes.c.org_id == _new.c.org_id, tables.state_changes.c.id == _new.c.id)
    .values(content=_new.c.content, is_waiting=_new.c.is_waiting)
)


@dataclass(frozen=True, slots=True)
class PostgresChangeRepository(ChangeRepository):
    """Table `state_changes`."""

    db: PostgresSession

    async def find_stored_keys(self, wanted: Set[MessageKey]) -> set[MessageKey]:
        asked = key_rows(wanted, MessageKey._fields)
        found = message_keys(await self.db.execute(KNOWN, {"asked": asked}))
        if found:
            await wait_for_standbys(self.db)
        return found

    async def find_pending(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        if not targets:
            return {}
        # Not in one statement: it would read what was there before it got the lock.
        await self.db.run_pipelined(SHARE)
        return await self._found(WAITING, targets)

    async def lock_ingest_exclusively(self) -> None:
        await self.db.execute(ALONE)

    async def list_for_targets(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        return await self._found(ABOUT, targets) if targets else {}

    async def add(self, changes: Mapping[MessageKey, ChangeRecord]) -> set[MessageKey]:
        if not changes:
            return set()
        return message_keys(await self.db.execute(ADD, {"new": recordset(changes.values())}))

    async def update(self, changes: Collection[ChangeRecord]) -> None:
        if changes:
            in_order = sorted(changes, key=attrgetter(*KEY))
            await self.db.execute(UPDATE, {"new": recordset(in_order)})

    async def _found(
        self, query: sa.Executable, targets: Iterable[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        asked = key_rows(targets, ["org_id", "channel", "subject"])
        found: dict[ChangeTarget, list[ChangeRecord]] = {}
        for *row, asked_for in await self.db.execute(query, {"asked": asked}):
            given = dict(zip(FIELDS, row, strict=True))
            kind, channel = ChangeKind(given["kind"]), Channel(given["channel"])
            change = ChangeRecord(**{**given, "kind": kind, "channel": channel})
            subject = ChangeTarget(change.org_id, change.channel, asked_for)
            found.setdefault(subject, []).append(change)
        return found
