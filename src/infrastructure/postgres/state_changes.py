"""Reads and writes the table `state_changes`, and takes the advisory lock of ingestion."""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from operator import attrgetter

import sqlalchemy as sa

from application.ports.storage import ChangeRepository
from domain.change import ChangeKind, ChangeRecord, ChangeTarget
from domain.connection import Channel
from domain.message import MessageKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    PRIMARY_KEY,
    BatchParameter,
    build_batch_insert,
    encode_entities,
    list_columns,
)
from infrastructure.postgres.messages import make_message_keys
from infrastructure.postgres.session import (
    PostgresSession,
    RawStatement,
    make_commit_wait_for_standbys,
)

_changes = tables.state_changes.c

# Transactions that store messages take this lock shared, and one that stores a pending change takes
# it exclusively: a message and its change would not see each other (D11). Any number serves that
# no other program locks in this database.
INGEST_LOCK_ID = 0x1EAD_9047
LOCK_INGEST_SHARED = RawStatement(f"SELECT pg_advisory_xact_lock_shared({INGEST_LOCK_ID})")
LOCK_INGEST_EXCLUSIVELY = sa.text(f"SELECT pg_advisory_xact_lock({INGEST_LOCK_ID})")

CHANGE_COLUMNS = list_columns(tables.state_changes, ChangeRecord)
CHANGE_KEY_COLUMNS = [_changes.org_id, _changes.channel, _changes.external_id]

_keys = BatchParameter("keys", CHANGE_KEY_COLUMNS)
FIND_STORED_KEYS = sa.select(*CHANGE_KEY_COLUMNS).where(
    *(column == _keys.c[column.name] for column in CHANGE_KEY_COLUMNS)
)

_targets = BatchParameter("targets", [_changes.org_id, _changes.channel, _changes.subject])
_target_name = _targets.c.subject.label("target_name")
_of_target = sa.select(*CHANGE_COLUMNS, _target_name).where(
    *(_changes[column.name] == column for column in _targets.c)
)
_echo_is_target = sa.select(*CHANGE_COLUMNS, _target_name).where(
    _changes.org_id == _targets.c.org_id,
    _changes.channel == _targets.c.channel,
    _changes.external_id == _targets.c.subject,
    _changes.kind == sa.literal_column(f"'{ChangeKind.ECHO}'"),
)
FIND_PENDING = _of_target.where(_changes.is_waiting)
LIST_FOR_TARGETS = sa.union_all(_of_target, _echo_is_target)

NEW_CHANGES = "new_changes"
ADD_CHANGES = (
    build_batch_insert(NEW_CHANGES, CHANGE_COLUMNS, MessageKey._fields)
    .on_conflict_do_nothing()
    .returning(*CHANGE_KEY_COLUMNS)
)
_updated = BatchParameter(
    "updated", [_changes.org_id, _changes.id, _changes.content, _changes.is_waiting]
)
UPDATE_CHANGES = (
    sa.update(tables.state_changes)
    .where(_changes.org_id == _updated.c.org_id, _changes.id == _updated.c.id)
    .values(content=_updated.c.content, is_waiting=_updated.c.is_waiting)
)


@dataclass(frozen=True, slots=True)
class PostgresChangeRepository(ChangeRepository):
    """Table `state_changes`."""

    session: PostgresSession

    async def find_stored_keys(self, keys: Set[MessageKey]) -> set[MessageKey]:
        result = await self.session.execute(FIND_STORED_KEYS, _keys.bind(keys))
        stored = make_message_keys(result)
        if stored:
            await make_commit_wait_for_standbys(self.session)
        return stored

    async def find_pending(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        if not targets:
            return {}
        # Two statements: one would read what was stored before it got the lock.
        await self.session.run_pipelined(LOCK_INGEST_SHARED)
        return await self._select(FIND_PENDING, targets)

    async def lock_ingest_exclusively(self) -> None:
        await self.session.execute(LOCK_INGEST_EXCLUSIVELY)

    async def list_for_targets(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        return await self._select(LIST_FOR_TARGETS, targets) if targets else {}

    async def add(self, changes: Mapping[MessageKey, ChangeRecord]) -> set[MessageKey]:
        if not changes:
            return set()
        new = {NEW_CHANGES: encode_entities(changes.values())}
        return make_message_keys(await self.session.execute(ADD_CHANGES, new))

    async def update(self, changes: Collection[ChangeRecord]) -> None:
        if changes:
            in_order = sorted(changes, key=attrgetter(*PRIMARY_KEY))
            await self.session.execute(UPDATE_CHANGES, _updated.bind_entities(in_order))

    async def _select(
        self, query: sa.Executable, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        names = [column.name for column in CHANGE_COLUMNS]
        grouped: dict[ChangeTarget, list[ChangeRecord]] = {}
        for *row, target_name in await self.session.execute(query, _targets.bind(targets)):
            values = dict(zip(names, row, strict=True))
            kind, channel = ChangeKind(values["kind"]), Channel(values["channel"])
            change = ChangeRecord(**{**values, "kind": kind, "channel": channel})
            target = ChangeTarget(change.org_id, change.channel, target_name)
            grouped.setdefault(target, []).append(change)
        return grouped
