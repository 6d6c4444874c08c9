"""Decides what a batch of changes does to stored messages, contacts and threads."""

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
    make_message_from_echo,
)
from domain.connection import Address, Connection
from domain.contact import Contact, ContactId, IdentityKey, IdentityKind, IdentityMatch
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
from domain.planning.identity_resolution import ContactPlan, IdentityResolver
from domain.planning.snapshot import PendingChanges

EVENT_TYPES = {
    ChangeKind.EDIT: MESSAGE_EDITED,
    ChangeKind.UNSEND: MESSAGE_DELETED,
    ChangeKind.REACTION: MESSAGE_REACTED,
    ChangeKind.CONSENT: CONSENT_CHANGED,
    ChangeKind.IDENTITY: IDENTITY_CHANGED,
}
MESSAGE_CHANGE_KINDS = {ChangeKind.EDIT, ChangeKind.UNSEND, ChangeKind.REACTION}


class ResolvedChange(NamedTuple):
    """A change, the connection it came over, and the record that is stored of it."""

    change: IncomingChange
    connection: Connection
    record: ChangeRecord

    @property
    def identity_keys(self) -> list[IdentityKey]:
        """Every identity of the person within the organisation, those before the change first."""
        return [IdentityKey(self.record.org_id, *each) for each in self.change.identities]


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What the transaction writes for a batch of changes.

    `changed_messages` holds each message as it was and as it becomes. `records` are the changes
    of the batch, `updated_records` those stored earlier that need other content now.
    """

    changed_messages: Mapping[MessageKey, tuple[Message, Message]]
    echoes: Mapping[MessageKey, Message]
    advanced_threads: Mapping[ThreadId, Thread]
    records: Mapping[MessageKey, ChangeRecord]
    updated_records: Sequence[ChangeRecord]
    events: Sequence[Event]

    @property
    def has_pending(self) -> bool:
        """Whether some change of the batch came before its target."""
        return any(record.is_waiting for record in self.records.values())


class _SplitChanges(NamedTuple):
    """The records of a batch, and the messages and threads that its echoes became."""

    records: Mapping[MessageKey, ChangeRecord]
    echoes: Mapping[MessageKey, Message]
    advanced_threads: Mapping[ThreadId, Thread]


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Changes with an enabled connection: each once, oldest first."""

    resolved: Mapping[MessageKey, ResolvedChange]

    @classmethod
    def resolve(
        cls,
        changes: Iterable[IncomingChange],
        connections: Mapping[Address, Connection],
        new_id: NewId,
    ) -> Self:
        """Assign each change to an organisation; leave out those without a connection."""
        resolved: dict[MessageKey, ResolvedChange] = {}
        for change in sorted(changes, key=lambda each: (each.sent_at, each.external_id)):
            if connection := connections.get(change.address):
                record = _make_record(change, connection, ChangeId(new_id()))
                resolved.setdefault(record.key, ResolvedChange(change, connection, record))
        return cls(resolved)

    def without_stored(self, stored_keys: Set[MessageKey]) -> Self:
        """Leave out the duplicates."""
        return type(self)({k: c for k, c in self.resolved.items() if k not in stored_keys})

    @property
    def message_keys(self) -> set[MessageKey]:
        """The messages that changes are about, and those that the echoes are."""
        return {
            MessageKey(*item.record.target) if item.change.message_id else item.record.key
            for item in self.resolved.values()
            if item.change.message_id or item.record.kind is ChangeKind.ECHO
        }

    @property
    def message_targets(self) -> set[ChangeTarget]:
        """The same messages, as targets."""
        return {ChangeTarget(*key) for key in self.message_keys}

    def plan_contacts(
        self, matches: Mapping[IdentityKey, IdentityMatch], new_id: NewId
    ) -> ContactPlan:
        """Find the contact of each change among the matches, and apply what the change says of it.

        A change never makes a contact: one about an unknown person has no contact in the plan.
        """
        resolver = IdentityResolver(matches, new_id)
        for key, item in self.resolved.items():
            identities = item.identity_keys
            contact = resolver.find(key, identities, item.change.sent_at)
            if contact is not None:
                resolver.assign(key, identities, _update_contact(contact, item, resolver))
        return resolver.plan()

    def plan(
        self,
        contact_plan: ContactPlan,
        threads: Collection[Thread],
        stored: Mapping[MessageKey, Message],
        earlier: PendingChanges,
        new_id: NewId,
    ) -> ChangePlan:
        """Decide what becomes of messages and records.

        `threads` are those of the contacts in `contact_plan`, `stored` the messages of
        `message_keys`, and `earlier` all stored changes of `message_targets`.
        """
        split = self._split_changes(contact_plan, threads, stored, new_id)
        changes_of = self._group_by_message(split.records, earlier)
        before = {**stored, **split.echoes}
        after = {
            key: apply_changes(message, changes_of.get(ChangeTarget(*key), ()))
            for key, message in before.items()
        }
        records = _flag_pending(split.records, before)
        unsent = {
            target
            for target, changes in changes_of.items()
            if any(change.kind is ChangeKind.UNSEND for change in changes)
        }
        return ChangePlan(
            changed_messages={
                key: (message, after[key])
                for key, message in stored.items()
                if after[key] != message
            },
            echoes={key: after[key] for key in split.echoes},
            advanced_threads=split.advanced_threads,
            records={key: _redact_unsent(record, unsent) for key, record in records.items()},
            updated_records=list(_update_earlier(earlier, before, unsent)),
            events=list(_make_change_events(records, contact_plan, before, new_id)),
        )

    def _split_changes(
        self,
        contact_plan: ContactPlan,
        threads: Collection[Thread],
        stored: Mapping[MessageKey, Message],
        new_id: NewId,
    ) -> _SplitChanges:
        """Turn echoes with a thread into messages; all else becomes a record.

        An echo without a thread and a consent without a contact are pending. An echo whose
        message is stored is a duplicate and becomes nothing.
        """
        records: dict[MessageKey, ChangeRecord] = {}
        echoes: dict[MessageKey, Message] = {}
        latest: dict[ThreadId, Thread] = {}
        for key, item in self.resolved.items():
            record = item.record
            if record.kind is ChangeKind.ECHO:
                if key in stored:
                    continue
                thread = _find_thread(contact_plan.contact_ids.get(key), item.connection, threads)
                if thread is None:
                    records[key] = replace(record, is_waiting=True)
                else:
                    echoes[key] = make_message_from_echo(thread.id, record, MessageId(new_id()))
                    thread = latest.get(thread.id, thread)
                    latest[thread.id] = thread.with_last_message_at(record.sent_at)
            elif record.kind is ChangeKind.CONSENT:
                records[key] = replace(record, is_waiting=key not in contact_plan.contact_ids)
            else:
                records[key] = record
        advanced = {id_: thread for id_, thread in latest.items() if thread not in threads}
        return _SplitChanges(records, echoes, advanced)

    def _group_by_message(
        self, records: Mapping[MessageKey, ChangeRecord], earlier: PendingChanges
    ) -> dict[ChangeTarget, list[ChangeRecord]]:
        """Group this batch's changes of messages with the earlier ones, by their message."""
        grouped = {target: list(changes) for target, changes in earlier.items()}
        for key, record in records.items():
            if self.resolved[key].change.message_id:
                grouped.setdefault(record.target, []).append(record)
        return grouped


def _make_record(change: IncomingChange, connection: Connection, id: ChangeId) -> ChangeRecord:
    org_id, channel = connection.org_id, connection.channel
    subject = change.message_id
    if subject is None:
        # By the user id, where there is one: a person may hide the phone number later.
        identities = change.identities
        user_ids = (each for each in identities if each.kind is not IdentityKind.WHATSAPP_PHONE)
        subject = ChangeTarget.for_person(org_id, channel, next(user_ids, identities[0])).name
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


def _update_contact(contact: Contact, item: ResolvedChange, resolver: IdentityResolver) -> Contact:
    """Apply a consent or a new phone number to the contact.

    A number that belongs to another contact already is not taken over.
    """
    record = item.record
    if record.kind is ChangeKind.CONSENT:
        return contact.with_consent(record.sent_at, is_given=record.content["marketing"])
    phone = IdentityKind.WHATSAPP_PHONE
    new = [value for kind, value in item.change.new_identities if kind is phone]
    old = [v for kind, v in item.change.identities if kind is phone and v not in new]
    if new and resolver.may_take_phone(IdentityKey(contact.org_id, phone, new[0]), contact):
        return contact.with_phone(old, new[0])
    return contact


def _find_thread(
    contact_id: ContactId | None, connection: Connection, threads: Iterable[Thread]
) -> Thread | None:
    """Find the contact's thread over the connection."""
    for thread in threads:
        if (thread.contact_id, thread.connection_id) == (contact_id, connection.id):
            return thread
    return None


def _flag_pending(
    records: Mapping[MessageKey, ChangeRecord], messages: Mapping[MessageKey, Message]
) -> dict[MessageKey, ChangeRecord]:
    """Mark as pending what changes a message that is not stored."""
    return {
        key: replace(record, is_waiting=MessageKey(*record.target) not in messages)
        if record.kind in MESSAGE_CHANGE_KINDS
        else record
        for key, record in records.items()
    }


def _redact_unsent(record: ChangeRecord, unsent: Set[ChangeTarget]) -> ChangeRecord:
    """Remove the text of a message that was unsent, also where the record is its pending echo."""
    if record.target in unsent or ChangeTarget(*record.key) in unsent:
        return record.redact()
    return record


def _update_earlier(
    earlier: PendingChanges, messages: Mapping[MessageKey, Message], unsent: Set[ChangeTarget]
) -> Iterator[ChangeRecord]:
    """Yield the earlier records that are no longer pending, or whose text must go."""
    for target, changes in earlier.items():
        for old in changes:
            is_waiting = old.is_waiting and MessageKey(*target) not in messages
            new = replace(old.redact() if target in unsent else old, is_waiting=is_waiting)
            if new != old:
                yield new


def _make_change_events(
    records: Mapping[MessageKey, ChangeRecord],
    contact_plan: ContactPlan,
    messages: Mapping[MessageKey, Message],
    new_id: NewId,
) -> Iterator[Event]:
    """Yield one event for each change but echoes, which have an event of their own."""
    for key, record in records.items():
        if record.kind is ChangeKind.ECHO:
            continue
        payload = {"channel": record.channel, "change_id": str(record.id)}
        if message := messages.get(MessageKey(*record.target)):
            payload |= {"message_id": str(message.id), "thread_id": str(message.thread_id)}
        if contact_id := contact_plan.contact_ids.get(key):
            payload["contact_id"] = str(contact_id)
        yield Event(
            id=EventId(new_id()),
            org_id=record.org_id,
            type=EVENT_TYPES[record.kind],
            payload=payload,
        )


def make_echo_events(echoes: Iterable[Message], new_id: NewId) -> list[Event]:
    """Make a `message_sent` event for each message that the business sent."""
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
    """Make an `identity_conflict` event for each pair of contacts that share one person."""
    return [
        Event(
            id=EventId(new_id()),
            org_id=conflict.org_id,
            type=IDENTITY_CONFLICT,
            payload={"channel": conflict.channel, "contact_ids": conflict.content["contacts"]},
        )
        for conflict in conflicts
    ]
