"""Everything in dictionaries (`STORAGE=memory`): for trying things out, and for fast tests.

Entities are frozen, so copying the dictionaries copies everything: a transaction works on a copy,
which replaces the original if it ends well. Transactions run one at a time.
"""

from asyncio import Lock
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Set
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from application.errors import ConcurrentUpdate
from application.ports.storage import (
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
from domain.inbound import InboundMessage
from domain.insight import Description, Insight
from domain.lead import Lead
from domain.message import Direction, Message, MessageKey, Thread, ThreadId, ThreadKey
from domain.organization import Member, Membership, Organization, OrgId, User, UserId
from domain.planning.message_plan import IngestSnapshot, MessageBatch
from domain.unmatched import UnmatchedTraffic


@dataclass(slots=True)
class MemoryTables:
    """The tables."""

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
        """A copy to work on."""
        return replace(self, **{f.name: copy(getattr(self, f.name)) for f in fields(self)})


class MemoryTransactions(Transactions):
    """Transactions over dictionaries; nothing outlives the process.

    What a person may do is held by the use cases alone: there is no database to hold it too.
    """

    def __init__(self) -> None:
        self.committed = MemoryTables()
        self._one_at_a_time = Lock()

    @asynccontextmanager
    async def begin(
        self,
        person: UserId | None = None,  # noqa: ARG002 - see the class
    ) -> AsyncIterator[Repositories]:
        async with self._one_at_a_time:
            store = self.committed.draft()
            yield Repositories(
                organizations=MemoryOrganizationRepository(store),
                users=MemoryUserRepository(store),
                connections=MemoryConnectionRepository(store),
                snapshots=MemoryIngestSnapshotReader(store),
                contacts=MemoryContactRepository(store),
                threads=MemoryThreadRepository(store),
                messages=MemoryMessageRepository(store),
                changes=MemoryChangeRepository(store),
                deals=MemoryDealRepository(store),
                insights=MemoryInsightRepository(store),
                events=MemoryEventLog(store),
                failed_messages=MemoryFailedMessageRepository(store),
                unmatched=MemoryUnmatchedRepository(store),
                sessions=MemorySessionRepository(store),
                leads=MemoryLeadReader(store),
            )
            self.committed = store  # not reached when the block raised

    async def check_ready(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class MemoryOrganizationRepository(OrganizationRepository):
    store: MemoryTables

    async def add(self, organization: Organization) -> None:
        self.store.organizations[organization.id] = organization

    async def get(self, org_id: OrgId) -> Organization | None:
        return self.store.organizations.get(org_id)

    async def list_all(self) -> list[Organization]:
        return _sorted_by_id(self.store.organizations.values())

    async def list_for_user(self, user_id: UserId) -> list[Membership]:
        mine = _sorted_by_id(m for m in self.store.members.values() if m.user_id == user_id)
        organizations = self.store.organizations
        return [Membership(organization=organizations[m.org_id], role=m.role) for m in mine]

    async def upsert_member(self, member: Member) -> None:
        key = (member.org_id, member.user_id)
        stored = self.store.members.get(key, member)
        self.store.members[key] = replace(stored, role=member.role)

    async def list_members(self, org_id: OrgId) -> list[Member]:
        return _sorted_by_id(m for m in self.store.members.values() if m.org_id == org_id)


@dataclass(frozen=True, slots=True)
class MemoryUserRepository(UserRepository):
    store: MemoryTables

    async def find_by_email(self, email: str) -> User | None:
        same = (u for u in self.store.users.values() if u.email.lower() == email.lower())
        return next(same, None)

    async def add(self, user: User) -> None:
        if await self.find_by_email(user.email):
            raise ConcurrentUpdate
        self.store.users[user.id] = user

    async def change_password(self, user_id: UserId, password_hash: str) -> None:
        user = self.store.users[user_id]
        self.store.users[user_id] = replace(user, password_hash=password_hash)


@dataclass(frozen=True, slots=True)
class MemorySessionRepository(SessionRepository):
    store: MemoryTables

    async def end(self, id: UUID, expires_at: datetime) -> None:
        self.store.ended_sessions[id] = expires_at

    async def is_ended(self, id: UUID) -> bool:
        return id in self.store.ended_sessions


@dataclass(frozen=True, slots=True)
class MemoryConnectionRepository(ConnectionRepository):
    store: MemoryTables

    async def find_enabled(self, addresses: Set[Address]) -> dict[Address, Connection]:
        stored = self.store.connections.values()
        return {c.address: c for c in stored if c.is_enabled and c.address in addresses}

    async def get_for_update(self, org_id: OrgId, address: Address) -> Connection | None:
        return next(
            (c for c in await self.list_for_organization(org_id) if c.address == address), None
        )

    async def find_by_id(self, id: ConnectionId) -> Connection | None:
        return self.store.connections.get(id)

    async def add(self, connection: Connection) -> Connection:
        if await self.get_for_update(connection.org_id, connection.address):
            raise ConcurrentUpdate
        return await self._write(replace(connection, created_at=_now()))

    async def update(self, connection: Connection) -> Connection:
        stored = self.store.connections.get(connection.id)
        if stored is None:
            raise ConcurrentUpdate
        return await self._write(replace(connection, created_at=stored.created_at))

    async def _write(self, connection: Connection) -> Connection:
        owner = (await self.find_enabled({connection.address})).get(connection.address, connection)
        if connection.is_enabled and owner.org_id != connection.org_id:
            raise NumberConnectedElsewhere
        written = replace(connection, updated_at=_now())
        self.store.connections[connection.id] = written
        return written

    async def list_for_organization(self, org_id: OrgId) -> list[Connection]:
        return _sorted_by_id(c for c in self.store.connections.values() if c.org_id == org_id)

    async def read_activity(
        self, org_id: OrgId, since: datetime
    ) -> dict[ConnectionId, ConnectionActivity]:
        found: dict[ConnectionId, ConnectionActivity] = {}
        for thread in self.store.threads.values():
            if thread.org_id == org_id and thread.connection_id:
                recent = sum(
                    m.thread_id == thread.id
                    and m.direction is Direction.INBOUND
                    and m.sent_at >= since
                    for m in self.store.messages.values()
                )
                seen = found.get(thread.connection_id, ConnectionActivity())
                ends = [t for t in (seen.last_message_at, thread.last_message_at) if t]
                found[thread.connection_id] = ConnectionActivity(
                    last_message_at=max(ends, default=None),
                    messages_last_day=seen.messages_last_day + recent,
                )
        return found

    async def list_not_encrypted_with(self, prefix: str, limit: int) -> list[Connection]:
        return _sorted_by_id(
            c
            for c in self.store.connections.values()
            if c.access_token and not c.access_token.startswith(prefix)
        )[:limit]

    async def remove(self, id: ConnectionId) -> bool:
        if self.store.connections.pop(id, None) is None:
            return False
        for thread in self.store.threads.values():
            if thread.connection_id == id:
                self.store.threads[thread.id] = replace(thread, connection_id=None)
        return True


@dataclass(frozen=True, slots=True)
class MemoryIngestSnapshotReader(IngestSnapshotReader):
    store: MemoryTables

    async def read(self, messages: Collection[InboundMessage]) -> IngestSnapshot:
        addresses = {message.address for message in messages}
        connections = await MemoryConnectionRepository(self.store).find_enabled(addresses)
        batch = MessageBatch.of(messages, connections)
        owners = await MemoryContactRepository(self.store).match_identities(batch.identities)
        theirs = {ContactKey(key.org_id, owner.contact.id) for key, owner in owners.items()}
        found = await MemoryThreadRepository(self.store).find(batch.thread_keys, theirs)
        theirs |= {ContactKey(thread.org_id, thread.contact_id) for thread in found}
        return IngestSnapshot(
            connections=connections,
            known=batch.resolved.keys() & self.store.messages.keys(),
            waiting=await MemoryChangeRepository(self.store).find_pending(batch.targets),
            owners=owners,
            threads=found,
            deals=self._open_deals(theirs),
        )

    def _open_deals(self, contacts: Set[ContactKey]) -> dict[ContactKey, OpenDeal]:
        messages = {message.id: message for message in self.store.messages.values()}
        return {
            key: OpenDeal(deal, messages.get(deal.message_id) if deal.message_id else None)
            for deal in self.store.deals.values()
            if deal.status is DealStatus.OPEN
            and (key := ContactKey(deal.org_id, deal.contact_id)) in contacts
        }


@dataclass(frozen=True, slots=True)
class MemoryContactRepository(ContactRepository):
    store: MemoryTables

    async def match_identities(
        self, identities: Set[IdentityKey]
    ) -> dict[IdentityKey, IdentityMatch]:
        by_phone = {
            IdentityKey(c.org_id, IdentityKind.WHATSAPP_PHONE, c.phone.removeprefix("+")): c.id
            for c in self.store.contacts.values()
            if c.phone
        }
        by_identity = {key: i.contact_id for key, i in self.store.identities.items()}
        owners = by_phone | by_identity
        return {
            key: IdentityMatch(self.store.contacts[owners[key]], key in by_identity)
            for key in identities
            if key in owners
        }

    async def add(
        self,
        contacts: Mapping[ContactId, Contact],
        identities: Mapping[IdentityKey, ContactIdentity],
    ) -> None:
        taken = {(c.org_id, c.phone) for c in self.store.contacts.values() if c.phone}
        if identities.keys() & self.store.identities.keys() or any(
            (c.org_id, c.phone) in taken for c in contacts.values()
        ):
            raise ConcurrentUpdate
        self.store.identities |= identities
        self.store.contacts |= contacts

    async def compare_and_swap(self, contacts: Mapping[ContactId, tuple[Contact, Contact]]) -> None:
        _swap(self.store.contacts, contacts)
        phones = Counter((c.org_id, c.phone) for c in self.store.contacts.values() if c.phone)
        if any(count > 1 for count in phones.values()):
            raise ConcurrentUpdate


@dataclass(frozen=True, slots=True)
class MemoryThreadRepository(ThreadRepository):
    store: MemoryTables

    async def find(self, names: Set[ThreadKey], contacts: Set[ContactKey]) -> list[Thread]:
        return [
            thread
            for thread in self.store.threads.values()
            if (thread.org_id, thread.external_id) in names
            or (thread.org_id, thread.contact_id) in contacts
        ]

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        taken = {key for t in self.store.threads.values() for key in _thread_keys(t)}
        if any(key in taken for thread in threads.values() for key in _thread_keys(thread)):
            raise ConcurrentUpdate
        self.store.threads |= threads

    async def advance(self, threads: Mapping[ThreadId, Thread]) -> None:
        for id_, thread in threads.items():
            stored = self.store.threads.get(id_)
            if stored and thread.last_message_at:
                self.store.threads[id_] = replace(
                    stored.with_last_message_at(thread.last_message_at),
                    connection_id=stored.connection_id or thread.connection_id,
                )


def _thread_keys(thread: Thread) -> list[tuple[Any, ...]]:
    """What no two threads share: the name, and contact with connection, where they have them."""
    keys: list[tuple[Any, ...]] = []
    if thread.external_id is not None:
        keys.append((thread.org_id, thread.external_id))
    if thread.connection_id is not None:
        keys.append((thread.org_id, thread.contact_id, thread.connection_id))
    return keys


@dataclass(frozen=True, slots=True)
class MemoryMessageRepository(MessageRepository):
    store: MemoryTables

    async def add(self, messages: Mapping[MessageKey, Message]) -> None:
        if messages.keys() & self.store.messages.keys():
            raise ConcurrentUpdate
        self.store.messages |= messages

    async def get_for_update(self, keys: Set[MessageKey]) -> dict[MessageKey, Message]:
        return {key: self.store.messages[key] for key in keys & self.store.messages.keys()}

    async def update(self, messages: Mapping[MessageKey, Message]) -> None:
        self.store.messages |= messages


@dataclass(frozen=True, slots=True)
class MemoryChangeRepository(ChangeRepository):
    store: MemoryTables

    async def find_stored_keys(self, keys: Set[MessageKey]) -> set[MessageKey]:
        return keys & self.store.changes.keys()

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
        for change in self.store.changes.values():
            if change.target in targets:
                found.setdefault(change.target, []).append(change)
            if change.kind is ChangeKind.ECHO and ChangeTarget(*change.key) in targets:
                found.setdefault(ChangeTarget(*change.key), []).append(change)
        return found

    async def add(self, changes: Mapping[MessageKey, ChangeRecord]) -> set[MessageKey]:
        fresh = changes.keys() - self.store.changes.keys()
        self.store.changes |= {key: changes[key] for key in fresh}
        return fresh

    async def update(self, changes: Collection[ChangeRecord]) -> None:
        self.store.changes |= {change.key: change for change in changes}


@dataclass(frozen=True, slots=True)
class MemoryDealRepository(DealRepository):
    store: MemoryTables

    async def list_with_first_message_in(self, messages: Collection[Message]) -> list[Deal]:
        ids = {message.id for message in messages}
        return [deal for deal in self.store.deals.values() if deal.message_id in ids]

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        has_one = {
            (deal.org_id, deal.contact_id)
            for deal in self.store.deals.values()
            if deal.status is DealStatus.OPEN
        }
        if any(contact in has_one for contact in deals):
            raise ConcurrentUpdate
        self.store.deals |= {deal.id: deal for deal in deals.values()}

    async def compare_and_swap(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        _swap(self.store.deals, deals)


@dataclass(frozen=True, slots=True)
class MemoryInsightRepository(InsightRepository):
    store: MemoryTables

    async def upsert(self, insights: Mapping[DealId, Insight]) -> None:
        for deal_id, insight in insights.items():
            stored = self.store.insights.get(deal_id)
            if stored is None:
                self.store.insights[deal_id] = insight
            elif stored.rank <= insight.rank:
                self.store.insights[deal_id] = replace(insight, id=stored.id)

    async def replace_descriptions(self, messages: Mapping[MessageKey, Description]) -> None:
        for key, said in messages.items():
            message = self.store.messages[key]
            contact_id = self.store.threads[message.thread_id].contact_id
            for deal_id, insight in self.store.insights.items():
                if (self.store.deals[deal_id].contact_id, insight.message_external_id) == (
                    contact_id,
                    key.external_id,
                ):
                    self.store.insights[deal_id] = replace(
                        insight,
                        summary=said.summary,
                        intent=said.intent,
                        score=said.score,
                        next_step=said.next_step,
                    )


@dataclass(frozen=True, slots=True)
class MemoryEventLog(EventLog):
    store: MemoryTables

    async def append(self, events: Collection[Event]) -> None:
        self.store.events += [(_now(), event) for event in events]


@dataclass(frozen=True, slots=True)
class MemoryFailedMessageRepository(FailedMessageRepository):
    store: MemoryTables

    async def add(self, failures: Collection[FailedMessage]) -> None:
        kept = {(f.org_id, f.digest) for f in self.store.failed_messages.values()}
        for failure in failures:
            key = (failure.org_id, failure.digest)
            if not failure.digest or key not in kept:
                kept.add(key)
                self.store.failed_messages[failure.id] = replace(failure, created_at=_now())

    async def list_for_organization(self, org_id: OrgId | None) -> list[FailedMessage]:
        kept = self.store.failed_messages.values()
        return _sorted_by_id(f for f in kept if org_id in (None, f.org_id))

    async def claim_due(self, now: datetime, until: datetime, limit: int) -> list[FailedMessage]:
        kept = _sorted_by_id(self.store.failed_messages.values())
        due = [f for f in kept if f.next_attempt_at and f.next_attempt_at <= now][:limit]
        for failure in due:
            await self.update(replace(failure, next_attempt_at=until))
        return due

    async def update(self, failure: FailedMessage) -> None:
        if stored := self.store.failed_messages.get(failure.id):  # else resolved meanwhile
            self.store.failed_messages[failure.id] = replace(
                stored,
                error=failure.error,
                attempts=failure.attempts,
                next_attempt_at=failure.next_attempt_at,
            )

    async def resolve(self, id: FailedMessageId, now: datetime) -> None:  # noqa: ARG002 - gone
        self.store.failed_messages.pop(id, None)


@dataclass(frozen=True, slots=True)
class MemoryUnmatchedRepository(UnmatchedRepository):
    store: MemoryTables

    async def add_counts(self, messages: Mapping[Address, int], now: datetime) -> None:
        for address, count in messages.items():
            seen = self.store.unmatched.get(address) or UnmatchedTraffic(
                address=address, count=0, first_at=now, last_at=now
            )
            self.store.unmatched[address] = replace(
                seen, count=seen.count + count, last_at=max(seen.last_at, now)
            )

    async def list_all(self) -> list[UnmatchedTraffic]:
        seen = self.store.unmatched.values()
        return sorted(seen, key=lambda unmatched: unmatched.last_at, reverse=True)


@dataclass(frozen=True, slots=True)
class MemoryLeadReader(LeadReader):
    store: MemoryTables

    async def list_latest(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        leads = [
            (captured_at, event)
            for captured_at, event in self.store.events
            if event.type == LEAD_CAPTURED and org_id in (None, event.org_id)
        ]
        messages = {str(message.id): message for message in self.store.messages.values()}
        contacts = {str(id_): contact for id_, contact in self.store.contacts.items()}
        deals = {str(id_): deal for id_, deal in self.store.deals.items()}
        return [
            self._lead(
                captured_at,
                messages[event.payload["message_id"]],
                contacts[event.payload["contact_id"]],
                deals[event.payload["deal_id"]],
            )
            for captured_at, event in leads[-limit:]
        ]

    def _lead(self, captured_at: datetime, message: Message, contact: Contact, deal: Deal) -> Lead:
        insight = self.store.insights.get(deal.id)
        return Lead(
            captured_at=captured_at,
            org_id=message.org_id,
            organization=self.store.organizations[message.org_id].name,
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


def _sorted_by_id(found: Any) -> list[Any]:
    return sorted(found, key=lambda entity: entity.id)


def _swap(stored: dict[Any, Any], changes: Mapping[Any, tuple[Any, Any]]) -> None:
    """Write the second of each two, where the first is still stored."""
    if any(stored.get(key) != old for key, (old, _) in changes.items()):
        raise ConcurrentUpdate
    stored |= {key: new for key, (_, new) in changes.items()}


def _now() -> datetime:
    return datetime.now(UTC)
