"""Decides what changes do to stored messages, contacts and threads."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from domain.change import (
    ChangeId,
    ChangeKind,
    ChangeRecord,
    ChangeTarget,
    IncomingChange,
    apply_changes,
    message_from_echo,
)
from domain.connection import Address, Connection
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactKey,
    Identity,
    IdentityKey,
    IdentityKind,
    IdentityMatch,
)
from domain.event import (
    CONSENT_CHANGED,
    IDENTITY_CHANGED,
    IDENTITY_CONFLICT,
    MESSAGE_DELETED,
    MESSAGE_EDITED,
    MESSAGE_REACTED,
    MESSAGE_SENT,
    Event,
    EventId,
)
from domain.ids import NewId
from domain.message import Message, MessageId, MessageKey, Thread, ThreadId
from domain.planning.identity_resolution import new_identities_for, record_conflicts
from domain.planning.message_plan import PendingChanges

EVENT_TYPES = {
    ChangeKind.EDIT: MESSAGE_EDITED,
    ChangeKind.UNSEND: MESSAGE_DELETED,
    ChangeKind.REACTION: MESSAGE_REACTED,
    ChangeKind.CONSENT: CONSENT_CHANGED,
    ChangeKind.IDENTITY: IDENTITY_CHANGED,
}


class ResolvedChange(NamedTuple):
    """A change, the connection it came over, and how it will be kept."""

    change: IncomingChange
    connection: Connection
    record: ChangeRecord

    @property
    def identities(self) -> list[IdentityKey]:
        """Every id of the person it is about, those before the change first."""
        person = self.change.person.identities if self.change.person else ()
        return [IdentityKey(self.record.org_id, *id_) for id_ in (*person, *self.new_identities)]

    @property
    def new_identities(self) -> list[Identity]:
        """What the person is known by from now on."""
        pairs = self.change.content.get("identities", ())
        return [Identity(IdentityKind(kind), value) for kind, value in pairs]


@dataclass(frozen=True, slots=True)
class ContactMatches:
    """The contacts that changes are about; `changed` holds each as it was and as it shall be."""

    contact_ids: Mapping[MessageKey, ContactId]
    changed: Mapping[ContactId, tuple[Contact, Contact]]
    new_identities: Mapping[IdentityKey, ContactIdentity]
    conflicts: Mapping[MessageKey, ChangeRecord]

    @property
    def keys(self) -> set[ContactKey]:
        """Every contact of the batch."""
        return {ContactKey(key.org_id, id_) for key, id_ in self.contact_ids.items()}


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What is to be written.

    `changed` holds each message as it was and as it shall be; `records` the changes themselves,
    `updated` those kept before that need other content now.
    """

    changed: Mapping[MessageKey, tuple[Message, Message]]
    echoes: Mapping[MessageKey, Message]
    moved: Mapping[ThreadId, Thread]
    records: Mapping[MessageKey, ChangeRecord]
    updated: Sequence[ChangeRecord]
    events: Sequence[Event]

    @property
    def is_early(self) -> bool:
        """Whether some change came before what it is about."""
        return any(record.is_waiting for record in self.records.values())


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Changes that found their connection: each once, oldest first."""

    noticed: Mapping[MessageKey, ResolvedChange]

    @classmethod
    def of(
        cls,
        changes: Iterable[IncomingChange],
        connections: Mapping[Address, Connection],
        new_id: NewId,
    ) -> Self:
        """Put each change under its organisation; leave out those without a connection."""
        noticed: dict[MessageKey, ResolvedChange] = {}
        for change in sorted(changes, key=lambda change: (change.sent_at, change.external_id)):
            if connection := connections.get(change.address):
                record = _record(change, connection, ChangeId(new_id()))
                noticed.setdefault(record.key, ResolvedChange(change, connection, record))
        return cls(noticed)

    def without_stored(self, known: Set[MessageKey]) -> Self:
        """Leave out the duplicates."""
        return type(self)({key: n for key, n in self.noticed.items() if key not in known})

    @property
    def identities(self) -> set[IdentityKey]:
        """Every id of every person."""
        return {key for noticed in self.noticed.values() for key in noticed.identities}

    @property
    def messages(self) -> set[MessageKey]:
        """Every message that changes are about, and those that are echoes."""
        return {
            MessageKey(*noticed.record.target) if noticed.change.message_id else noticed.record.key
            for noticed in self.noticed.values()
            if noticed.change.message_id or noticed.record.kind is ChangeKind.ECHO
        }

    @property
    def targets(self) -> set[ChangeTarget]:
        """Every message again, as changes name it."""
        return {ChangeTarget(*key) for key in self.messages}

    def known(self, owners: Mapping[IdentityKey, IdentityMatch], new_id: NewId) -> ContactMatches:
        """Find whom each change is about, and what is known of them now.

        As with messages, the first id that is known decides, and nothing is merged.
        """
        found = {key: owner.contact.id for key, owner in owners.items()}
        stored = {owner.contact.id: owner.contact for owner in owners.values()}
        latest = dict(stored)
        contact_ids: dict[MessageKey, ContactId] = {}
        conflicts: dict[MessageKey, ChangeRecord] = {}
        for key, noticed in self.noticed.items():
            theirs = [found[identity] for identity in noticed.identities if identity in found]
            if not theirs:
                continue
            contact_ids[key] = contact_id = theirs[0]
            conflicts |= record_conflicts(key, theirs, noticed.change.sent_at, new_id)
            latest[contact_id] = _update_contact(latest[contact_id], noticed, found)
            for identity in noticed.identities:
                found.setdefault(identity, contact_id)
        return ContactMatches(
            contact_ids=contact_ids,
            changed={id_: (stored[id_], c) for id_, c in latest.items() if c != stored[id_]},
            new_identities=new_identities_for(found, owners, new_id),
            conflicts=conflicts,
        )

    def outcome(
        self,
        known: ContactMatches,
        threads: Collection[Thread],
        stored: Mapping[MessageKey, Message],
        earlier: PendingChanges,
        new_id: NewId,
    ) -> ChangePlan:
        """Decide what becomes of messages; what has none yet waits for it."""
        echoes: dict[MessageKey, Message] = {}
        moved: dict[ThreadId, Thread] = {}
        about: dict[ChangeTarget, list[ChangeRecord]] = {
            s: list(found) for s, found in earlier.items()
        }
        records: dict[MessageKey, ChangeRecord] = {}
        for key, noticed in self.noticed.items():
            record = noticed.record
            if record.kind is ChangeKind.ECHO:
                thread = _find_thread(known.contact_ids.get(key), noticed.connection, threads)
                if key in stored:
                    continue
                if thread is not None:
                    echoes[key] = message_from_echo(thread.id, record, MessageId(new_id()))
                    moved[thread.id] = moved.get(thread.id, thread).with_last_message_at(
                        record.sent_at
                    )
                    continue
                records[key] = replace(record, is_waiting=True)
            elif record.kind is ChangeKind.CONSENT:
                records[key] = replace(record, is_waiting=key not in known.contact_ids)
            else:
                records[key] = record
            if noticed.change.message_id:
                about.setdefault(record.target, []).append(record)
        before = dict(stored) | echoes
        after = {
            key: apply_changes(message, about.get(ChangeTarget(*key), ()))
            for key, message in before.items()
        }
        gone = {
            subject
            for subject, changes in about.items()
            if any(change.kind is ChangeKind.UNSEND for change in changes)
        }
        for key, record in records.items():
            if record.kind in (ChangeKind.EDIT, ChangeKind.UNSEND, ChangeKind.REACTION):
                is_early = MessageKey(*record.target) not in before
                records[key] = replace(record, is_waiting=is_early)
            if record.target in gone or ChangeTarget(*key) in gone:
                records[key] = replace(records[key], content=_redact(record))
        return ChangePlan(
            changed={
                key: (message, after[key])
                for key, message in stored.items()
                if after[key] != message
            },
            echoes={key: after[key] for key in echoes},
            moved={id_: t for id_, t in moved.items() if t not in threads},
            records=records,
            updated=[
                new
                for subject, changes in earlier.items()
                for old in changes
                if (
                    new := replace(
                        old,
                        is_waiting=old.is_waiting and MessageKey(*subject) not in before,
                        content=_redact(old) if subject in gone else old.content,
                    )
                )
                != old
            ],
            events=[*self._events(records, known, before, new_id)],
        )

    def _events(
        self,
        records: Mapping[MessageKey, ChangeRecord],
        known: ContactMatches,
        messages: Mapping[MessageKey, Message],
        new_id: NewId,
    ) -> Iterator[Event]:
        for key, record in records.items():
            if record.kind is ChangeKind.ECHO:
                continue
            payload = {"channel": record.channel, "change_id": str(record.id)}
            if message := messages.get(MessageKey(*record.target)):
                payload |= {"message_id": str(message.id), "thread_id": str(message.thread_id)}
            if contact_id := known.contact_ids.get(key):
                payload["contact_id"] = str(contact_id)
            yield Event(
                id=EventId(new_id()),
                org_id=record.org_id,
                type=EVENT_TYPES[record.kind],
                payload=payload,
            )


def _record(change: IncomingChange, connection: Connection, id: ChangeId) -> ChangeRecord:
    org_id, channel = connection.org_id, connection.channel
    subject = change.message_id
    if subject is None:
        # By the user id, where there is one: a person may hide the number from now on.
        identities = change.person.identities if change.person else ()
        users = (id_ for id_ in identities if id_.kind is not IdentityKind.WHATSAPP_PHONE)
        subject = ChangeTarget.person(org_id, channel, next(users, identities[0])).name
    content = dict(change.content)
    if change.kind is ChangeKind.ECHO:
        content["over"] = connection.external_id
    return ChangeRecord(
        id=id,
        org_id=org_id,
        channel=channel,
        external_id=change.external_id,
        kind=change.kind,
        subject=subject,
        content=content,
        sent_at=change.sent_at,
        is_waiting=False,
    )


def _update_contact(
    contact: Contact, noticed: ResolvedChange, owners: Mapping[IdentityKey, ContactId]
) -> Contact:
    """Hear what the change says of the contact itself."""
    record = noticed.record
    if record.kind is ChangeKind.CONSENT:
        return contact.with_consent(record.sent_at, is_given=record.content["marketing"])
    is_phone = IdentityKind.WHATSAPP_PHONE
    new = [value for kind, value in noticed.new_identities if kind is is_phone]
    old = [key.value for key in noticed.identities if key.kind is is_phone and key.value not in new]
    if new and owners.get(IdentityKey(contact.org_id, is_phone, new[0]), contact.id) == contact.id:
        return contact.with_phone(old, new[0])
    return contact


def _find_thread(
    contact_id: ContactId | None, connection: Connection, threads: Iterable[Thread]
) -> Thread | None:
    """Find the person's conversation over the connection."""
    for thread in threads:
        if (thread.contact_id, thread.connection_id) == (contact_id, connection.id):
            return thread
    return None


def _redact(change: ChangeRecord) -> Mapping[str, object]:
    match change.kind:
        case ChangeKind.EDIT:
            return {}
        case ChangeKind.ECHO if change.is_waiting:
            return {**change.content, "body": "", "content": {}}
    return change.content


def make_echo_events(echoes: Iterable[Message], new_id: NewId) -> list[Event]:
    """Tell of each message that the business sent."""
    return [
        Event(
            id=EventId(new_id()),
            org_id=echo.org_id,
            type=MESSAGE_SENT,
            payload={
                "channel": echo.channel,
                "message_id": str(echo.id),
                "thread_id": str(echo.thread_id),
            },
        )
        for echo in echoes
    ]


def make_conflict_events(conflicts: Iterable[ChangeRecord], new_id: NewId) -> list[Event]:
    """Tell of contacts that share the ids of one person."""
    return [
        Event(
            id=EventId(new_id()),
            org_id=conflict.org_id,
            type=IDENTITY_CONFLICT,
            payload={"channel": conflict.channel, "contact_ids": conflict.content["contacts"]},
        )
        for conflict in conflicts
    ]
