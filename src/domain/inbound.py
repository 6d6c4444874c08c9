"""Messages as received, before they are assigned to an organisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from domain.connection import Address
from domain.contact import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """A message that a person sent, in no provider's terms.

    `thread_external_id` is None for providers that name no conversation. `content` has the keys
    that docs/MESSAGES.md lists; its `referral` is the ad or link that the message came from.
    `payload` is a delivery in the provider's form that holds only this message; it is stored
    where the message fails.
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
    """A message that counts but cannot be read. `reason` names the missing or wrong field."""

    address: Address
    reason: str
    payload: Mapping[str, Any]


Inbound: TypeAlias = InboundMessage | BrokenMessage
