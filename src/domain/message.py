"""Messages, and the conversation threads that hold them."""

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
    """The direction of a message: from the person (inbound) or from the business (outbound)."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageKey(NamedTuple):
    """The key of the duplicate check: a second message or change with this key is a duplicate."""

    org_id: OrgId
    channel: Channel
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A conversation of one contact over one connection.

    `connection_id` is None once the connection was removed: threads are kept.
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
        """Advance `last_message_at`; a message that arrives late leaves it unchanged."""
        if self.last_message_at is not None and sent_at <= self.last_message_at:
            return self
        return replace(self, last_message_at=sent_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of a thread. `sent_at` is the time of sending, not of arrival.

    `kind` is the provider's name of the type. `body` is text for people to read. `content` is all
    else that the message carries, under the keys that docs/MESSAGES.md lists.
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
        """The key of the duplicate check."""
        return MessageKey(self.org_id, self.channel, self.external_id)

    @property
    def sort_key(self) -> tuple[datetime, str]:
        """The place in the thread. WhatsApp's times are whole seconds, so ids break ties."""
        return self.sent_at, self.external_id

    @property
    def is_deleted(self) -> bool:
        """Whether the message was unsent."""
        return "deleted_at" in self.content
