"""Writes the table `event_log`."""

from collections.abc import Collection
from dataclasses import dataclass

from application.ports.storage import EventLog
from domain.event import Event
from infrastructure.postgres import tables
from infrastructure.postgres.batches import columns_of, insert_rows
from infrastructure.postgres.session import BatchWrite, PostgresSession

EVENT = columns_of(tables.event_log, Event)

APPEND_EVENTS = BatchWrite.of("new_events", insert_rows("new_events", EVENT))


@dataclass(frozen=True, slots=True)
class PostgresEventLog(EventLog):
    """Table `event_log`."""

    db: PostgresSession

    async def append(self, events: Collection[Event]) -> None:
        self.db.defer_write(APPEND_EVENTS, events)
