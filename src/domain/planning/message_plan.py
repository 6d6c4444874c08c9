"""Decides what a batch of inbound messages adds: contacts, threads, messages and settled changes."""

from collections.abc import Container, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from domain.change import (
    ChangeKind,
    ChangeRecord,
    ChangeTarget,
    apply_changes,
    make_message_from_echo,
)
from domain.connection import Address, Connection
from domain.contact import (
    Contact,
    ContactId,
    ContactKey,
    IdentityKey,
    IdentityKind,
    IdentityMatch,
)
from domain.ids import NewId
from domain.inbound import InboundMessage
from domain.message import Direction, Message, MessageId, MessageKey, Thread, ThreadId
from domain.planning.identity_resolution import ContactPlan, IdentityResolver
from domain.planning.snapshot import PendingChanges


@dataclass(frozen=True, slots=True)
class ResolvedMessage:
    """A message and the connection it came over, hence its organisation."""

    message: InboundMessage
    connection: Connection

    @property
    def key(self) -> MessageKey:
        """The key of the duplicate check."""
        channel = self.message.address.channel
        return MessageKey(self.connection.org_id, channel, self.message.external_id)

    @property
    def identity_keys(self) -> list[IdentityKey]:
        """The sender's identities within the organisation, the deciding one first."""
        org_id = self.connection.org_id
        return [IdentityKey(org_id, *identity) for identity in self.message.sender.identities]

    @property
    def sender_targets(self) -> list[ChangeTarget]:
        """The sender as the target of changes, under each of their identities."""
        org_id, channel, _ = self.key
        return [
            ChangeTarget.for_person(org_id, channel, identity)
            for identity in self.message.sender.identities
        ]

    def find_pending_echoes(self, pending: PendingChanges) -> Iterator[ChangeRecord]:
        """Yield pending echoes to this sender over this connection: they came before its thread."""
        for change in self._list_pending_of_sender(pending):
            if change.kind is ChangeKind.ECHO and (
                change.content["over"] == self.connection.external_id
            ):
                yield change

    def find_pending_consents(self, pending: PendingChanges) -> Iterator[ChangeRecord]:
        """Yield pending consents of this sender: they came before the contact existed."""
        for change in self._list_pending_of_sender(pending):
            if change.kind is ChangeKind.CONSENT:
                yield change

    def _list_pending_of_sender(self, pending: PendingChanges) -> Iterator[ChangeRecord]:
        for target in self.sender_targets if pending else ():
            yield from pending.get(target, ())


@dataclass(frozen=True, slots=True)
class ThreadPlan:
    """The thread of each message; the new threads, and the stored threads with new messages."""

    threads: Mapping[MessageKey, Thread]
    new_threads: Mapping[ThreadId, Thread]
    advanced_threads: Mapping[ThreadId, Thread]


class CapturedMessage(NamedTuple):
    """A message that is stored now for the first time, its thread, and the ad or link it came from.

    `referral` is kept here because a message that was unsent before it was stored has no content.
    """

    message: Message
    thread: Thread
    referral: Mapping[str, Any] | None

    @property
    def contact_key(self) -> ContactKey:
        """The contact whose deal the message is about."""
        return ContactKey(self.thread.org_id, self.thread.contact_id)


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """Messages with an enabled connection: each once, oldest first."""

    resolved: Mapping[MessageKey, ResolvedMessage]

    @classmethod
    def resolve(
        cls, messages: Iterable[InboundMessage], connections: Mapping[Address, Connection]
    ) -> Self:
        """Assign each message to an organisation; leave out those without a connection."""
        resolved: dict[MessageKey, ResolvedMessage] = {}
        for message in sorted(messages, key=lambda each: (each.sent_at, each.external_id)):
            if connection := connections.get(message.address):
                item = ResolvedMessage(message, connection)
                resolved.setdefault(item.key, item)
        return cls(resolved)

    def without_stored(self, stored_keys: Set[MessageKey]) -> Self:
        """Leave out the duplicates: for them there is nothing to find, create or change."""
        return type(self)({k: m for k, m in self.resolved.items() if k not in stored_keys})

    def contains_each(self, messages: Iterable[InboundMessage]) -> list[bool]:
        """Return, for each message, whether this object is in the batch."""
        # By identity: equal messages in one delivery are duplicates, of which one is in the batch.
        remaining = {id(item.message) for item in self.resolved.values()}
        contained = []
        for message in messages:
            contained.append(id(message) in remaining)
            remaining.discard(id(message))
        return contained

    def plan_contacts(
        self, matches: Mapping[IdentityKey, IdentityMatch], pending: PendingChanges, new_id: NewId
    ) -> ContactPlan:
        """Find the contact of each sender among the matches, or make one.

        Senders who show the most identities come first, because they link those of the others.
        """
        resolver = IdentityResolver(matches, new_id)
        for key, item in sorted(self.resolved.items(), key=_rank_by_identity_count):
            identities, message = item.identity_keys, item.message
            contact = resolver.find(key, identities, message.sent_at)
            contact = contact or Contact(id=ContactId(new_id()), org_id=key.org_id)
            contact = contact.with_profile_from(
                message.sender,
                message.sent_at,
                may_take_phone=all(
                    resolver.may_take_phone(identity, contact)
                    for identity in identities
                    if identity.kind is IdentityKind.WHATSAPP_PHONE
                ),
            )
            for change in item.find_pending_consents(pending):
                contact = contact.with_consent(change.sent_at, is_given=change.content["marketing"])
            resolver.assign(key, identities, contact)
        return resolver.plan()

    def plan_threads(
        self,
        contact_plan: ContactPlan,
        stored_threads: Iterable[Thread],
        pending: PendingChanges,
        new_id: NewId,
    ) -> ThreadPlan:
        """Find the thread of each message among the stored ones, or start one.

        A thread is found by its external id; else by contact and connection, for a person whose
        identity changed. A message without a thread id goes to its contact's thread on the
        channel.
        """
        stored = {thread.id: thread for thread in stored_threads}
        found = {key: thread for thread in stored.values() for key in _list_lookup_keys(thread)}
        latest: dict[ThreadId, Thread] = {}
        threads: dict[MessageKey, Thread] = {}
        for key, item in self.resolved.items():
            contact_id, connection_id = contact_plan.contact_ids[key], item.connection.id
            external_id = item.message.thread_external_id
            by_external_id = (key.org_id, external_id)
            by_connection = (key.org_id, contact_id, connection_id)
            by_channel = (key.org_id, contact_id, key.channel)
            named = found.get(by_external_id) or found.get(by_connection)
            known = named if external_id else found.get(by_channel)
            thread = known or Thread(
                id=ThreadId(new_id()),
                org_id=key.org_id,
                contact_id=contact_id,
                connection_id=connection_id,
                channel=key.channel,
                external_id=external_id,
                last_message_at=None,
            )
            is_reconnected = thread.connection_id is None and by_connection not in found
            if is_reconnected:
                # The connection of the thread was removed, and the number is connected again.
                thread = latest[thread.id] = replace(thread, connection_id=connection_id)
            if is_reconnected or not known:
                found |= dict.fromkeys(_list_lookup_keys(thread), thread)
            threads[key] = thread
            times = [item.message.sent_at, *(e.sent_at for e in item.find_pending_echoes(pending))]
            latest[thread.id] = latest.get(thread.id, thread).with_last_message_at(max(times))
        return ThreadPlan(
            threads,
            new_threads={id_: t for id_, t in latest.items() if id_ not in stored},
            advanced_threads={
                id_: t for id_, t in latest.items() if id_ in stored and t != stored[id_]
            },
        )

    def make_messages(
        self, thread_plan: ThreadPlan, pending: PendingChanges, new_id: NewId
    ) -> dict[MessageKey, Message]:
        """Make each message one of its thread, with its pending changes applied."""
        messages = {
            key: Message(
                id=MessageId(new_id()),
                org_id=key.org_id,
                thread_id=thread_plan.threads[key].id,
                channel=key.channel,
                external_id=key.external_id,
                direction=Direction.INBOUND,
                kind=item.message.kind,
                body=item.message.body,
                content=item.message.content,
                sent_at=item.message.sent_at,
            )
            for key, item in self.resolved.items()
        }
        if not pending:
            return messages
        return {
            key: apply_changes(message, pending.get(ChangeTarget(*key), ()))
            for key, message in messages.items()
        }

    def make_echoes(
        self,
        thread_plan: ThreadPlan,
        pending: PendingChanges,
        stored: Container[MessageKey],
        new_id: NewId,
    ) -> dict[MessageKey, Message]:
        """Make messages of the pending echoes whose thread exists now, with their own changes.

        An echo whose id is that of a stored message, or of one in the batch, is a duplicate.
        """
        return {
            echo.key: apply_changes(
                make_message_from_echo(thread_plan.threads[key].id, echo, MessageId(new_id())),
                pending.get(ChangeTarget(*echo.key), ()),
            )
            for key, item in self.resolved.items()
            for echo in item.find_pending_echoes(pending)
            if echo.key not in stored and echo.key not in self.resolved
        }

    def list_echo_targets(self, pending: PendingChanges) -> set[ChangeTarget]:
        """The pending echoes as targets: changes may be pending for them in turn."""
        return {
            ChangeTarget(*echo.key)
            for item in self.resolved.values()
            for echo in item.find_pending_echoes(pending)
        }

    def settle_changes(self, pending: PendingChanges) -> list[ChangeRecord]:
        """Return the pending changes that this batch applies, as no longer pending."""
        if not pending:
            return []
        targets = {ChangeTarget(*key) for key in self.resolved} | self.list_echo_targets(pending)
        applied = {c.id: c for target in targets for c in pending.get(target, ())}
        for item in self.resolved.values():
            applied |= {echo.id: echo for echo in item.find_pending_echoes(pending)}
            applied |= {consent.id: consent for consent in item.find_pending_consents(pending)}
        return [change.settle() for change in applied.values()]


def _rank_by_identity_count(item: tuple[MessageKey, ResolvedMessage]) -> int:
    return -len(item[1].message.sender.identities)


def _list_lookup_keys(thread: Thread) -> tuple[tuple[object, ...], ...]:
    """Return the three lookup keys of a thread, which differ in length or type."""
    contact = (thread.org_id, thread.contact_id)
    by_external_id = (thread.org_id, thread.external_id)
    return by_external_id, (*contact, thread.connection_id), (*contact, thread.channel)
