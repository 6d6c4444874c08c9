"""The storage ports: repositories over one transaction, and the transactions themselves.

These rules hold for every repository:

- Batches are mappings by key or sets, so a batch cannot hold one key twice. An empty batch is
  allowed and does nothing.
- A read returns the rows as they are in the transaction, including its own writes.
- A write may be deferred until the next read or the end of the transaction. The error that its
  docstring names is raised then, and the transaction is rolled back.
- Rows are locked and written in the order of their keys, so that two batches cannot deadlock.
"""

from collections.abc import Collection, Mapping, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.actor import Actor
from domain.change import ChangeRecord, ChangeTarget
from domain.connection import Address, Connection, ConnectionActivity, ConnectionId
from domain.contact import Contact, ContactId, ContactIdentity, ContactKey, IdentityKey
from domain.deal import Deal, DealId
from domain.event import Event
from domain.failed_message import FailedMessage, FailedMessageId
from domain.insight import Description, Insight
from domain.lead import Lead
from domain.message import Message, MessageKey, Thread, ThreadId
from domain.organization import Member, Membership, Organization, OrgId, User, UserId
from domain.planning.snapshot import IngestSnapshot, SnapshotRequest
from domain.unmatched import UnmatchedTraffic

SWAPPED_CONTACT_FIELDS = (
    "name",
    "phone",
    "profile_name",
    "profile_seen_at",
    "marketing_consent",
    "marketing_consent_at",
)
"""The fields of a contact that `ContactRepository.compare_and_swap` compares and writes."""

SWAPPED_DEAL_FIELDS = ("title", "message_id", "source")
"""The fields of a deal that `DealRepository.compare_and_swap` compares and writes."""


class OrganizationRepository(Protocol):
    """Stores organisations and their members."""

    async def add(self, organization: Organization) -> None:
        """Add an organisation. Raises ConcurrentUpdate where its id is stored."""
        ...

    async def get(self, org_id: OrgId) -> Organization | None:
        """Return the organisation, or None."""
        ...

    async def list_all(self) -> list[Organization]:
        """Return every organisation, oldest first. Several may have one name."""
        ...

    async def list_for_user(self, user_id: UserId) -> list[Membership]:
        """Return the memberships of the person, oldest first; an empty list for a stranger."""
        ...

    async def upsert_member(self, member: Member) -> None:
        """Add the member. If the user is a member already, change only the role."""
        ...


class UserRepository(Protocol):
    """Stores the people who sign in."""

    async def find_by_email(self, email: str) -> User | None:
        """Return the person with the address, in whatever case it is written, or None."""
        ...

    async def add(self, user: User) -> None:
        """Add a person. Raises ConcurrentUpdate where the address is stored."""
        ...

    async def change_password(self, user_id: UserId, password_hash: str) -> None:
        """Write the hash. An unknown person is ignored."""
        ...


class ConnectionRepository(Protocol):
    """Stores connections. A signed-in user sees and changes those of their organisations only."""

    async def get_for_update(self, org_id: OrgId, address: Address) -> Connection | None:
        """Return the organisation's connection for the address, or None.

        The row is locked until the transaction ends.
        """
        ...

    async def find_by_id(self, id: ConnectionId) -> Connection | None:
        """Return the connection, or None where it does not exist or the actor may not see it."""
        ...

    async def add(self, connection: Connection) -> Connection:
        """Add the connection, and return it as stored, with its times.

        Raises NumberConnectedElsewhere where it is enabled and the address is enabled in another
        organisation, and ConcurrentUpdate where this organisation has a connection for it.
        """
        ...

    async def update(self, connection: Connection) -> Connection:
        """Write display name, access token and state of the connection; return it as stored.

        Raises NumberConnectedElsewhere as `add` does, and ConcurrentUpdate where the connection
        was removed.
        """
        ...

    async def list_for_organization(self, org_id: OrgId) -> list[Connection]:
        """Return the connections of the organisation, oldest first."""
        ...

    async def read_activity(
        self, org_id: OrgId, since: datetime, only: ConnectionId | None = None
    ) -> dict[ConnectionId, ConnectionActivity]:
        """Return the activity of each connection with a thread, or of the one in `only`.

        The inbound messages since `since` are counted.
        """
        ...

    async def list_not_encrypted_with(self, key_id: str, limit: int) -> list[Connection]:
        """Return up to `limit` connections whose access token another key encrypted, by id.

        Connections without a token are left out. The rows are locked until the transaction ends.
        """
        ...

    async def remove(self, id: ConnectionId) -> bool:
        """Delete the connection and keep its threads. Returns False where there is none."""
        ...


class IngestSnapshotReader(Protocol):
    """Reads, in one step, every stored row that a delivery may touch.

    The lookup rules of ingestion are here and nowhere else (D12):

    - An address belongs to its enabled connection.
    - An identity belongs to the contact that has it as an identity row. A WhatsApp phone without
      such a row belongs to the contact whose `phone` equals it, with or without `+`: contacts also
      come from elsewhere in the CRM. `IdentityMatch.is_linked` is False then. Where the identity
      row's contact and the contact with that `phone` differ, `phone_holder_id` is the latter.
    - A thread is found by its external id, or by its contact.
    """

    async def read(self, request: SnapshotRequest) -> IngestSnapshot:
        """Return the snapshot. What is not stored is absent from it.

        The connections hold id, organisation, channel and external id only: the webhook writer
        may read neither names nor access tokens. The matches are keyed by identity, the open
        deals by contact; the threads are in no order. Call it before anything is written: it
        takes a shared lock until the transaction ends, so that no other transaction can add a
        pending change for a message or person of the request.
        """
        ...


class ContactRepository(Protocol):
    """Stores contacts and their identities."""

    async def add(
        self,
        contacts: Mapping[ContactId, Contact],
        identities: Mapping[IdentityKey, ContactIdentity],
    ) -> None:
        """Add new contacts, and new identities of new or stored contacts.

        Raises ConcurrentUpdate where an identity is stored, or a contact of the organisation has
        the phone of a new one, in the storage or in the batch.
        """
        ...

    async def compare_and_swap(self, contacts: Mapping[ContactId, tuple[Contact, Contact]]) -> None:
        """Replace each first contact by the second: the fields of SWAPPED_CONTACT_FIELDS.

        Raises ConcurrentUpdate where one of these fields no longer has the first one's value, or
        another contact of the organisation has the new phone.
        """
        ...


class ThreadRepository(Protocol):
    """Stores conversation threads."""

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        """Add new threads.

        Raises ConcurrentUpdate where the organisation has a thread with one of the external ids,
        or with the same contact and connection.
        """
        ...

    async def advance(self, threads: Mapping[ThreadId, Thread]) -> None:
        """Write `last_message_at` where it is later than the stored one.

        A thread without a connection gets the given one; another keeps its own. An unknown thread
        is ignored. Raises ConcurrentUpdate where another thread of the contact has the connection.
        """
        ...


class MessageRepository(Protocol):
    """Stores messages."""

    async def add(self, messages: Mapping[MessageKey, Message]) -> None:
        """Add new messages. Raises ConcurrentUpdate where one is stored."""
        ...

    async def get_for_update(self, keys: Set[MessageKey]) -> dict[MessageKey, Message]:
        """Return the stored ones by key, and lock them until the transaction ends."""
        ...

    async def update(self, messages: Mapping[MessageKey, Message]) -> None:
        """Write body and content of locked messages. An unknown message is ignored."""
        ...


class ChangeRepository(Protocol):
    """Stores changes, which are found by key or by target."""

    async def find_stored_keys(self, keys: Set[MessageKey]) -> set[MessageKey]:
        """Return those of the keys that are stored."""
        ...

    async def find_pending(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        """Return the changes that wait for these targets; a target without any is absent.

        It takes the same shared lock as `IngestSnapshotReader.read`.
        """
        ...

    async def lock_ingest_exclusively(self) -> None:
        """Wait until no other transaction stores messages or pending changes, and keep them out.

        A transaction must call this before it reads the targets of changes that it may store as
        pending. The lock is released when the transaction ends.
        """
        ...

    async def list_for_targets(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        """Return all changes of these messages, pending or not, and the messages' own echoes.

        A target without any is absent. The lists are in no order.
        """
        ...

    async def add(self, changes: Mapping[MessageKey, ChangeRecord]) -> set[MessageKey]:
        """Add the changes that are not stored, and return their keys."""
        ...

    async def update(self, changes: Collection[ChangeRecord]) -> None:
        """Write content, and whether they are pending. An unknown change is ignored."""
        ...


class DealRepository(Protocol):
    """Stores deals."""

    async def list_with_first_message_in(self, messages: Collection[Message]) -> list[Deal]:
        """Return the deals, open or closed, whose first message is one of these; in no order."""
        ...

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        """Open new deals. Raises ConcurrentUpdate where a contact has an open one."""
        ...

    async def compare_and_swap(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        """Replace each first deal by the second: the fields of SWAPPED_DEAL_FIELDS.

        Raises ConcurrentUpdate where one of these fields no longer has the first one's value. A
        status that changed is no conflict.
        """
        ...


class InsightRepository(Protocol):
    """Stores one insight for each deal."""

    async def upsert(self, insights: Mapping[DealId, Insight]) -> None:
        """Write the insight of each deal, unless the stored one has a higher rank.

        The stored id is kept.
        """
        ...

    async def replace_descriptions(self, messages: Mapping[MessageKey, Description]) -> None:
        """Write these descriptions where an insight describes one of the messages.

        An unknown message, or one that no insight describes, is ignored.
        """
        ...


class EventLog(Protocol):
    """The append-only log of events."""

    async def append(self, events: Collection[Event]) -> None:
        """Append the events, with the storage's own time."""
        ...


class FailedMessageRepository(Protocol):
    """Stores failed messages until they are resolved."""

    async def add(self, failures: Collection[FailedMessage]) -> None:
        """Add failures that are not stored yet.

        Organisation and digest identify an unresolved failure. An empty digest equals no other.
        """
        ...

    async def list_all(self) -> list[FailedMessage]:
        """Return all unresolved failures, oldest first."""
        ...

    async def list_for_organization(self, org_id: OrgId) -> list[FailedMessage]:
        """Return the unresolved failures of the organisation, oldest first."""
        ...

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[FailedMessage]:
        """Claim up to `limit` failures whose next attempt is due: those that are due longest.

        Their next attempt is moved to `until`, so that no other worker claims them before. They
        are returned with that time, oldest first.
        """
        ...

    async def update(self, failure: FailedMessage) -> None:
        """Write error, attempts and next attempt. A resolved or unknown failure is ignored."""
        ...

    async def resolve(self, id: FailedMessageId, now: datetime) -> None:
        """Mark the failure as resolved and delete its payload.

        A resolved failure is never returned again. A resolved or unknown one is ignored.
        """
        ...


class UnmatchedRepository(Protocol):
    """Counts messages for addresses without an enabled connection. No content is stored."""

    async def add_counts(self, messages: Mapping[Address, int], now: datetime) -> None:
        """Add the counts to the stored ones, and set the time of the last message to `now`."""
        ...

    async def list_all(self) -> list[UnmatchedTraffic]:
        """Return the traffic of every such address, the latest first."""
        ...


class SessionRepository(Protocol):
    """Remembers the sessions that were ended before their tokens expire."""

    async def end(self, id: UUID, expires_at: datetime) -> None:
        """End the session `Session.id`. Its row may be deleted once `expires_at` has passed.

        Ending it again changes nothing.
        """
        ...

    async def is_ended(self, id: UUID) -> bool:
        """Whether the session `Session.id` was ended; False for an unknown one."""
        ...


class LeadReader(Protocol):
    """Reads captured leads."""

    async def list_latest(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        """Return the newest `limit` leads, newest last; of all organisations where it is None."""
        ...


@dataclass(frozen=True, slots=True)
class Repositories:
    """The repositories of one transaction."""

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
    """Begins transactions (the unit of work)."""

    def begin(self, actor: Actor) -> AbstractAsyncContextManager[Repositories]:
        """Begin a transaction of the actor (D13), who sees and writes what the storage allows them.

        It is committed if the block ends, and rolled back if the block raises. Raises
        StorageUnavailable within 4 s where the storage does not answer, ConcurrentUpdate where
        another transaction was first, and StorageRefused where the storage rejects the data.
        """
        ...

    async def check_ready(self) -> None:
        """Return if the storage answers and has this version's schema.

        Raises StorageUnavailable where it does not answer, SchemaOutdated where the schema is
        another version's, and StorageRefused where the storage rejects the query.
        """
        ...
