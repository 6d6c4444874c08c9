"""What captured messages mean for the sale: deals to open, insights to keep, events to tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from domain.batch import Captured, NewId
from domain.connection import Channel
from domain.contact import ContactKey
from domain.deal import Deal, DealId, DealStatus, Description, Insight, InsightId
from domain.event import LEAD_CAPTURED, Event, EventId
from domain.message import MessageKey
from domain.organization import OrgId

Descriptions: TypeAlias = Mapping[tuple[Channel, str], Description]
"""What a provider says of each message, by channel and message id; it may lack some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A captured message as a salesperson reads it, with what came of it."""

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
        """Which message it is."""
        return MessageKey(self.org_id, self.channel, self.external_id)


def missing_deals(
    captured: Iterable[Captured], open_deals: Mapping[ContactKey, DealId], new_id: NewId
) -> dict[ContactKey, Deal]:
    """Open a deal for each contact that has none, named by the first message."""
    missing: dict[ContactKey, Deal] = {}
    for item in captured:
        if item.contact not in open_deals and item.contact not in missing:
            missing[item.contact] = Deal(
                id=DealId(new_id()),
                org_id=item.contact.org_id,
                contact_id=item.contact.contact_id,
                status=DealStatus.OPEN,
                title=Deal.title_from(item.message.body),
            )
    return missing


def insights(
    captured: Iterable[Captured],
    deals: Mapping[ContactKey, DealId],
    descriptions: Descriptions,
    provider: str,
    new_id: NewId,
) -> dict[DealId, Insight]:
    """Keep what is said of each deal's latest message, where anything is."""
    latest: dict[DealId, Insight] = {}
    for item in captured:
        message = item.message
        if description := descriptions.get((message.channel, message.external_id)):
            deal_id = deals[item.contact]
            insight = Insight(
                id=InsightId(new_id()),
                org_id=message.org_id,
                deal_id=deal_id,
                summary=description.summary,
                intent=description.intent,
                score=description.score,
                next_step=description.next_step,
                provider=provider,
                updated_at=message.sent_at,
            )
            if deal_id not in latest or latest[deal_id].rank <= insight.rank:
                latest[deal_id] = insight
    return latest


def lead_events(
    captured: Sequence[Captured],
    deals: Mapping[ContactKey, DealId],
    opened: Mapping[ContactKey, Deal],
    new_id: NewId,
) -> list[Event]:
    """Tell of each captured message once, with the ids of all that came of it."""
    unannounced = dict(opened)
    return [
        Event(
            id=EventId(new_id()),
            org_id=item.message.org_id,
            type=LEAD_CAPTURED,
            payload={
                "channel": item.message.channel,
                "message_id": str(item.message.id),
                "thread_id": str(item.thread.id),
                "contact_id": str(item.thread.contact_id),
                "deal_id": str(deals[item.contact]),
                "deal_opened": unannounced.pop(item.contact, None) is not None,
            },
        )
        for item in captured
    ]
