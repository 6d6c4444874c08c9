"""What came of it: deals, insights and events."""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from application.ports import (
    DealRepository,
    EventLog,
    InsightRepository,
    LeadReader,
)
from domain.connection import Channel
from domain.contact import ContactKey
from domain.deal import Deal, DealId, DealStatus, Description, Insight, OpenDeal
from domain.event import LEAD_CAPTURED, Event
from domain.leads import Lead
from domain.message import Message, MessageKey
from domain.organization import OrgId
from infrastructure.postgres import tables as t
from infrastructure.postgres.batches import (
    add_all,
    columns_of,
    insert_rows,
    key_arrays,
    rows,
    swap_all,
    swap_rows,
    value_arrays,
)
from infrastructure.postgres.conversations import MESSAGE, MESSAGE_KEY, message_from

deals, insights = t.deals.c, t.deal_insights.c

DEAL = columns_of(t.deals, Deal)
# No conflict target: a partial index named with a parameter fails from the eleventh run on, when
# PostgreSQL goes over to a generic plan.
ADD_DEALS = insert_rows(DEAL).on_conflict_do_nothing().returning(deals.id)
_theirs = rows("theirs", [deals.org_id, deals.contact_id])
# The message a deal is named after comes along, its columns under labels of their own.
_FIRST = [column.label(f"first_{column.name}") for column in MESSAGE]
OPEN_DEALS = (
    sa.select(*DEAL, *_FIRST)
    .select_from(
        t.deals.outerjoin(
            t.conversation_messages,
            sa.and_(
                t.conversation_messages.c.org_id == deals.org_id,
                t.conversation_messages.c.id == deals.message_id,
            ),
        )
    )
    .join(
        _theirs,
        sa.and_(deals.org_id == _theirs.c.org_id, deals.contact_id == _theirs.c.contact_id),
    )
    .where(deals.status == sa.literal_column(f"'{DealStatus.OPEN}'"))
)
_first = rows("first", [deals.org_id, deals.message_id])
NAMED_AFTER = sa.select(*DEAL).where(
    deals.org_id == _first.c.org_id, deals.message_id == _first.c.message_id
)
CHANGEABLE = [deals.title, deals.message_id, deals.source]
CHANGE_DEALS = swap_rows(CHANGEABLE)


@dataclass(frozen=True, slots=True)
class PostgresDealRepository(DealRepository):
    """Table `deals`."""

    db: AsyncConnection

    async def open(self, contacts: Set[ContactKey]) -> dict[ContactKey, OpenDeal]:
        theirs = key_arrays("theirs", contacts, ContactKey._fields)
        found = (await self.db.execute(OPEN_DEALS, theirs)).mappings()
        opened = (OpenDeal(_deal(row), _first_message(row)) for row in found)
        return {ContactKey(o.deal.org_id, o.deal.contact_id): o for o in opened}

    async def named_after(self, messages: Collection[Message]) -> list[Deal]:
        if not messages:
            return []
        first = key_arrays("first", {(m.org_id, m.id) for m in messages}, ["org_id", "message_id"])
        found = (await self.db.execute(NAMED_AFTER, first)).mappings()
        return [_deal(row) for row in found]

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        await add_all(self.db, ADD_DEALS, deals, DEAL)

    async def change(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        await swap_all(self.db, CHANGE_DEALS, deals, CHANGEABLE)


def _deal(row: Mapping[Any, Any]) -> Deal:
    fields = {column.name: row[column.name] for column in DEAL}
    return Deal(**{**fields, "status": DealStatus(row["status"])})


def _first_message(row: Mapping[Any, Any]) -> Message | None:
    if row["first_id"] is None:
        return None
    return message_from({column.name: row[f"first_{column.name}"] for column in MESSAGE})


INSIGHT = columns_of(t.deal_insights, Insight)
SAID = ("summary", "intent", "score", "next_step")
_new = insert_rows(INSIGHT)
PUT_INSIGHTS = _new.on_conflict_do_update(
    index_elements=["org_id", "deal_id"],
    set_={
        name: _new.excluded[name]
        for name in (*SAID, "provider", "updated_at", "message_external_id")
    },
    # Insight.rank, in code point order as Python compares
    where=sa.tuple_(_new.excluded.updated_at, _new.excluded.message_external_id.collate("C"))
    >= sa.tuple_(insights.updated_at, insights.message_external_id),
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

    db: AsyncConnection

    async def put(self, insights: Mapping[DealId, Insight]) -> None:
        if insights:
            by_deal = {(i.org_id, i.deal_id): i for i in insights.values()}
            await self.db.execute(PUT_INSIGHTS, value_arrays(by_deal, INSIGHT))

    async def redescribe(self, messages: Mapping[MessageKey, Description]) -> None:
        if messages:
            said = [(*key, *(getattr(d, name) for name in SAID)) for key, d in messages.items()]
            await self.db.execute(
                REDESCRIBE, key_arrays("said", said, [*MessageKey._fields, *SAID])
            )


EVENT = columns_of(t.event_log, Event)
APPEND_EVENTS = insert_rows(EVENT)


@dataclass(frozen=True, slots=True)
class PostgresEventLog(EventLog):
    """Table `event_log`."""

    db: AsyncConnection

    async def append(self, events: Collection[Event]) -> None:
        if events:
            await self.db.execute(APPEND_EVENTS, value_arrays({e.id: e for e in events}, EVENT))


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

    db: AsyncConnection

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
