"""A captured message as a salesperson reads it, joined with its contact, deal and insight."""

from dataclasses import dataclass
from datetime import datetime

from domain.connection import Channel
from domain.deal import DealStatus
from domain.message import MessageKey
from domain.organization import OrgId


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A captured message with its contact, deal and insight. `contact` is a name or a number."""

    captured_at: datetime
    org_id: OrgId
    organization: str
    channel: Channel
    external_id: str
    contact: str
    body: str
    deal: str
    deal_status: DealStatus
    intent: str | None
    score: int | None
    next_step: str | None

    @property
    def key(self) -> MessageKey:
        """The key of the message."""
        return MessageKey(self.org_id, self.channel, self.external_id)
