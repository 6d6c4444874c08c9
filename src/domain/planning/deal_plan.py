"""Decides what stored messages mean for the sale: deals, insights and lead events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from domain.connection import Channel
from domain.contact import ContactKey
from domain.deal import Deal, DealId, DealStatus, OpenDeal
from domain.event import LEAD_CAPTURED, Event, EventId
from domain.ids import NewId
from domain.insight import Description, Insight, InsightId, describe_deleted_message
from domain.message import Message, MessageKey
from domain.planning.message_plan import CapturedMessage

Descriptions: TypeAlias = Mapping[tuple[Channel, str], Description]
"""A provider's description of each message, by channel and external id; some may be missing."""

ChangedMessages: TypeAlias = Mapping[MessageKey, tuple[Message, Message]]
"""Each changed message as it was and as it is now."""


@dataclass(frozen=True, slots=True)
class DealPlan:
    """The open deal of each contact: all of them, the new ones, and the changed ones.

    `changed` holds each deal as it was read and as it becomes.
    """

    open: Mapping[ContactKey, Deal]
    new: Mapping[ContactKey, Deal]
    changed: Mapping[DealId, tuple[Deal, Deal]]


def plan_deals(
    captured: Iterable[CapturedMessage], stored: Mapping[ContactKey, OpenDeal], new_id: NewId
) -> DealPlan:
    """Open a deal for each contact without one; take title and source from the first messages."""
    latest = dict(stored)
    for item in captured:
        known = latest.get(item.contact_key) or OpenDeal(
            Deal(
                id=DealId(new_id()),
                org_id=item.contact_key.org_id,
                contact_id=item.contact_key.contact_id,
                status=DealStatus.OPEN,
                title=Deal.make_title(item.message.body),
                message_id=item.message.id,
            ),
            item.message,
        )
        latest[item.contact_key] = known.with_message(item.message, item.referral)
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
    captured: Iterable[CapturedMessage],
    deal_plan: DealPlan,
    descriptions: Descriptions,
    provider_name: str,
    new_id: NewId,
) -> dict[DealId, Insight]:
    """Make the insight of each deal from its latest message that has a description.

    A message that was unsent before it was stored is described as deleted.
    """
    latest: dict[DealId, Insight] = {}
    for item in captured:
        message = item.message
        description = descriptions.get((message.channel, message.external_id))
        if message.is_deleted:
            description = describe_deleted_message(message.body)
        if description:
            deal_id = deal_plan.open[item.contact_key].id
            insight = Insight(
                id=InsightId(new_id()),
                org_id=message.org_id,
                deal_id=deal_id,
                summary=description.summary,
                intent=description.intent,
                score=description.score,
                next_step=description.next_step,
                provider=provider_name,
                updated_at=message.sent_at,
                message_external_id=message.external_id,
            )
            if deal_id not in latest or latest[deal_id].rank <= insight.rank:
                latest[deal_id] = insight
    return latest


def make_lead_events(
    captured: Sequence[CapturedMessage], deal_plan: DealPlan, new_id: NewId
) -> list[Event]:
    """Make a `lead_captured` event for each message, with the ids of its contact and deal."""
    unannounced = dict(deal_plan.new)
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
                "deal_id": str(deal_plan.open[item.contact_key].id),
                "deal_opened": unannounced.pop(item.contact_key, None) is not None,
            },
        )
        for item in captured
    ]


def plan_new_titles(
    deals: Iterable[Deal], messages: ChangedMessages
) -> dict[DealId, tuple[Deal, Deal]]:
    """Give deals a new title where the text of their first message changed.

    Returns the deals whose title changes, as they are and as they become.
    """
    bodies = {old.id: (old.body, new.body) for old, new in messages.values()}
    renamed: dict[DealId, tuple[Deal, Deal]] = {}
    for deal in deals:
        if deal.message_id in bodies:
            new = deal.with_title_following(*bodies[deal.message_id])
            if new != deal:
                renamed[deal.id] = (deal, new)
    return renamed


def describe_unsent(messages: ChangedMessages) -> dict[MessageKey, Description]:
    """Describe the messages that were unsent, so that no insight quotes their text any longer."""
    return {
        key: describe_deleted_message(new.body)
        for key, (_, new) in messages.items()
        if new.is_deleted
    }
