"""The snapshot of stored rows that planning decides on, and the request that asks for one."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Self, TypeAlias

from domain.change import ChangeRecord, ChangeTarget, IncomingChange
from domain.connection import Address, Connection
from domain.contact import ContactKey, Identity, IdentityKey, IdentityMatch
from domain.deal import OpenDeal
from domain.inbound import InboundMessage
from domain.message import MessageKey, Thread

PendingChanges: TypeAlias = Mapping[ChangeTarget, Sequence[ChangeRecord]]
"""Stored changes by their target; in a snapshot, those that are pending."""


class Participant(NamedTuple):
    """One identity of a person in a conversation with an address."""

    address: Address
    identity: Identity


class MessageReference(NamedTuple):
    """A delivered message, by its ids."""

    address: Address
    external_id: str
    thread_external_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """What a delivery names: its addresses, the people in it, and its messages."""

    addresses: Set[Address]
    participants: Set[Participant] = frozenset()
    messages: Collection[MessageReference] = ()

    @classmethod
    def for_messages(cls, messages: Collection[InboundMessage]) -> Self:
        """Ask for all that storing these messages needs."""
        return cls(
            addresses={message.address for message in messages},
            participants={
                Participant(message.address, identity)
                for message in messages
                for identity in message.sender.identities
            },
            messages=[
                MessageReference(m.address, m.external_id, m.thread_external_id) for m in messages
            ],
        )

    @classmethod
    def for_changes(cls, changes: Iterable[IncomingChange]) -> Self:
        """Ask for the connections of these changes, and for the people they are about."""
        pairs = [(change.address, change) for change in changes]
        return cls(
            addresses={address for address, _ in pairs},
            participants={
                Participant(address, identity)
                for address, change in pairs
                for identity in change.identities
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSnapshot:
    """The stored rows that a delivery may touch, as they were before it.

    `connections` are the enabled ones. `stored_keys` are the requested messages that are stored.
    `pending` are the changes that wait for a requested message or person. `matches` holds the
    contact of each requested identity. `threads` are those that messages name, and all threads of
    the matched contacts. `open_deals` are those of the contacts of `matches` and `threads`.
    """

    connections: Mapping[Address, Connection]
    stored_keys: Set[MessageKey] = frozenset()
    pending: PendingChanges = field(default_factory=dict)
    matches: Mapping[IdentityKey, IdentityMatch] = field(default_factory=dict)
    threads: Sequence[Thread] = ()
    open_deals: Mapping[ContactKey, OpenDeal] = field(default_factory=dict)
