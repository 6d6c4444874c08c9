"""Decides what stored messages mean for the sale: deals, insights and lead events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from domain.connection import Channel
from domain.contact import ContactKey
from domain.deal import Deal, DealId, DealStatus, OpenDeal
from domain.event import LEAD_CAPTURED, Event, EventId
from domain.ids import NewId
from domain.insight import Description, Insight, InsightId, description_of_deleted
from domain.planning.message_plan import StoredMessage

Descriptions: TypeAlias = Mapping[tuple[Channel, str], Description]
"""What a provider says of each message, by channel and message id; it may lack some."""


@dataclass(frozen=True, slots=True)
class DealPlan:
    """Each contact's open deal; which are new, and which have another name or source now.

    `changed` holds each deal as it was read and as it shall be.
    """

    open: Mapping[ContactKey, Deal]
    new: Mapping[ContactKey, Deal]
    changed: Mapping[DealId, tuple[Deal, Deal]]


def plan_deals(
    captured: Iterable[StoredMessage], stored: Mapping[ContactKey, OpenDeal], new_id: NewId
) -> DealPlan:
    """Open a deal for each contact that has none; name each by its first message."""
    latest = dict(stored)
    for item in captured:
        known = latest.get(item.contact) or OpenDeal(
            Deal(
                id=DealId(new_id()),
                org_id=item.contact.org_id,
                contact_id=item.contact.contact_id,
                status=DealStatus.OPEN,
                title=Deal.make_title(item.message.body),
                message_id=item.message.id,
            ),
            item.message,
        )
        latest[item.contact] = known.with_message(item.message, item.referral)
    return DealPlan(
        open={contact: deal for contact, (deal, _) in latest.items()},
        new={contact: deal for contact, (deal, _) in latest.items() if contact not in stored},
        changed={
            deal.id: (stored[contact].deal, deal)
            for contact, (deal, _) in latest.items()
            if contact in stored and deal != stored[contact].deal
        },
    )


def plan_insights(
    captured: Iterable[StoredMessage],
    deals: DealPlan,
    descriptions: Descriptions,
    provider: str,
    new_id: NewId,
) -> dict[DealId, Insight]:
    """Keep what is said of each deal's latest message, where anything is."""
    latest: dict[DealId, Insight] = {}
    for item in captured:
        message = item.message
        description = descriptions.get((message.channel, message.external_id))
        if message.is_deleted:
            description = description_of_deleted(message.body)
        if description:
            deal_id = deals.open[item.contact].id
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
                message_external_id=message.external_id,
            )
            if deal_id not in latest or latest[deal_id].rank <= insight.rank:
                latest[deal_id] = insight
    return latest


def make_lead_events(
    captured: Sequence[StoredMessage], deals: DealPlan, new_id: NewId
) -> list[Event]:
    """Tell of each captured message once, with the ids of all that came of it."""
    unannounced = dict(deals.new)
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
                "deal_id": str(deals.open[item.contact].id),
                "deal_opened": unannounced.pop(item.contact, None) is not None,
            },
        )
        for item in captured
    ]
