"""Merges, orders and decides over a batch: what of a delivery needs no database.

The use case reads what is there, asks here what is missing, and writes that. What is given back
are mappings by key, so that nothing is in a batch twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import NamedTuple, Self, TypeAlias
from uuid import UUID

from domain.connection import Address, Connection
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactIdentityId,
    ContactKey,
    IdentityKey,
)
from domain.inbound import InboundMessage
from domain.message import Direction, Message, MessageId, MessageKey, Thread, ThreadId, ThreadName

NewId: TypeAlias = Callable[[], UUID]


@dataclass(frozen=True, slots=True)
class Arrival:
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
    def thread_name(self) -> ThreadName | None:
        """What the provider calls the conversation, if it names it."""
        name = self.message.thread_external_id
        return ThreadName(self.connection.org_id, name) if name else None


@dataclass(frozen=True, slots=True)
class People:
    """Who wrote each message; which contacts are new, and which identities they now have."""

    contact_of: Mapping[MessageKey, ContactId]
    new_contacts: Mapping[ContactId, Contact]
    new_identities: Mapping[IdentityKey, ContactIdentity]

    @property
    def keys(self) -> set[ContactKey]:
        """Every contact of the batch."""
        return {ContactKey(key.org_id, id_) for key, id_ in self.contact_of.items()}


@dataclass(frozen=True, slots=True)
class Conversations:
    """Where each message was said; which threads are new, and which now end later."""

    thread_of: Mapping[MessageKey, Thread]
    new: Mapping[ThreadId, Thread]
    moved: Mapping[ThreadId, Thread]


class Captured(NamedTuple):
    """A message that is stored now for the first time, and its thread."""

    message: Message
    thread: Thread

    @property
    def contact(self) -> ContactKey:
        """Whose deal it is about."""
        return ContactKey(self.thread.org_id, self.thread.contact_id)


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that found their connection: each once, oldest first."""

    arrivals: Mapping[MessageKey, Arrival]

    @classmethod
    def of(
        cls, messages: Iterable[InboundMessage], connections: Mapping[Address, Connection]
    ) -> Self:
        """Put each message under its organisation; leave out those without a connection."""
        arrivals: dict[MessageKey, Arrival] = {}
        for message in sorted(messages, key=lambda said: (said.sent_at, said.external_id)):
            if connection := connections.get(message.address):
                arrival = Arrival(message, connection)
                arrivals.setdefault(arrival.key, arrival)
        return cls(arrivals)

    def without(self, known: Set[MessageKey]) -> Self:
        """Leave out the duplicates: for them there is nothing to find, create or change."""
        return type(self)({key: a for key, a in self.arrivals.items() if key not in known})

    @property
    def identities(self) -> set[IdentityKey]:
        """Every id of every sender."""
        return {key for arrival in self.arrivals.values() for key in arrival.identities}

    @property
    def thread_names(self) -> set[ThreadName]:
        """Every conversation the provider names."""
        return {name for arrival in self.arrivals.values() if (name := arrival.thread_name)}

    def people(self, owners: Mapping[IdentityKey, ContactId], new_id: NewId) -> People:
        """Find each sender among the `owners` of their identities, or make a contact.

        Ids seen together are one person's, so an unknown one goes to the contact of a known one.
        Senders who show the most ids come first, because they link the others.
        """
        found = dict(owners)
        contact_of: dict[MessageKey, ContactId] = {}
        new: dict[ContactId, Contact] = {}
        for key, arrival in sorted(self.arrivals.items(), key=_fewest_ids_last):
            sender = arrival.message.sender
            contact_id = next((found[id_] for id_ in arrival.identities if id_ in found), None)
            if contact_id is None:
                contact_id = ContactId(new_id())
                new[contact_id] = Contact(
                    id=contact_id, org_id=key.org_id, name=sender.name, phone=sender.phone
                )
            for identity in arrival.identities:
                found.setdefault(identity, contact_id)
            contact_of[key] = contact_id
        claimed = {
            key: ContactIdentity(
                id=ContactIdentityId(new_id()),
                org_id=key.org_id,
                contact_id=contact_id,
                kind=key.kind,
                value=key.value,
            )
            for key, contact_id in found.items()
            if key not in owners
        }
        return People(contact_of, new, claimed)

    def conversations(
        self, people: People, threads: Iterable[Thread], new_id: NewId
    ) -> Conversations:
        """Find each message's thread among `threads`, or start one.

        A thread is found by its name; else by contact and connection, for a person whose id
        changed. A message that names none goes to its contact's thread on the channel.
        """
        stored = {thread.id: thread for thread in threads}
        found = {key: thread for thread in stored.values() for key in _lookup_keys(thread)}
        latest: dict[ThreadId, Thread] = {}
        thread_of: dict[MessageKey, Thread] = {}
        for key, arrival in self.arrivals.items():
            wanted = Thread(
                id=ThreadId(new_id()),
                org_id=key.org_id,
                contact_id=people.contact_of[key],
                connection_id=arrival.connection.id,
                channel=key.channel,
                external_id=arrival.message.thread_external_id,
                last_message_at=None,
            )
            by_name, by_connection, by_channel = _lookup_keys(wanted)
            named = found.get(by_name) or found.get(by_connection)
            thread = (named if wanted.external_id else found.get(by_channel)) or wanted
            goes_on = thread.connection_id is None and by_connection not in found
            if goes_on:
                # The number was removed and is connected again.
                thread = latest[thread.id] = replace(thread, connection_id=arrival.connection.id)
            if goes_on or thread is wanted:
                found |= dict.fromkeys(_lookup_keys(thread), thread)
            thread_of[key] = thread
            latest[thread.id] = latest.get(thread.id, thread).heard_at(arrival.message.sent_at)
        new = {id_: thread for id_, thread in latest.items() if id_ not in stored}
        moved = {id_: t for id_, t in latest.items() if id_ in stored and t != stored[id_]}
        return Conversations(thread_of, new, moved)

    def messages(self, conversations: Conversations, new_id: NewId) -> dict[MessageKey, Message]:
        """Make each message one of its thread."""
        return {
            key: Message(
                id=MessageId(new_id()),
                org_id=key.org_id,
                thread_id=conversations.thread_of[key].id,
                channel=key.channel,
                external_id=key.external_id,
                direction=Direction.INBOUND,
                kind=arrival.message.kind,
                body=arrival.message.body,
                content=arrival.message.content,
                sent_at=arrival.message.sent_at,
            )
            for key, arrival in self.arrivals.items()
        }


def _fewest_ids_last(item: tuple[MessageKey, Arrival]) -> int:
    return -len(item[1].message.sender.identities)


def _lookup_keys(thread: Thread) -> tuple[tuple[object, ...], ...]:
    """By name, by contact and connection, by contact and channel: of three unlike shapes."""
    whose = (thread.org_id, thread.contact_id)
    name = (thread.org_id, thread.external_id)
    return name, (*whose, thread.connection_id), (*whose, thread.channel)
