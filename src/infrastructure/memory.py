"""The in-memory storage (`STORAGE=memory`): every table is a dictionary (D17).

Entities are frozen, so copying the dictionaries copies everything: a transaction works on a copy,
which replaces the original when the block ends. Transactions run one at a time.
"""

from asyncio import Lock
from collections.abc import AsyncIterator, Collection, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Self
from uuid import UUID

from application.errors import ConcurrentUpdate
from application.ports.storage import (
    SWAPPED_CONTACT_FIELDS,
    SWAPPED_DEAL_FIELDS,
    ChangeRepository,
    ConnectionRepository,
    ContactRepository,
    DealRepository,
    EventLog,
    FailedMessageRepository,
    IngestSnapshotReader,
    InsightRepository,
    LeadReader,
    MessageRepository,
    OrganizationRepository,
    Repositories,
    SessionRepository,
    ThreadRepository,
    Transactions,
    UnmatchedRepository,
    UserRepository,
)
from domain.access_token import EncryptedToken
from domain.actor import Actor
from domain.change import ChangeKind, ChangeRecord, ChangeTarget
from domain.connection import Address, Connection, ConnectionActivity, ConnectionId
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactKey,
    IdentityKey,
    IdentityKind,
    IdentityMatch,
)
from domain.deal import Deal, DealId, DealStatus, OpenDeal
from domain.errors import NumberConnectedElsewhere
from domain.event import LEAD_CAPTURED, Event
from domain.failed_message import FailedMessage, FailedMessageId
from domain.insight import Description, Insight
from domain.lead import Lead
from domain.message import Direction, Message, MessageKey, Thread, ThreadId
from domain.organization import Member, Membership, Organization, OrgId, User, UserId
from domain.planning.snapshot import IngestSnapshot, SnapshotRequest
from domain.unmatched import UnmatchedTraffic


@dataclass(slots=True)
class MemoryTables:
    """The tables, by the key that the port's batches have."""

    organizations: dict[OrgId, Organization] = field(default_factory=dict)
    users: dict[UserId, User] = field(default_factory=dict)
    members: dict[tuple[OrgId, UserId], Member] = field(default_factory=dict)
    ended_sessions: dict[UUID, datetime] = field(default_factory=dict)
    connections: dict[ConnectionId, Connection] = field(default_factory=dict)
    contacts: dict[ContactId, Contact] = field(default_factory=dict)
    identities: dict[IdentityKey, ContactIdentity] = field(default_factory=dict)
    threads: dict[ThreadId, Thread] = field(default_factory=dict)
    messages: dict[MessageKey, Message] = field(default_factory=dict)
    changes: dict[MessageKey, ChangeRecord] = field(default_factory=dict)
    deals: dict[DealId, Deal] = field(default_factory=dict)
    insights: dict[DealId, Insight] = field(default_factory=dict)
    events: list[tuple[datetime, Event]] = field(default_factory=list)
    failed_messages: dict[FailedMessageId, FailedMessage] = field(default_factory=dict)
    unmatched: dict[Address, UnmatchedTraffic] = field(default_factory=dict)

    def draft(self) -> Self:
        """Return a copy for a transaction to work on."""
        return replace(self, **{f.name: copy(getattr(self, f.name)) for f in fields(self)})


class MemoryTransactions(Transactions):
    """Transactions over dictionaries; nothing outlives the process.

    Authorization is enforced by the use cases only: there is no row-level security here.
    """

    def __init__(self) -> None:
        self.committed = MemoryTables()
        self._one_at_a_time = Lock()

    @asynccontextmanager
    async def begin(self, actor: Actor) -> AsyncIterator[Repositories]:  # noqa: ARG002 - see the class
        async with self._one_at_a_time:
            tables = self.committed.draft()
            yield Repositories(
                organizations=MemoryOrganizationRepository(tables),
                users=MemoryUserRepository(tables),
                connections=MemoryConnectionRepository(tables),
                snapshots=MemoryIngestSnapshotReader(tables),
                contacts=MemoryContactRepository(tables),
                threads=MemoryThreadRepository(tables),
                messages=MemoryMessageRepository(tables),
                changes=MemoryChangeRepository(tables),
                deals=MemoryDealRepository(tables),
                insights=MemoryInsightRepository(tables),
                events=MemoryEventLog(tables),
                failed_messages=MemoryFailedMessageRepository(tables),
                unmatched=MemoryUnmatchedRepository(tables),
                sessions=MemorySessionRepository(tables),
                leads=MemoryLeadReader(tables),
            )
            self.committed = tables  # not reached when the block raised

    async def check_ready(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class MemoryOrganizationRepository(OrganizationRepository):
    tables: MemoryTables

    async def add(self, organization: Organization) -> None:
        if organization.id in self.tables.organizations:
            raise ConcurrentUpdate
        self.tables.organizations[organization.id] = organization

    async def get(self, org_id: OrgId) -> Organization | None:
        return self.tables.organizations.get(org_id)

    async def list_all(self) -> list[Organization]:
        return _sort_by_id(self.tables.organizations.values())

    async def list_for_user(self, user_id: UserId) -> list[Membership]:
        members = _sort_by_id(m for m in self.tables.members.values() if m.user_id == user_id)
        organizations = self.tables.organizations
        return [Membership(organization=organizations[m.org_id], role=m.role) for m in members]

    async def upsert_member(self, member: Member) -> None:
        key = (member.org_id, member.user_id)
        stored = self.tables.members.get(key, member)
        self.tables.members[key] = replace(stored, role=member.role)


@dataclass(frozen=True, slots=True)
class MemoryUserRepository(UserRepository):
    tables: MemoryTables

    async def find_by_email(self, email: str) -> User | None:
        same = (u for u in self.tables.users.values() if u.email.lower() == email.lower())
        return next(same, None)

    async def add(self, user: User) -> None:
        if await self.find_by_email(user.email):
            raise ConcurrentUpdate
        self.tables.users[user.id] = user

    async def change_password(self, user_id: UserId, password_hash: str) -> None:
        if user := self.tables.users.get(user_id):
            self.tables.users[user_id] = replace(user, password_hash=password_hash)


@dataclass(frozen=True, slots=True)
class MemorySessionRepository(SessionRepository):
    tables: MemoryTables

    async def end(self, id: UUID, expires_at: datetime) -> None:
        self.tables.ended_sessions.setdefault(id, expires_at)

    async def is_ended(self, id: UUID) -> bool:
        return id in self.tables.ended_sessions


@dataclass(frozen=True, slots=True)
class MemoryConnectionRepository(ConnectionRepository):
    tables: MemoryTables

    async def get_for_update(self, org_id: OrgId, address: Address) -> Connection | None:
        connections = await self.list_for_organization(org_id)
        return next((c for c in connections if c.address == address), None)

    async def find_by_id(self, id: ConnectionId) -> Connection | None:
        return self.tables.connections.get(id)

    async def add(self, connection: Connection) -> Connection:
        if await self.get_for_update(connection.org_id, connection.address):
            raise ConcurrentUpdate
        return self._write(replace(connection, created_at=_now()))

    async def update(self, connection: Connection) -> Connection:
        stored = self.tables.connections.get(connection.id)
        if stored is None:
            raise ConcurrentUpdate
        return self._write(
            replace(
                stored,
                display_name=connection.display_name,
                access_token=connection.access_token,
                is_enabled=connection.is_enabled,
            )
        )

    def _write(self, connection: Connection) -> Connection:
        if connection.is_enabled and any(
            other.is_enabled
            and other.address == connection.address
            and other.org_id != connection.org_id
            for other in self.tables.connections.values()
        ):
            raise NumberConnectedElsewhere
        written = replace(connection, updated_at=_now())
        self.tables.connections[connection.id] = written
        return written

    async def list_for_organization(self, org_id: OrgId) -> list[Connection]:
        return _sort_by_id(c for c in self.tables.connections.values() if c.org_id == org_id)

    async def read_activity(
        self, org_id: OrgId, since: datetime, only: ConnectionId | None = None
    ) -> dict[ConnectionId, ConnectionActivity]:
        activity: dict[ConnectionId, ConnectionActivity] = {}
        for thread in self.tables.threads.values():
            if (
                thread.org_id == org_id
                and thread.connection_id
                and only in (None, thread.connection_id)
            ):
                recent = sum(
                    m.thread_id == thread.id
                    and m.direction is Direction.INBOUND
                    and m.sent_at >= since
                    for m in self.tables.messages.values()
                )
                seen = activity.get(thread.connection_id, ConnectionActivity())
                times = [t for t in (seen.last_message_at, thread.last_message_at) if t]
                activity[thread.connection_id] = ConnectionActivity(
                    last_message_at=max(times, default=None),
                    messages_last_day=seen.messages_last_day + recent,
                )
        return activity

    async def list_not_encrypted_with(self, key_id: str, limit: int) -> list[Connection]:
        prefix = EncryptedToken.make_prefix(key_id)
        return _sort_by_id(
            c
            for c in self.tables.connections.values()
            if c.access_token and not c.access_token.startswith(prefix)
        )[:limit]

    async def remove(self, id: ConnectionId) -> bool:
        if self.tables.connections.pop(id, None) is None:
            return False
        for thread in self.tables.threads.values():
            if thread.connection_id == id:
                self.tables.threads[thread.id] = replace(thread, connection_id=None)
        return True


@dataclass(frozen=True, slots=True)
class MemoryIngestSnapshotReader(IngestSnapshotReader):
    tables: MemoryTables

    async def read(self, request: SnapshotRequest) -> IngestSnapshot:
        connections = self._find_connections(request.addresses)
        messages = [
            (connections[m.address], m) for m in request.messages if m.address in connections
        ]
        people = [
            (connections[address], identity)
            for address, identity in request.participants
            if address in connections
        ]
        keys = {MessageKey(c.org_id, c.channel, m.external_id) for c, m in messages}
        targets = {ChangeTarget(*key) for key in keys} | {
            ChangeTarget.for_person(c.org_id, c.channel, identity) for c, identity in people
        }
        matches = self._match_identities({IdentityKey(c.org_id, *i) for c, i in people})
        contacts = {ContactKey(key.org_id, match.contact.id) for key, match in matches.items()}
        names = {(c.org_id, m.thread_external_id) for c, m in messages if m.thread_external_id}
        threads = [
            thread
            for thread in self.tables.threads.values()
            if (thread.org_id, thread.external_id) in names
            or (thread.org_id, thread.contact_id) in contacts
        ]
        contacts |= {ContactKey(thread.org_id, thread.contact_id) for thread in threads}
        return IngestSnapshot(
            connections=connections,
            stored_keys=keys & self.tables.messages.keys(),
            pending=await MemoryChangeRepository(self.tables).find_pending(targets),
            matches=matches,
            threads=threads,
            open_deals=self._find_open_deals(contacts),
        )

    def _find_connections(self, addresses: Set[Address]) -> dict[Address, Connection]:
        return {
            c.address: Connection(
                id=c.id, org_id=c.org_id, channel=c.channel, external_id=c.external_id
            )
            for c in self.tables.connections.values()
            if c.is_enabled and c.address in addresses
        }

    def _match_identities(self, identities: Set[IdentityKey]) -> dict[IdentityKey, IdentityMatch]:
        by_phone = {
            IdentityKey(c.org_id, IdentityKind.WHATSAPP_PHONE, c.phone.removeprefix("+")): c.id
            for c in self.tables.contacts.values()
            if c.phone
        }
        by_identity = {key: i.contact_id for key, i in self.tables.identities.items()}
        contact_ids = by_phone | by_identity
        matches: dict[IdentityKey, IdentityMatch] = {}
        for key in identities & contact_ids.keys():
            holder_id = by_phone.get(key)
            matches[key] = IdentityMatch(
                self.tables.contacts[contact_ids[key]],
                is_linked=key in by_identity,
                phone_holder_id=None if holder_id == contact_ids[key] else holder_id,
            )
        return matches

    def _find_open_deals(self, contacts: Set[ContactKey]) -> dict[ContactKey, OpenDeal]:
        messages = {message.id: message for message in self.tables.messages.values()}
        return {
            key: OpenDeal(deal, messages.get(deal.message_id) if deal.message_id else None)
            for deal in self.tables.deals.values()
            if deal.status is DealStatus.OPEN
            and (key := ContactKey(deal.org_id, deal.contact_id)) in contacts
        }


@dataclass(frozen=True, slots=True)
class MemoryContactRepository(ContactRepository):
    tables: MemoryTables

    async def add(
        self,
        contacts: Mapping[ContactId, Contact],
        identities: Mapping[IdentityKey, ContactIdentity],
    ) -> None:
        if identities.keys() & self.tables.identities.keys():
            raise ConcurrentUpdate
        self.tables.identities |= identities
        self.tables.contacts |= contacts
        self._require_unique_phones()

    async def compare_and_swap(self, contacts: Mapping[ContactId, tuple[Contact, Contact]]) -> None:
        _compare_and_swap(self.tables.contacts, contacts, SWAPPED_CONTACT_FIELDS)
        self._require_unique_phones()

    def _require_unique_phones(self) -> None:
        phones = [(c.org_id, c.phone) for c in self.tables.contacts.values() if c.phone]
        if len(set(phones)) < len(phones):
            raise ConcurrentUpdate


@dataclass(frozen=True, slots=True)
class MemoryThreadRepository(ThreadRepository):
    tables: MemoryTables

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        self.tables.threads |= threads
        self._require_unique_keys()

    async def advance(self, threads: Mapping[ThreadId, Thread]) -> None:
        for id_, thread in threads.items():
            if stored := self.tables.threads.get(id_):
                if thread.last_message_at:
                    stored = stored.with_last_message_at(thread.last_message_at)
                self.tables.threads[id_] = replace(
                    stored, connection_id=stored.connection_id or thread.connection_id
                )
        if threads:
            self._require_unique_keys()

    def _require_unique_keys(self) -> None:
        keys = [key for thread in self.tables.threads.values() for key in _list_unique_keys(thread)]
        if len(set(keys)) < len(keys):
            raise ConcurrentUpdate


def _list_unique_keys(thread: Thread) -> list[tuple[Any, ...]]:
    """List the keys that no two threads share: external id, and contact with connection."""
    keys: list[tuple[Any, ...]] = []
    if thread.external_id is not None:
        keys.append((thread.org_id, thread.external_id))
    if thread.connection_id is not None:
        keys.append((thread.org_id, thread.contact_id, thread.connection_id))
    return keys


@dataclass(frozen=True, slots=True)
class MemoryMessageRepository(MessageRepository):
    tables: MemoryTables

    async def add(self, messages: Mapping[MessageKey, Message]) -> None:
        if messages.keys() & self.tables.messages.keys():
            raise ConcurrentUpdate
        self.tables.messages |= messages

    async def get_for_update(self, keys: Set[MessageKey]) -> dict[MessageKey, Message]:
        return {key: self.tables.messages[key] for key in keys & self.tables.messages.keys()}

    async def update(self, messages: Mapping[MessageKey, Message]) -> None:
        for key, message in messages.items():
            if stored := self.tables.messages.get(key):
                self.tables.messages[key] = replace(
                    stored, body=message.body, content=message.content
                )


@dataclass(frozen=True, slots=True)
class MemoryChangeRepository(ChangeRepository):
    tables: MemoryTables

    async def find_stored_keys(self, keys: Set[MessageKey]) -> set[MessageKey]:
        return keys & self.tables.changes.keys()

    async def find_pending(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        found = await self.list_for_targets(targets)
        waiting = {
            subject: [c for c in changes if c.is_waiting and c.target == subject]
            for subject, changes in found.items()
        }
        return {subject: changes for subject, changes in waiting.items() if changes}

    async def lock_ingest_exclusively(self) -> None:
        return  # transactions run one at a time

    async def list_for_targets(
        self, targets: Set[ChangeTarget]
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        found: dict[ChangeTarget, list[ChangeRecord]] = {}
        for change in self.tables.changes.values():
            if change.target in targets:
                found.setdefault(change.target, []).append(change)
            if change.kind is ChangeKind.ECHO and ChangeTarget(*change.key) in targets:
                found.setdefault(ChangeTarget(*change.key), []).append(change)
        return found

    async def add(self, changes: Mapping[MessageKey, ChangeRecord]) -> set[MessageKey]:
        fresh = changes.keys() - self.tables.changes.keys()
        self.tables.changes |= {key: changes[key] for key in fresh}
        return fresh

    async def update(self, changes: Collection[ChangeRecord]) -> None:
        for change in changes:
            if stored := self.tables.changes.get(change.key):
                self.tables.changes[change.key] = replace(
                    stored, content=change.content, is_waiting=change.is_waiting
                )


@dataclass(frozen=True, slots=True)
class MemoryDealRepository(DealRepository):
    tables: MemoryTables

    async def list_with_first_message_in(self, messages: Collection[Message]) -> list[Deal]:
        ids = {message.id for message in messages}
        return [deal for deal in self.tables.deals.values() if deal.message_id in ids]

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        has_one = {
            (deal.org_id, deal.contact_id)
            for deal in self.tables.deals.values()
            if deal.status is DealStatus.OPEN
        }
        if any(contact in has_one for contact in deals):
            raise ConcurrentUpdate
        self.tables.deals |= {deal.id: deal for deal in deals.values()}

    async def compare_and_swap(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        _compare_and_swap(self.tables.deals, deals, SWAPPED_DEAL_FIELDS)


@dataclass(frozen=True, slots=True)
class MemoryInsightRepository(InsightRepository):
    tables: MemoryTables

    async def upsert(self, insights: Mapping[DealId, Insight]) -> None:
        for deal_id, insight in insights.items():
            stored = self.tables.insights.get(deal_id)
            if stored is None:
                self.tables.insights[deal_id] = insight
            elif stored.rank <= insight.rank:
                self.tables.insights[deal_id] = replace(insight, id=stored.id)

    async def replace_descriptions(self, messages: Mapping[MessageKey, Description]) -> None:
        for key in messages.keys() & self.tables.messages.keys():
            message, description = self.tables.messages[key], messages[key]
            contact_id = self.tables.threads[message.thread_id].contact_id
            for deal_id, insight in self.tables.insights.items():
                if (self.tables.deals[deal_id].contact_id, insight.message_external_id) == (
                    contact_id,
                    key.external_id,
                ):
                    self.tables.insights[deal_id] = replace(
                        insight,
                        summary=description.summary,
                        intent=description.intent,
                        score=description.score,
                        next_step=description.next_step,
                    )


@dataclass(frozen=True, slots=True)
class MemoryEventLog(EventLog):
    tables: MemoryTables

    async def append(self, events: Collection[Event]) -> None:
        self.tables.events += [(_now(), event) for event in events]


@dataclass(frozen=True, slots=True)
class MemoryFailedMessageRepository(FailedMessageRepository):
    tables: MemoryTables

    async def add(self, failures: Collection[FailedMessage]) -> None:
        stored = {(f.org_id, f.digest) for f in self.tables.failed_messages.values()}
        for failure in failures:
            key = (failure.org_id, failure.digest)
            if not failure.digest or key not in stored:
                stored.add(key)
                self.tables.failed_messages[failure.id] = replace(failure, created_at=_now())

    async def list_all(self) -> list[FailedMessage]:
        return _sort_by_id(self.tables.failed_messages.values())

    async def list_for_organization(self, org_id: OrgId) -> list[FailedMessage]:
        return [failure for failure in await self.list_all() if failure.org_id == org_id]

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[FailedMessage]:
        due = [f for f in self.tables.failed_messages.values() if f.next_attempt_at <= now]
        longest_due = sorted(due, key=attrgetter("next_attempt_at"))[:limit]
        claimed = [replace(failure, next_attempt_at=until) for failure in longest_due]
        self.tables.failed_messages |= {failure.id: failure for failure in claimed}
        return _sort_by_id(claimed)

    async def update(self, failure: FailedMessage) -> None:
        if stored := self.tables.failed_messages.get(failure.id):
            self.tables.failed_messages[failure.id] = replace(
                stored,
                error=failure.error,
                attempts=failure.attempts,
                next_attempt_at=failure.next_attempt_at,
            )

    async def resolve(self, id: FailedMessageId, now: datetime) -> None:  # noqa: ARG002 - gone
        self.tables.failed_messages.pop(id, None)


@dataclass(frozen=True, slots=True)
class MemoryUnmatchedRepository(UnmatchedRepository):
    tables: MemoryTables

    async def add_counts(self, messages: Mapping[Address, int], now: datetime) -> None:
        for address, count in messages.items():
            seen = self.tables.unmatched.get(address) or UnmatchedTraffic(
                address=address, count=0, first_at=now, last_at=now
            )
            self.tables.unmatched[address] = replace(
                seen, count=seen.count + count, last_at=max(seen.last_at, now)
            )

    async def list_all(self) -> list[UnmatchedTraffic]:
        traffic = self.tables.unmatched.values()
        return sorted(traffic, key=lambda each: each.last_at, reverse=True)


@dataclass(frozen=True, slots=True)
class MemoryLeadReader(LeadReader):
    tables: MemoryTables

    async def list_latest(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        leads = [
            (captured_at, event)
            for captured_at, event in self.tables.events
            if event.type == LEAD_CAPTURED and org_id in (None, event.org_id)
        ]
        messages = {str(message.id): message for message in self.tables.messages.values()}
        contacts = {str(id_): contact for id_, contact in self.tables.contacts.items()}
        deals = {str(id_): deal for id_, deal in self.tables.deals.items()}
        return [
            self._make_lead(
                captured_at,
                messages[event.payload["message_id"]],
                contacts[event.payload["contact_id"]],
                deals[event.payload["deal_id"]],
            )
            for captured_at, event in leads[-limit:]
        ]

    def _make_lead(
        self, captured_at: datetime, message: Message, contact: Contact, deal: Deal
    ) -> Lead:
        insight = self.tables.insights.get(deal.id)
        return Lead(
            captured_at=captured_at,
            org_id=message.org_id,
            organization=self.tables.organizations[message.org_id].name,
            channel=message.channel,
            external_id=message.external_id,
            contact=contact.name or contact.phone or "",
            body=message.body,
            deal=deal.title,
            deal_status=deal.status,
            intent=insight.intent if insight else None,
            score=insight.score if insight else None,
            next_step=insight.next_step if insight else None,
        )


def _sort_by_id(found: Any) -> list[Any]:
    return sorted(found, key=lambda entity: entity.id)


def _compare_and_swap(
    stored: dict[Any, Any], changes: Mapping[Any, tuple[Any, Any]], names: Sequence[str]
) -> None:
    """Write these fields of the second of each pair, if those of the first are still stored."""
    for key, (old, new) in changes.items():
        entity = stored.get(key)
        if entity is None or any(getattr(entity, n) != getattr(old, n) for n in names):
            raise ConcurrentUpdate
        stored[key] = replace(entity, **{name: getattr(new, name) for name in names})


def _now() -> datetime:
    return datetime.now(UTC)
