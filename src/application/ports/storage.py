"""The storage ports: repositories over one transaction, and the transactions themselves."""

from collections.abc import Collection, Mapping, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.change import ChangeRecord, ChangeTarget
from domain.connection import Address, Connection, ConnectionActivity, ConnectionId
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactKey,
    IdentityKey,
    IdentityMatch,
)
from domain.deal import Deal, DealId
from domain.event import Event
from domain.failed_message import FailedMessage, FailedMessageId
from domain.inbound import InboundMessage
from domain.insight import Description, Insight
from domain.lead import Lead
from domain.message import Message, MessageKey, Thread, ThreadId, ThreadKey
from domain.organization import Member, Membership, Organization, OrgId, User, UserId
from domain.planning.message_plan import IngestSnapshot
from domain.unmatched import UnmatchedTraffic


class OrganizationRepository(Protocol):
    async def add(self, organization: Organization) -> None: ...

    async def get(self, org_id: OrgId) -> Organization | None: ...

    async def list_all(self) -> list[Organization]:
        """Every organisation, oldest first. Names need not differ."""
        ...

    async def list_for_user(self, user_id: UserId) -> list[Membership]:
        """The organisations the person is in, oldest first."""
        ...

    async def upsert_member(self, member: Member) -> None:
        """Make the person a member, or give the member this role."""
        ...

    async def list_members(self, org_id: OrgId) -> list[Member]: ...


class UserRepository(Protocol):
    async def find_by_email(self, email: str) -> User | None:
        """The person with that address, however it is capitalised."""
        ...

    async def add(self, user: User) -> None:
        """Raises Contended where somebody has the address by now."""
        ...

    async def change_password(self, user_id: UserId, password_hash: str) -> None: ...


class ConnectionRepository(Protocol):
    async def find_enabled(self, addresses: Set[Address]) -> dict[Address, Connection]:
        """The enabled connections among `addresses`; at most one organisation has each."""
        ...

    async def get_for_update(self, org_id: OrgId, address: Address) -> Connection | None:
        """The connection, which nobody else changes until the transaction ends."""
        ...

    async def find_by_id(self, id: ConnectionId) -> Connection | None: ...

    async def add(self, connection: Connection) -> Connection:
        """Write a new one, and return it as stored.

        Raises NumberConnectedElsewhere where it is enabled and another organisation has the
        number enabled, Contended where this organisation has the number by now.
        """
        ...

    async def update(self, connection: Connection) -> Connection:
        """Write name, token and state, and return it as stored.

        Raises NumberConnectedElsewhere as above, Contended where it was removed meanwhile.
        """
        ...

    async def list_for_organization(self, org_id: OrgId) -> list[Connection]:
        """The organisation's connections, oldest first."""
        ...

    async def read_activity(
        self, org_id: OrgId, since: datetime
    ) -> dict[ConnectionId, ConnectionActivity]:
        """What arrived over each connection that anything arrived over; counted from `since`."""
        ...

    async def list_not_encrypted_with(self, prefix: str, limit: int) -> list[Connection]:
        """Up to `limit` connections whose sealed token does not begin with `prefix`.

        Nobody else changes them until the transaction ends.
        """
        ...

    async def remove(self, id: ConnectionId) -> bool:
        """Delete it, but none of its conversations. False where there is none."""
        ...


class IngestSnapshotReader(Protocol):
    async def read(self, messages: Collection[InboundMessage]) -> IngestSnapshot:
        """All that is known of the messages, before anything is written.

        Until the transaction ends nobody adds a change that waits, so a message that is stored
        now cannot miss one.
        """
        ...


class ContactRepository(Protocol):
    async def match_identities(
        self, identities: Set[IdentityKey]
    ) -> dict[IdentityKey, IdentityMatch]:
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

    async def compare_and_swap(self, contacts: Mapping[ContactId, tuple[Contact, Contact]]) -> None:
        """Write the second of each two; raises Contended where the first is no longer stored."""
        ...


class ThreadRepository(Protocol):
    async def find(self, names: Set[ThreadKey], contacts: Set[ContactKey]) -> list[Thread]:
        """The threads that have one of the names or belong to one of the contacts."""
        ...

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        """Start new threads. Raises Contended where somebody has started one by now."""
        ...

    async def advance(self, threads: Mapping[ThreadId, Thread]) -> None:
        """Write each `last_message_at` that is later than the stored one.

        A thread that has lost its connection gets the new one. Raises Contended where another
        thread of the contact has it by now.
        """
        ...


class MessageRepository(Protocol):
    async def add(self, messages: Mapping[MessageKey, Message]) -> None:
        """Keep new ones. Raises Contended where one is stored by now."""
        ...

    async def get_for_update(self, keys: Set[MessageKey]) -> dict[MessageKey, Message]:
        """Those stored, which nobody else changes until the transaction ends."""
        ...

    async def update(self, messages: Mapping[MessageKey, Message]) -> None:
        """Write body and content of locked messages."""
        ...


class ChangeRepository(Protocol):
    """What happened to messages and people; kept for ever, and looked up by what it is about."""

    async def find_stored_keys(self, keys: Set[MessageKey]) -> set[MessageKey]: ...

    async def find_pending(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        """Those that came before their subject.

        Until the transaction ends nobody adds one that waits, so a message that is stored now
        cannot miss one. Ask before anything is written.
        """
        ...

    async def lock_ingest_exclusively(self) -> None:
        """Wait until no other transaction stores messages or adds changes that wait.

        Who adds one that waits must call this before reading what it is about.
        """
        ...

    async def list_for_targets(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        """All changes of these messages, whether they wait or not, and themselves as echoes."""
        ...

    async def add(self, changes: Mapping[MessageKey, ChangeRecord]) -> set[MessageKey]:
        """Keep those never seen before, and return their keys."""
        ...

    async def update(self, changes: Collection[ChangeRecord]) -> None:
        """Write content, and whether they wait."""
        ...


class DealRepository(Protocol):
    async def list_with_first_message_in(self, messages: Collection[Message]) -> list[Deal]:
        """The deals, open or not, whose first message is one of these."""
        ...

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        """Open new deals. Raises Contended where somebody has opened one by now."""
        ...

    async def compare_and_swap(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        """Write the second of each two; raises Contended where the first is no longer stored."""
        ...


class InsightRepository(Protocol):
    async def upsert(self, insights: Mapping[DealId, Insight]) -> None:
        """Write each deal's insight, unless the stored one has a higher rank."""
        ...

    async def replace_descriptions(self, messages: Mapping[MessageKey, Description]) -> None:
        """Write what is now said of these messages, where an insight is about one of them."""
        ...


class EventLog(Protocol):
    async def append(self, events: Collection[Event]) -> None: ...


class FailedMessageRepository(Protocol):
    """What is kept until it is resolved."""

    async def add(self, failures: Collection[FailedMessage]) -> None:
        """Keep those that are not kept yet, by organisation and digest."""
        ...

    async def list_for_organization(self, org_id: OrgId | None) -> list[FailedMessage]:
        """What is kept for the organisation, or for all; oldest first."""
        ...

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[FailedMessage]:
        """Up to `limit` whose time has come; nobody else gets them before `until`."""
        ...

    async def update(self, failure: FailedMessage) -> None:
        """Write error, attempts and next attempt."""
        ...

    async def resolve(self, id: FailedMessageId, now: datetime) -> None:
        """Keep it no longer: its payload is forgotten."""
        ...


class UnmatchedRepository(Protocol):
    """What came for nobody: a trace without content."""

    async def add_counts(self, messages: Mapping[Address, int], now: datetime) -> None: ...

    async def list_all(self) -> list[UnmatchedTraffic]:
        """The latest first."""
        ...


class SessionRepository(Protocol):
    """Sessions that were ended before their time."""

    async def end(self, id: UUID, expires_at: datetime) -> None: ...

    async def is_ended(self, id: UUID) -> bool: ...


class LeadReader(Protocol):
    async def list_latest(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        """The newest `limit` leads, of one organisation or of all, newest last."""
        ...


@dataclass(frozen=True, slots=True)
class Repositories:
    """What one transaction works on."""

    organizations: OrganizationRepository
    users: UserRepository
    connections: ConnectionRepository
    snapshots: IngestSnapshotReader
    contacts: ContactRepository
    threads: ThreadRepository
    messages: MessageRepository
    changes: ChangeRepository
    deals: DealRepository
    insights: InsightRepository
    events: EventLog
    failed_messages: FailedMessageRepository
    unmatched: UnmatchedRepository
    sessions: SessionRepository
    leads: LeadReader


class Transactions(Protocol):
    """The unit of work."""

    def begin(self, person: UserId | None = None) -> AbstractAsyncContextManager[Repositories]:
        """Keep all that happens in the block if it ends well, and nothing if not.

        With a person it sees and does what that person may, at most; without one it acts as the
        webhook writer, or as the operator in an operator's command.

        Raises StorageUnavailable within 5 s where the storage does not answer, Contended
        where another transaction was first, and StorageRefused where it will not take the data.
        """
        ...

    async def check_ready(self) -> None:
        """Return if the storage answers and has today's schema; else raise StorageUnavailable."""
        ...
