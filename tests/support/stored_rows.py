"""The rest of the CRM: it reads and changes the rows that Leadport writes, whatever the storage."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import sqlalchemy as sa

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.change import ChangeRecord
from domain.contact import Contact, ContactIdentity, ContactKey
from domain.deal import Deal, DealStatus
from domain.event import Event
from domain.insight import Insight
from domain.message import Message, Thread
from infrastructure.memory import MemoryTransactions
from infrastructure.postgres import tables as t
from infrastructure.postgres.transactions import PostgresTransactions

T = TypeVar("T")


class StoredRows(ABC):
    """Entities as they are stored, by id; the enumerations in them may be plain strings."""

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
    async def win_all_deals(self) -> None: ...
    @abstractmethod
    async def rename(self, contact: str, deal: str) -> None:
        """Call all contacts and all deals so."""

    async def contact_keys(self) -> set[ContactKey]:
        return {ContactKey(contact.org_id, contact.id) for contact in await self.contacts()}


@dataclass
class MemoryStoredRows(StoredRows):
    transactions: MemoryTransactions

    async def contacts(self) -> Sequence[Contact]:
        return sorted(self.transactions.committed.contacts.values(), key=_id)

    async def identities(self) -> Sequence[ContactIdentity]:
        return sorted(self.transactions.committed.identities.values(), key=_id)

    async def threads(self) -> Sequence[Thread]:
        return sorted(self.transactions.committed.threads.values(), key=_id)

    async def messages(self) -> Sequence[Message]:
        return sorted(self.transactions.committed.messages.values(), key=_id)

    async def changes(self) -> Sequence[ChangeRecord]:
        return sorted(self.transactions.committed.changes.values(), key=_id)

    async def deals(self) -> Sequence[Deal]:
        return sorted(self.transactions.committed.deals.values(), key=_id)

    async def insights(self) -> Sequence[Insight]:
        return sorted(self.transactions.committed.insights.values(), key=_id)

    async def events(self) -> Sequence[Event]:
        return [event for _, event in self.transactions.committed.events]

    async def win_all_deals(self) -> None:
        deals = self.transactions.committed.deals
        deals |= {deal.id: replace(deal, status=DealStatus.WON) for deal in deals.values()}

    async def rename(self, contact: str, deal: str) -> None:
        kept = self.transactions.committed
        kept.contacts |= {id_: replace(c, name=contact) for id_, c in kept.contacts.items()}
        kept.deals |= {id_: replace(d, title=deal) for id_, d in kept.deals.items()}


@dataclass
class PostgresStoredRows(StoredRows):
    transactions: PostgresTransactions

    async def contacts(self) -> Sequence[Contact]:
        return await self._all(t.contacts, Contact)

    async def identities(self) -> Sequence[ContactIdentity]:
        return await self._all(t.contact_identities, ContactIdentity)

    async def threads(self) -> Sequence[Thread]:
        return await self._all(t.conversation_threads, Thread)

    async def messages(self) -> Sequence[Message]:
        return await self._all(t.conversation_messages, Message)

    async def changes(self) -> Sequence[ChangeRecord]:
        return await self._all(t.state_changes, ChangeRecord)

    async def deals(self) -> Sequence[Deal]:
        return await self._all(t.deals, Deal)

    async def insights(self) -> Sequence[Insight]:
        return await self._all(t.deal_insights, Insight)

    async def events(self) -> Sequence[Event]:
        return await self._all(t.event_log, Event)

    async def win_all_deals(self) -> None:
        async with self.transactions.pools[Operator].begin() as db:
            await db.execute(sa.update(t.deals).values(status=DealStatus.WON))

    async def rename(self, contact: str, deal: str) -> None:
        async with self.transactions.pools[Operator].begin() as db:
            await db.execute(sa.update(t.contacts).values(name=contact))
            await db.execute(sa.update(t.deals).values(title=deal))

    async def _all(self, table: sa.Table, entity: type[T]) -> list[T]:
        names = [field.name for field in fields(entity)]  # type: ignore[arg-type]
        query = sa.select(*(table.c[name] for name in names)).order_by(table.c.id)
        async with self.transactions.pools[Operator].begin() as db:
            return [entity(**row) for row in (await db.execute(query)).mappings()]


def open_stored_rows(transactions: Transactions) -> StoredRows:
    if isinstance(transactions, MemoryTransactions):
        return MemoryStoredRows(transactions)
    assert isinstance(transactions, PostgresTransactions)
    return PostgresStoredRows(transactions)


def _id(entity: Any) -> Any:
    return entity.id
