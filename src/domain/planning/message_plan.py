"""Decides what a batch of inbound messages adds: threads, messages, and settled changes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, TypeAlias

from domain.change import ChangeKind, ChangeRecord, ChangeTarget, apply_changes, message_from_echo
from domain.connection import Address, Connection
from domain.contact import (
    Contact,
    ContactId,
    ContactKey,
    IdentityKey,
    IdentityMatch,
)
from domain.deal import OpenDeal
from domain.ids import NewId
from domain.inbound import InboundMessage
from domain.message import Direction, Message, MessageId, MessageKey, Thread, ThreadId, ThreadKey
from domain.planning.identity_resolution import ContactPlan, new_identities_for, record_conflicts

PendingChanges: TypeAlias = Mapping[ChangeTarget, Sequence[ChangeRecord]]
"""Changes that came before what they are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSnapshot:
    """What is there already of all that a batch of messages may need.

    `connections` are the enabled ones, `known` the messages that are stored, `waiting` the changes
    that came before them or their senders, `owners` whose each of the senders' ids is; `threads`
    are those that the messages name and those of the owners, `deals` the open ones of the contacts
    of all these.
    """

    connections: Mapping[Address, Connection]
    known: Set[MessageKey]
    waiting: PendingChanges
    owners: Mapping[IdentityKey, IdentityMatch]
    threads: Sequence[Thread]
    deals: Mapping[ContactKey, OpenDeal]


@dataclass(frozen=True, slots=True)
class ResolvedMessage:
    """A message and the connection it came over."""

    message: InboundMessage
    connection: Connection

    @property
    def key(self) -> MessageKey:
        """What makes it a duplicate of another."""
        channel = self.message.address.channel
        return MessageKey(self.connection.org_id, channel, self.message.external_id)

    @property
    def identities(self) -> Iterator[IdentityKey]:
        """The sender's ids within the organisation, the deciding one first."""
        org_id = self.connection.org_id
        return (IdentityKey(org_id, *identity) for identity in self.message.sender.identities)

    @property
    def sender_targets(self) -> list[ChangeTarget]:
        """The sender, under each of the ids that a change may name."""
        org_id, channel, _ = self.key
        return [ChangeTarget.person(org_id, channel, id_) for id_ in self.message.sender.identities]

    def echoes(self, waiting: PendingChanges) -> Iterator[ChangeRecord]:
        """What the business said to the sender over this connection, and nobody knew where."""
        for subject in self.sender_targets if waiting else ():
            for change in waiting.get(subject, ()):
                if change.kind is ChangeKind.ECHO and change.content["over"] == (
                    self.connection.external_id
                ):
                    yield change

    def consents(self, waiting: PendingChanges) -> Iterator[ChangeRecord]:
        """What the sender said about marketing before anybody knew them."""
        for subject in self.sender_targets if waiting else ():
            for change in waiting.get(subject, ()):
                if change.kind is ChangeKind.CONSENT:
                    yield change

    @property
    def thread_key(self) -> ThreadKey | None:
        """What the provider calls the conversation, if it names it."""
        name = self.message.thread_external_id
        return ThreadKey(self.connection.org_id, name) if name else None


@dataclass(frozen=True, slots=True)
class ThreadPlan:
    """Where each message was said; which threads are new, and which now end later."""

    threads: Mapping[MessageKey, Thread]
    new: Mapping[ThreadId, Thread]
    moved: Mapping[ThreadId, Thread]


class StoredMessage(NamedTuple):
    """A message that is stored now for the first time, its thread, and where it came from.

    It is still known where it came from when its words were taken back before it was stored.
    """

    message: Message
    thread: Thread
    referral: Mapping[str, Any] | None

    @property
    def contact(self) -> ContactKey:
        """Whose deal it is about."""
        return ContactKey(self.thread.org_id, self.thread.contact_id)


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """Messages that found their connection: each once, oldest first."""

    resolved: Mapping[MessageKey, ResolvedMessage]

    @classmethod
    def of(
        cls, messages: Iterable[InboundMessage], connections: Mapping[Address, Connection]
    ) -> Self:
        """Put each message under its organisation; leave out those without a connection."""
        resolved: dict[MessageKey, ResolvedMessage] = {}
        for message in sorted(messages, key=lambda said: (said.sent_at, said.external_id)):
            if connection := connections.get(message.address):
                arrival = ResolvedMessage(message, connection)
                resolved.setdefault(arrival.key, arrival)
        return cls(resolved)

    def without_stored(self, known: Set[MessageKey]) -> Self:
        """Leave out the duplicates: for them there is nothing to find, create or change."""
        return type(self)({key: a for key, a in self.resolved.items() if key not in known})

    def contains_each(self, messages: Iterable[InboundMessage]) -> Iterator[bool]:
        """Whether each message is in the batch: itself, once, and not another with its id."""
        arrived = {id(arrival.message) for arrival in self.resolved.values()}
        for message in messages:
            yield id(message) in arrived
            arrived.discard(id(message))

    @property
    def identities(self) -> set[IdentityKey]:
        """Every id of every sender."""
        return {key for arrival in self.resolved.values() for key in arrival.identities}

    @property
    def thread_keys(self) -> set[ThreadKey]:
        """Every conversation the provider names."""
        return {name for arrival in self.resolved.values() if (name := arrival.thread_key)}

    @property
    def targets(self) -> set[ChangeTarget]:
        """What changes that wait may be about: each message, and each sender."""
        return {
            subject
            for key, arrival in self.resolved.items()
            for subject in (ChangeTarget(*key), *arrival.sender_targets)
        }

    def plan_contacts(
        self, owners: Mapping[IdentityKey, IdentityMatch], waiting: PendingChanges, new_id: NewId
    ) -> ContactPlan:
        """Find each sender among the `owners` of their identities, or make a contact.

        Ids seen together are one person's, so an unknown one goes to the contact of a known one.
        Senders who show the most ids come first, because they link the others. Where the known
        ones are two contacts', the first id decides, and nothing is merged.
        """
        found = {key: owner.contact.id for key, owner in owners.items()}
        stored = {owner.contact.id: owner.contact for owner in owners.values()}
        latest: dict[ContactId, Contact] = {}
        contact_ids: dict[MessageKey, ContactId] = {}
        conflicts: dict[MessageKey, ChangeRecord] = {}
        for key, arrival in sorted(self.resolved.items(), key=_sort_most_ids_first):
            known = [found[identity] for identity in arrival.identities if identity in found]
            contact_id = known[0] if known else ContactId(new_id())
            conflicts |= record_conflicts(key, known, arrival.message.sent_at, new_id)
            contact = latest.get(contact_id) or stored.get(contact_id)
            contact = contact or Contact(id=contact_id, org_id=key.org_id)
            contact = contact.with_profile_from(arrival.message.sender, arrival.message.sent_at)
            for change in arrival.consents(waiting):
                contact = contact.with_consent(change.sent_at, is_given=change.content["marketing"])
            latest[contact_id] = contact
            contact_ids[key] = contact_id
            for identity in arrival.identities:
                found.setdefault(identity, contact_id)
        return ContactPlan(
            contact_ids=contact_ids,
            new_contacts={id_: c for id_, c in latest.items() if id_ not in stored},
            changed={
                id_: (stored[id_], c)
                for id_, c in latest.items()
                if id_ in stored and c != stored[id_]
            },
            new_identities=new_identities_for(found, owners, new_id),
            conflicts=conflicts,
        )

    def plan_threads(
        self,
        contacts: ContactPlan,
        stored_threads: Iterable[Thread],
        waiting: PendingChanges,
        new_id: NewId,
    ) -> ThreadPlan:
        """Find each message's thread among `threads`, or start one.

        A thread is found by its name; else by contact and connection, for a person whose id
        changed. A message that names none goes to its contact's thread on the channel.
        """
        stored = {thread.id: thread for thread in stored_threads}
        found = {key: thread for thread in stored.values() for key in _make_lookup_keys(thread)}
        latest: dict[ThreadId, Thread] = {}
        threads: dict[MessageKey, Thread] = {}
        for key, arrival in self.resolved.items():
            contact_id, connection_id = contacts.contact_ids[key], arrival.connection.id
            name = arrival.message.thread_external_id
            by_name = (key.org_id, name)
            by_connection = (key.org_id, contact_id, connection_id)
            by_channel = (key.org_id, contact_id, key.channel)
            named = found.get(by_name) or found.get(by_connection)
            known = named if name else found.get(by_channel)
            thread = known or Thread(
                id=ThreadId(new_id()),
                org_id=key.org_id,
                contact_id=contact_id,
                connection_id=connection_id,
                channel=key.channel,
                external_id=name,
                last_message_at=None,
            )
            goes_on = thread.connection_id is None and by_connection not in found
            if goes_on:
                # The number was removed and is connected again.
                thread = latest[thread.id] = replace(thread, connection_id=connection_id)
            if goes_on or not known:
                found |= dict.fromkeys(_make_lookup_keys(thread), thread)
            threads[key] = thread
            said_at = [arrival.message.sent_at, *(e.sent_at for e in arrival.echoes(waiting))]
            latest[thread.id] = latest.get(thread.id, thread).with_last_message_at(max(said_at))
        new = {id_: thread for id_, thread in latest.items() if id_ not in stored}
        moved = {id_: t for id_, t in latest.items() if id_ in stored and t != stored[id_]}
        return ThreadPlan(threads, new, moved)

    def messages(
        self, conversations: ThreadPlan, waiting: PendingChanges, new_id: NewId
    ) -> dict[MessageKey, Message]:
        """Make each message one of its thread, as what waited for it has made it."""
        made = {
            key: Message(
                id=MessageId(new_id()),
                org_id=key.org_id,
                thread_id=conversations.threads[key].id,
                channel=key.channel,
                external_id=key.external_id,
                direction=Direction.INBOUND,
                kind=arrival.message.kind,
                body=arrival.message.body,
                content=arrival.message.content,
                sent_at=arrival.message.sent_at,
            )
            for key, arrival in self.resolved.items()
        }
        if waiting:
            return {
                key: apply_changes(m, waiting.get(ChangeTarget(*key), ()))
                for key, m in made.items()
            }
        return made

    def echo_targets(self, waiting: PendingChanges) -> set[ChangeTarget]:
        """What changes may be about besides: echoes that find their conversation now."""
        return {
            ChangeTarget(*echo.key) for a in self.resolved.values() for echo in a.echoes(waiting)
        }

    def settle_changes(self, waiting: PendingChanges) -> list[ChangeRecord]:
        """What waits no more."""
        if not waiting:
            return []
        targets = {ChangeTarget(*key) for key in self.resolved} | self.echo_targets(waiting)
        done = {c.id: c for subject in targets for c in waiting.get(subject, ())}
        for arrival in self.resolved.values():
            done |= {echo.id: echo for echo in arrival.echoes(waiting)}
            done |= {consent.id: consent for consent in arrival.consents(waiting)}
        return [change.settle() for change in done.values()]

    def echoes(
        self, conversations: ThreadPlan, waiting: PendingChanges, new_id: NewId
    ) -> dict[MessageKey, Message]:
        """Put what the business said before its conversation was known where it belongs."""
        return {
            echo.key: apply_changes(
                message_from_echo(conversations.threads[key].id, echo, MessageId(new_id())),
                waiting.get(ChangeTarget(*echo.key), ()),
            )
            for key, arrival in self.resolved.items()
            for echo in arrival.echoes(waiting)
        }


def _sort_most_ids_first(item: tuple[MessageKey, ResolvedMessage]) -> int:
    return -len(item[1].message.sender.identities)


def _make_lookup_keys(thread: Thread) -> tuple[tuple[object, ...], ...]:
    """By name, by contact and connection, by contact and channel: of three unlike shapes."""
    whose = (thread.org_id, thread.contact_id)
    name = (thread.org_id, thread.external_id)
    return name, (*whose, thread.connection_id), (*whose, thread.channel)
