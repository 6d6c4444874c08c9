"""Writes the table `event_log`."""

from collections.abc import Collection
from dataclasses import dataclass

from application.ports.storage import EventLog
from domain.event import Event
from infrastructure.postgres import tables
from infrastructure.postgres.batches import columns_of, insert_rows
from infrastructure.postgres.session import UnitOfWork, Write

EVENT = columns_of(tables.event_log, Event)

APPEND_EVENTS = Write.of("new_events", insert_rows("new_events", EVENT))


@dataclass(frozen=True, slots=True)
class PostgresEventLog(EventLog):
    """Table `event_log`."""

    db: UnitOfWork

    async def append(self, events: Collection[Event]) -> None:
        self.db.note(APPEND_EVENTS, events)
