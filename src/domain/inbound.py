"""What a provider delivers, before anybody knows whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NewType, TypeAlias
from uuid import UUID

from domain.connection import Address
from domain.contact import Sender
from domain.organization import OrgId

FailedMessageId = NewType("FailedMessageId", UUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """A message a person sent, in no provider's terms.

    `thread_external_id` is None for providers that name no conversation. `payload` is a delivery
    in the provider's form that holds only this message, kept where it cannot be processed.
    `content` is what `docs/MESSAGES.md` lists; `referral` in it is the ad or link it came from.
    """

    address: Address
    external_id: str
    sender: Sender
    kind: str
    body: str
    sent_at: datetime
    thread_external_id: str | None
    content: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenMessage:
    """A message that counts but cannot be read; `reason` says what it lacks."""

    address: Address
    reason: str
    payload: Mapping[str, Any]


Inbound: TypeAlias = InboundMessage | BrokenMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedMessage:
    """A message kept for another try. `org_id` is None where its organisation is unknown."""

    id: FailedMessageId
    org_id: OrgId | None
    payload: Mapping[str, Any]
    error: str
    attempts: int = 1
    next_attempt_at: datetime
