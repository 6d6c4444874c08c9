"""What was said, and the conversation it was said in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, NewType, Self
from uuid import UUID

from domain.connection import Channel, ConnectionId
from domain.contact import ContactId
from domain.organization import OrgId

ThreadId = NewType("ThreadId", UUID)
MessageId = NewType("MessageId", UUID)


class Direction(StrEnum):
    """Who spoke: the person (inbound) or the business (outbound)."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageKey(NamedTuple):
    """What makes a message itself, for ever: a second one with this key is a duplicate."""

    org_id: OrgId
    channel: Channel
    external_id: str


class ThreadKey(NamedTuple):
    """A conversation as the provider names it, within an organisation."""

    org_id: OrgId
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A conversation of one contact over one connection.

    `connection_id` is None once the connection was removed: conversations stay.
    `external_id` is `wa:<phone number id>:<from>` or `ig:<account id>:<sender id>`.
    """

    id: ThreadId
    org_id: OrgId
    contact_id: ContactId
    connection_id: ConnectionId | None
    channel: Channel
    external_id: str | None
    last_message_at: datetime | None

    def with_last_message_at(self, sent_at: datetime) -> Self:
        """Move the end of the conversation forward; a late message leaves it where it is."""
        if self.last_message_at is not None and sent_at <= self.last_message_at:
            return self
        return replace(self, last_message_at=sent_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing said. `sent_at` is the message's own time, not that of its arrival.

    `kind` is the provider's word for the type; `body` is what a person can read; `content` is
    whatever else the type carries.
    """

    id: MessageId
    org_id: OrgId
    thread_id: ThreadId
    channel: Channel
    external_id: str
    direction: Direction
    kind: str
    body: str
    content: Mapping[str, Any]
    sent_at: datetime

    @property
    def key(self) -> MessageKey:
        """What the duplicate check compares."""
        return MessageKey(self.org_id, self.channel, self.external_id)

    @property
    def sort_key(self) -> tuple[datetime, str]:
        """Where it stands in its conversation; WhatsApp counts in seconds, so ids break ties."""
        return self.sent_at, self.external_id

    @property
    def is_deleted(self) -> bool:
        """Whether its words were taken back."""
        return "deleted_at" in self.content
