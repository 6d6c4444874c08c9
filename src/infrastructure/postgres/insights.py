"""Writes the table `deal_insights`."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from application.ports.storage import InsightRepository
from domain.deal import DealId
from domain.insight import Description, Insight
from domain.message import MessageKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import columns_of, insert_rows, json_rows, key_rows
from infrastructure.postgres.messages import MESSAGE_KEY
from infrastructure.postgres.session import BatchWrite, PostgresSession

INSIGHT = columns_of(tables.deal_insights, Insight)

SAID = ("summary", "intent", "score", "next_step")

_new = insert_rows("new_insights", INSIGHT, ("org_id", "deal_id"))

PUT_INSIGHTS = BatchWrite.of(
    "new_insights",
    _new.on_conflict_do_update(
        index_elements=["org_id", "deal_id"],
        set_={
            name: _new.excluded[name]
            for name in (*SAID, "provider", "updated_at", "message_external_id")
        },
        # Insight.rank, in code point order as Python compares
        where=sa.tuple_(_new.excluded.updated_at, _new.excluded.message_external_id.collate("C"))
        >= sa.tuple_(tables.deal_insights.c.updated_at, tables.deal_insights.c.message_external_id),
    ),
    is_all=False,
)

_said = json_rows("said", [*MESSAGE_KEY, *(tables.deal_insights.c[name] for name in SAID)])

REDESCRIBE = (
    sa.update(tables.deal_insights)
    .where(
        *(column == _said.c[column.name] for column in MESSAGE_KEY),
        sa.tuple_(tables.conversation_threads.c.org_id, tables.conversation_threads.c.id)
        == sa.tuple_(
            tables.conversation_messages.c.org_id, tables.conversation_messages.c.thread_id
        ),
        sa.tuple_(tables.deals.c.org_id, tables.deals.c.contact_id)
        == sa.tuple_(
            tables.conversation_threads.c.org_id, tables.conversation_threads.c.contact_id
        ),
        sa.tuple_(tables.deal_insights.c.org_id, tables.deal_insights.c.deal_id)
        == sa.tuple_(tables.deals.c.org_id, tables.deals.c.id),
        tables.deal_insights.c.message_external_id == _said.c.external_id,
    )
    .values({name: _said.c[name] for name in SAID})
)


@dataclass(frozen=True, slots=True)
class PostgresInsightRepository(InsightRepository):
    """Table `deal_insights`."""

    db: PostgresSession

    async def upsert(self, insights: Mapping[DealId, Insight]) -> None:
        self.db.defer_write(PUT_INSIGHTS, insights.values())

    async def replace_descriptions(self, messages: Mapping[MessageKey, Description]) -> None:
        if messages:
            said = [(*key, *(getattr(d, name) for name in SAID)) for key, d in messages.items()]
            given = key_rows(said, [*MessageKey._fields, *SAID])
            await self.db.execute(REDESCRIBE, {"said": given})
