"""Writes the table `event_log`."""

from collections.abc import Collection
from dataclasses import dataclass

from application.ports.storage import EventLog
from domain.event import Event
from infrastructure.postgres import tables
from infrastructure.postgres.batches import build_batch_insert, list_columns
from infrastructure.postgres.session import BatchWrite, PostgresSession

APPEND_EVENTS = BatchWrite.build(
    "new_events", build_batch_insert("new_events", list_columns(tables.event_log, Event))
)


@dataclass(frozen=True, slots=True)
class PostgresEventLog(EventLog):
    """Table `event_log`."""

    session: PostgresSession

    async def append(self, events: Collection[Event]) -> None:
        self.session.defer_write(APPEND_EVENTS, events)
