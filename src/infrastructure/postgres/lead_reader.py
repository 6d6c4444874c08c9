"""Reads leads: `lead_captured` events joined with the rows that their ids name."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from application.ports.storage import LeadReader
from domain.connection import Channel
from domain.deal import DealStatus
from domain.event import LEAD_CAPTURED
from domain.lead import Lead
from domain.organization import OrgId
from infrastructure.postgres import tables
from infrastructure.postgres.session import PostgresSession


def _cast_payload_id(name: str) -> sa.ColumnElement[object]:
    return sa.cast(tables.event_log.c.payload[name].astext, UUID())


LIST_LEADS = (
    sa.select(
        tables.event_log.c.created_at.label("captured_at"),
        tables.event_log.c.org_id,
        tables.organizations.c.name.label("organization"),
        tables.conversation_messages.c.channel,
        tables.conversation_messages.c.external_id,
        sa.func.coalesce(
            sa.func.nullif(tables.contacts.c.name, ""), tables.contacts.c.phone, ""
        ).label("contact"),
        tables.conversation_messages.c.body,
        tables.deals.c.title.label("deal"),
        tables.deals.c.status.label("deal_status"),
        tables.deal_insights.c.intent,
        tables.deal_insights.c.score,
        tables.deal_insights.c.next_step,
    )
    .select_from(tables.event_log)
    .join(tables.organizations, tables.organizations.c.id == tables.event_log.c.org_id)
    .join(
        tables.conversation_messages,
        sa.and_(
            tables.conversation_messages.c.org_id == tables.event_log.c.org_id,
            tables.conversation_messages.c.id == _cast_payload_id("message_id"),
        ),
    )
    .join(
        tables.contacts,
        sa.and_(
            tables.contacts.c.org_id == tables.event_log.c.org_id,
            tables.contacts.c.id == _cast_payload_id("contact_id"),
        ),
    )
    .join(
        tables.deals,
        sa.and_(
            tables.deals.c.org_id == tables.event_log.c.org_id,
            tables.deals.c.id == _cast_payload_id("deal_id"),
        ),
    )
    .outerjoin(
        tables.deal_insights,
        sa.and_(
            tables.deal_insights.c.org_id == tables.deals.c.org_id,
            tables.deal_insights.c.deal_id == tables.deals.c.id,
        ),
    )
    .where(tables.event_log.c.type == LEAD_CAPTURED)
    .order_by(tables.event_log.c.created_at.desc(), tables.event_log.c.id.desc())
)


@dataclass(frozen=True, slots=True)
class PostgresLeadReader(LeadReader):
    """Table `event_log`, joined with the rows that its ids name."""

    session: PostgresSession

    async def list_latest(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        query = LIST_LEADS.limit(limit)
        if org_id is not None:
            query = query.where(tables.event_log.c.org_id == org_id)
        rows = (await self.session.execute(query)).mappings().all()
        return [
            Lead(
                **{
                    **row,
                    "channel": Channel(row["channel"]),
                    "deal_status": DealStatus(row["deal_status"]),
                }
            )
            for row in reversed(rows)
        ]
