"""Everything the application asks of the outside: one page, no imports from it.

Batches are mappings by key, so a batch cannot hold one key twice. Empty batches are welcome.
Adapters lock in key order, so that two batches cannot wait for each other.
"""

from collections.abc import Collection, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.connection import Address, Connection, ConnectionId
from domain.contact import Contact, ContactId, ContactIdentity, ContactKey, IdentityKey
from domain.deal import Deal, DealId, Description, Insight
from domain.event import Event
from domain.inbound import FailedMessage
from domain.leads import Lead
from domain.message import Message, MessageKey, Thread, ThreadId, ThreadName
from domain.organization import Member, Organization, OrgId, User


class OrganizationRepository(Protocol):
    async def add(self, organization: Organization) -> None: ...

    async def get(self, org_id: OrgId) -> Organization | None: ...

    async def all(self) -> list[Organization]:
        """Every organisation, oldest first. Names need not differ."""
        ...

    async def put_member(self, member: Member) -> None:
        """Make the person a member, or give the member this role."""
        ...

    async def members(self, org_id: OrgId) -> list[Member]: ...


class UserRepository(Protocol):
    async def by_email(self, email: str) -> User | None:
        """The person with that address, however it is capitalised."""
        ...

    async def add(self, user: User) -> None: ...


class ConnectionRepository(Protocol):
    async def enabled(self, addresses: Set[Address]) -> dict[Address, Connection]:
        """The enabled connections among `addresses`; at most one organisation has each."""
        ...

    async def get(self, org_id: OrgId, address: Address) -> Connection | None: ...

    async def put(self, connection: Connection) -> Connection:
        """Write it by organisation and address, and return it as stored.

        One that was there keeps its id. Raises NumberConnectedElsewhere where it is enabled in
        another organisation and would be in this one.
        """
        ...

    async def of(self, org_id: OrgId) -> list[Connection]:
        """The organisation's connections, oldest first."""
        ...

    async def remove(self, org_id: OrgId, id: ConnectionId) -> bool:
        """Delete it, but none of its conversations. False where there is none."""
        ...


class ContactRepository(Protocol):
    async def owners(self, identities: Set[IdentityKey]) -> dict[IdentityKey, ContactId]:
        """Whose each identity is.

        A phone that is nobody's identity belongs to the contact with that number, with or
        without a `+`: contacts also come from elsewhere in the CRM.
        """
        ...

    async def add(
        self,
        contacts: Mapping[ContactId, Contact],
        identities: Mapping[IdentityKey, ContactIdentity],
    ) -> None:
        """Add new contacts, and identities of new or known ones.

        Raises Contended where somebody has one of them by now.
        """
        ...


class ThreadRepository(Protocol):
    async def find(self, names: Set[ThreadName], contacts: Set[ContactKey]) -> list[Thread]:
        """The threads that have one of the names or belong to one of the contacts."""
        ...

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        """Start new threads. Raises Contended where somebody has started one by now."""
        ...

    async def move(self, threads: Mapping[ThreadId, Thread]) -> None:
        """Write each `last_message_at` that is later than the stored one."""
        ...


class MessageRepository(Protocol):
    async def known(self, keys: Set[MessageKey]) -> set[MessageKey]: ...

    async def add(self, messages: Mapping[MessageKey, Message]) -> set[MessageKey]:
        """Keep those never seen before, and return their keys."""
        ...


class DealRepository(Protocol):
    async def open(self, contacts: Set[ContactKey]) -> dict[ContactKey, DealId]:
        """The open deal of each contact that has one."""
        ...

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        """Open new deals. Raises Contended where somebody has opened one by now."""
        ...


class InsightRepository(Protocol):
    async def put(self, insights: Mapping[DealId, Insight]) -> None:
        """Write each deal's insight, unless the stored one has a higher rank."""
        ...


class EventLog(Protocol):
    async def append(self, events: Collection[Event]) -> None: ...


class FailedMessageRepository(Protocol):
    async def add(self, failures: Collection[FailedMessage]) -> None: ...

    async def of(self, org_id: OrgId | None) -> list[FailedMessage]:
        """What is kept for the organisation, or for none that is known; oldest first."""
        ...


class LeadReader(Protocol):
    async def latest(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        """The newest `limit` leads, of one organisation or of all, newest last."""
        ...


@dataclass(frozen=True, slots=True)
class Repositories:
    """What one transaction works on."""

    organizations: OrganizationRepository
    users: UserRepository
    connections: ConnectionRepository
    contacts: ContactRepository
    threads: ThreadRepository
    messages: MessageRepository
    deals: DealRepository
    insights: InsightRepository
    events: EventLog
    failed_messages: FailedMessageRepository
    leads: LeadReader


class Transactions(Protocol):
    """The unit of work."""

    def begin(self) -> AbstractAsyncContextManager[Repositories]:
        """Keep all that happens in the block if it ends well, and nothing if not.

        Raises StorageUnavailable within 5 s where the storage does not answer, Contended
        where another transaction was first, and StorageRefused where it will not take the data.
        """
        ...

    async def ready(self) -> None:
        """Return if the storage answers and has today's schema; else raise StorageUnavailable."""
        ...


class InsightProvider(Protocol):
    """Something that reads messages and says what they mean for the sale."""

    @property
    def name(self) -> str: ...

    async def describe(self, texts: Sequence[str]) -> Sequence[Description]:
        """Describe each text, in the same order. It may fail in any way."""
        ...


class PasswordHasher(Protocol):
    def hash(self, password: str) -> str:
        """A salted hash that is slow to guess."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, with its zone."""
        ...
