"""Reads and changes stored rows as the rest of the CRM does, over each storage adapter."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import sqlalchemy as sa

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.change import ChangeRecord
from domain.contact import Contact, ContactId, ContactIdentity
from domain.deal import Deal, DealStatus
from domain.event import LEAD_CAPTURED, Event
from domain.insight import Insight
from domain.message import Direction, Message, Thread
from infrastructure.memory import MemoryTransactions
from infrastructure.postgres import tables
from infrastructure.postgres.transactions import PostgresTransactions
from leadport.container import Container

T = TypeVar("T")


class StoredRows(ABC):
    """The stored entities of each table, in the order of their ids.

    Enumerations in them may be plain strings.
    """

    @abstractmethod
    async def contacts(self) -> Sequence[Contact]: ...
    @abstractmethod
    async def identities(self) -> Sequence[ContactIdentity]: ...
    @abstractmethod
    async def threads(self) -> Sequence[Thread]: ...
    @abstractmethod
    async def messages(self) -> Sequence[Message]: ...
    @abstractmethod
    async def changes(self) -> Sequence[ChangeRecord]: ...
    @abstractmethod
    async def deals(self) -> Sequence[Deal]: ...
    @abstractmethod
    async def insights(self) -> Sequence[Insight]: ...
    @abstractmethod
    async def events(self) -> Sequence[Event]: ...
    @abstractmethod
    async def ended_sessions(self) -> Mapping[UUID, datetime]:
        """Return the time of expiry of each ended session, by its id."""

    @abstractmethod
    async def win_all_deals(self) -> None: ...
    @abstractmethod
    async def rename(self, contact: str, deal: str) -> None:
        """Give all contacts one name and all deals one title, as a person could."""


@dataclass
class MemoryStoredRows(StoredRows):
    transactions: MemoryTransactions

    async def contacts(self) -> Sequence[Contact]:
        return sorted(self.transactions.committed.contacts.values(), key=attrgetter("id"))

    async def identities(self) -> Sequence[ContactIdentity]:
        return sorted(self.transactions.committed.identities.values(), key=attrgetter("id"))

    async def threads(self) -> Sequence[Thread]:
        return sorted(self.transactions.committed.threads.values(), key=attrgetter("id"))

    async def messages(self) -> Sequence[Message]:
        return sorted(self.transactions.committed.messages.values(), key=attrgetter("id"))

    async def changes(self) -> Sequence[ChangeRecord]:
        return sorted(self.transactions.committed.changes.values(), key=attrgetter("id"))

    async def deals(self) -> Sequence[Deal]:
        return sorted(self.transactions.committed.deals.values(), key=attrgetter("id"))

    async def insights(self) -> Sequence[Insight]:
        return sorted(self.transactions.committed.insights.values(), key=attrgetter("id"))

    async def events(self) -> Sequence[Event]:
        return [event for _, event in self.transactions.committed.events]

    async def ended_sessions(self) -> Mapping[UUID, datetime]:
        return self.transactions.committed.ended_sessions

    async def win_all_deals(self) -> None:
        deals = self.transactions.committed.deals
        deals |= {deal.id: replace(deal, status=DealStatus.WON) for deal in deals.values()}

    async def rename(self, contact: str, deal: str) -> None:
        committed = self.transactions.committed
        committed.contacts |= {
            id_: replace(c, name=contact) for id_, c in committed.contacts.items()
        }
        committed.deals |= {id_: replace(d, title=deal) for id_, d in committed.deals.items()}


@dataclass
class PostgresStoredRows(StoredRows):
    transactions: PostgresTransactions

    async def contacts(self) -> Sequence[Contact]:
        return await self._all(tables.contacts, Contact)

    async def identities(self) -> Sequence[ContactIdentity]:
        return await self._all(tables.contact_identities, ContactIdentity)

    async def threads(self) -> Sequence[Thread]:
        return await self._all(tables.conversation_threads, Thread)

    async def messages(self) -> Sequence[Message]:
        return await self._all(tables.conversation_messages, Message)

    async def changes(self) -> Sequence[ChangeRecord]:
        return await self._all(tables.state_changes, ChangeRecord)

    async def deals(self) -> Sequence[Deal]:
        return await self._all(tables.deals, Deal)

    async def insights(self) -> Sequence[Insight]:
        return await self._all(tables.deal_insights, Insight)

    async def events(self) -> Sequence[Event]:
        return await self._all(tables.event_log, Event)

    async def ended_sessions(self) -> Mapping[UUID, datetime]:
        query = sa.select(tables.ended_sessions.c.id, tables.ended_sessions.c.expires_at)
        async with self.transactions.pools[Operator].begin() as db:
            return {row.id: row.expires_at for row in await db.execute(query)}

    async def win_all_deals(self) -> None:
        async with self.transactions.pools[Operator].begin() as db:
            await db.execute(sa.update(tables.deals).values(status=DealStatus.WON))

    async def rename(self, contact: str, deal: str) -> None:
        async with self.transactions.pools[Operator].begin() as db:
            await db.execute(sa.update(tables.contacts).values(name=contact))
            await db.execute(sa.update(tables.deals).values(title=deal))

    async def _all(self, table: sa.Table, entity: type[T]) -> list[T]:
        names = [field.name for field in fields(entity)]  # type: ignore[arg-type]
        query = sa.select(*(table.c[name] for name in names)).order_by(table.c.id)
        async with self.transactions.pools[Operator].begin() as db:
            return [entity(**row) for row in (await db.execute(query)).mappings()]


def open_stored_rows(transactions: Transactions) -> StoredRows:
    """Return the rows behind the transactions, whichever adapter they are of."""
    if isinstance(transactions, MemoryTransactions):
        return MemoryStoredRows(transactions)
    assert isinstance(transactions, PostgresTransactions)
    return PostgresStoredRows(transactions)


def dump_rows(container: Container, table: str | None = None) -> str:
    """Return the rows of one table of the service, or of all its tables, as a text."""
    settings = container.settings()
    if settings.storage == "memory":
        committed = container.memory().committed
        return str(getattr(committed, table) if table else committed)
    names = [table] if table else [str(each) for each in tables.metadata.sorted_tables]
    with psycopg.connect(settings.database_url or "") as db:
        return str([db.execute(f"SELECT r::text FROM {name} AS r").fetchall() for name in names])


async def list_bodies(stored_rows: StoredRows) -> list[str]:
    """Return the texts of all messages, sorted."""
    return sorted(message.body for message in await stored_rows.messages())


async def get_only_contact(transactions: Transactions) -> Contact:
    """Return the one stored contact; fail where there is another number of them."""
    (contact,) = await open_stored_rows(transactions).contacts()
    return contact


async def get_only_thread(transactions: Transactions) -> Thread:
    """Return the one stored thread; fail where there is another number of them."""
    (thread,) = await open_stored_rows(transactions).threads()
    return thread


async def get_only_message(transactions: Transactions) -> Message:
    """Return the one stored message; fail where there is another number of them."""
    (message,) = await open_stored_rows(transactions).messages()
    return message


async def get_only_deal(transactions: Transactions) -> Deal:
    """Return the one stored deal; fail where there is another number of them."""
    (deal,) = await open_stored_rows(transactions).deals()
    return deal


async def get_only_insight(transactions: Transactions) -> Insight:
    """Return the one stored insight; fail where there is another number of them."""
    (insight,) = await open_stored_rows(transactions).insights()
    return insight


async def list_outbound_messages(transactions: Transactions) -> list[Message]:
    """Return the stored echoes."""
    messages = await open_stored_rows(transactions).messages()
    return [message for message in messages if message.direction == Direction.OUTBOUND]


async def list_change_events(transactions: Transactions, *types: str) -> list[Event]:
    """Return the events of these types; without types all but those of captured leads."""
    events = await open_stored_rows(transactions).events()
    return [e for e in events if e.type in types or (not types and e.type != LEAD_CAPTURED)]


async def read_identities(transactions: Transactions) -> set[tuple[ContactId, str, str]]:
    """Return contact, kind and value of each stored identity."""
    identities = await open_stored_rows(transactions).identities()
    return {(i.contact_id, str(i.kind), i.value) for i in identities}


async def read_all_tables(transactions: Transactions) -> dict[str, Any]:
    """Return the rows of all tables that ingestion writes, by the name of the table."""
    stored_rows = open_stored_rows(transactions)
    async with transactions.begin(Operator()) as repos:
        failed_messages = await repos.failed_messages.list_all()
    return {
        "contacts": await stored_rows.contacts(),
        "identities": await stored_rows.identities(),
        "threads": await stored_rows.threads(),
        "messages": await stored_rows.messages(),
        "changes": await stored_rows.changes(),
        "deals": await stored_rows.deals(),
        "insights": await stored_rows.insights(),
        "events": await stored_rows.events(),
        "failed": failed_messages,
    }


async def find_tables_with(transactions: Transactions, text: str) -> list[str]:
    """Return the names of the tables that hold the text anywhere in a row."""
    rows_of_tables = await read_all_tables(transactions)
    return [name for name, rows in rows_of_tables.items() if text in repr(rows)]
