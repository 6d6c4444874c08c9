"""What came of it: deals, insights and events."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from application.ports import (
    DealRepository,
    EventLog,
    InsightRepository,
    LeadReader,
)
from domain.connection import Channel
from domain.contact import ContactKey
from domain.deal import Deal, DealId, DealStatus, Description, Insight
from domain.event import LEAD_CAPTURED, Event
from domain.leads import Lead
from domain.message import Message, MessageKey
from domain.organization import OrgId
from infrastructure.postgres import tables as t
from infrastructure.postgres.batches import columns_of, insert_rows, keys, rows, swap_rows, swaps
from infrastructure.postgres.conversations import MESSAGE_KEY
from infrastructure.postgres.unit_of_work import UnitOfWork, Write

deals, insights = t.deals.c, t.deal_insights.c

DEAL = columns_of(t.deals, Deal)
# No conflict target: a partial index named with a parameter fails from the eleventh run on, when
# PostgreSQL goes over to a generic plan.
ADD_DEALS = Write.of(
    "new_deals",
    insert_rows("new_deals", DEAL, ContactKey._fields).on_conflict_do_nothing(),
)
_first = rows("first", [deals.org_id, deals.message_id])
NAMED_AFTER = sa.select(*DEAL).where(
    deals.org_id == _first.c.org_id, deals.message_id == _first.c.message_id
)
CHANGEABLE = [deals.title, deals.message_id, deals.source]
CHANGE_DEALS = Write.of("known_deals", swap_rows("known_deals", CHANGEABLE))


@dataclass(frozen=True, slots=True)
class PostgresDealRepository(DealRepository):
    """Table `deals`."""

    db: UnitOfWork

    async def named_after(self, messages: Collection[Message]) -> list[Deal]:
        if not messages:
            return []
        first = keys({(m.org_id, m.id) for m in messages}, ["org_id", "message_id"])
        found = (await self.db.execute(NAMED_AFTER, {"first": first})).mappings()
        return [_deal(row) for row in found]

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        self.db.note(ADD_DEALS, deals.values())

    async def change(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        self.db.note(CHANGE_DEALS, swaps(deals.values(), CHANGEABLE))


def _deal(row: Mapping[Any, Any]) -> Deal:
    fields = {column.name: row[column.name] for column in DEAL}
    return Deal(**{**fields, "status": DealStatus(row["status"])})


INSIGHT = columns_of(t.deal_insights, Insight)
SAID = ("summary", "intent", "score", "next_step")
_new = insert_rows("new_insights", INSIGHT, ("org_id", "deal_id"))
PUT_INSIGHTS = Write.of(
    "new_insights",
    _new.on_conflict_do_update(
        index_elements=["org_id", "deal_id"],
        set_={
            name: _new.excluded[name]
            for name in (*SAID, "provider", "updated_at", "message_external_id")
        },
        # Insight.rank, in code point order as Python compares
        where=sa.tuple_(_new.excluded.updated_at, _new.excluded.message_external_id.collate("C"))
        >= sa.tuple_(insights.updated_at, insights.message_external_id),
    ),
    is_all=False,
)
_said = rows("said", [*MESSAGE_KEY, *(insights[name] for name in SAID)])
_message, _thread = t.conversation_messages.c, t.conversation_threads.c
REDESCRIBE = (
    sa.update(t.deal_insights)
    .where(
        *(column == _said.c[column.name] for column in MESSAGE_KEY),
        sa.tuple_(_thread.org_id, _thread.id) == sa.tuple_(_message.org_id, _message.thread_id),
        sa.tuple_(deals.org_id, deals.contact_id) == sa.tuple_(_thread.org_id, _thread.contact_id),
        sa.tuple_(insights.org_id, insights.deal_id) == sa.tuple_(deals.org_id, deals.id),
        insights.message_external_id == _said.c.external_id,
    )
    .values({name: _said.c[name] for name in SAID})
)


@dataclass(frozen=True, slots=True)
class PostgresInsightRepository(InsightRepository):
    """Table `deal_insights`."""

    db: UnitOfWork

    async def put(self, insights: Mapping[DealId, Insight]) -> None:
        self.db.note(PUT_INSIGHTS, insights.values())

    async def redescribe(self, messages: Mapping[MessageKey, Description]) -> None:
        if messages:
            said = [(*key, *(getattr(d, name) for name in SAID)) for key, d in messages.items()]
            given = keys(said, [*MessageKey._fields, *SAID])
            await self.db.execute(REDESCRIBE, {"said": given})


EVENT = columns_of(t.event_log, Event)
APPEND_EVENTS = Write.of("new_events", insert_rows("new_events", EVENT))


@dataclass(frozen=True, slots=True)
class PostgresEventLog(EventLog):
    """Table `event_log`."""

    db: UnitOfWork

    async def append(self, events: Collection[Event]) -> None:
        self.db.note(APPEND_EVENTS, events)


def _event_id(name: str) -> sa.ColumnElement[object]:
    return sa.cast(t.event_log.c.payload[name].astext, UUID())


LATEST_LEADS = (
    sa.select(
        t.event_log.c.created_at.label("captured_at"),
        t.event_log.c.org_id,
        t.organizations.c.name.label("organization"),
        t.conversation_messages.c.channel,
        t.conversation_messages.c.external_id,
        sa.func.coalesce(sa.func.nullif(t.contacts.c.name, ""), t.contacts.c.phone, "").label(
            "contact"
        ),
        t.conversation_messages.c.body,
        deals.title.label("deal"),
        deals.status.label("deal_status"),
        insights.intent,
        insights.score,
        insights.next_step,
    )
    .select_from(t.event_log)
    .join(t.organizations, t.organizations.c.id == t.event_log.c.org_id)
    .join(
        t.conversation_messages,
        sa.and_(
            t.conversation_messages.c.org_id == t.event_log.c.org_id,
            t.conversation_messages.c.id == _event_id("message_id"),
        ),
    )
    .join(
        t.contacts,
        sa.and_(
            t.contacts.c.org_id == t.event_log.c.org_id,
            t.contacts.c.id == _event_id("contact_id"),
        ),
    )
    .join(
        t.deals,
        sa.and_(deals.org_id == t.event_log.c.org_id, deals.id == _event_id("deal_id")),
    )
    .outerjoin(
        t.deal_insights,
        sa.and_(insights.org_id == deals.org_id, insights.deal_id == deals.id),
    )
    .where(t.event_log.c.type == LEAD_CAPTURED)
    .order_by(t.event_log.c.created_at.desc(), t.event_log.c.id.desc())
)


@dataclass(frozen=True, slots=True)
class PostgresLeadReader(LeadReader):
    """The event log, read with what its ids point at."""

    db: UnitOfWork

    async def latest(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        leads = LATEST_LEADS.limit(limit)
        if org_id is not None:
            leads = leads.where(t.event_log.c.org_id == org_id)
        found = (await self.db.execute(leads)).mappings().all()
        return [
            Lead(
                **{
                    **row,
                    "channel": Channel(row["channel"]),
                    "deal_status": DealStatus(row["deal_status"]),
                }
            )
            for row in reversed(found)
        ]
