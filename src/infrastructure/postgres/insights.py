"""Writes the table `deal_insights`."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from application.ports.storage import InsightRepository
from domain.deal import DealId
from domain.insight import Description, Insight
from domain.message import MessageKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import BatchParameter, build_batch_insert, list_columns
from infrastructure.postgres.messages import MESSAGE_KEY_COLUMNS
from infrastructure.postgres.session import BatchWrite, PostgresSession

_insights, _deals = tables.deal_insights.c, tables.deals.c
_threads, _messages = tables.conversation_threads.c, tables.conversation_messages.c

DESCRIPTION_FIELDS = ("summary", "intent", "score", "next_step")

_new = build_batch_insert(
    "new_insights", list_columns(tables.deal_insights, Insight), ("org_id", "deal_id")
)
UPSERT_INSIGHTS = BatchWrite.build(
    "new_insights",
    _new.on_conflict_do_update(
        index_elements=["org_id", "deal_id"],
        set_={
            name: _new.excluded[name]
            for name in (*DESCRIPTION_FIELDS, "provider", "updated_at", "message_external_id")
        },
        # Insight.rank (D6). Collation "C" compares by code point, as Python does.
        where=sa.tuple_(_new.excluded.updated_at, _new.excluded.message_external_id.collate("C"))
        >= sa.tuple_(_insights.updated_at, _insights.message_external_id),
    ),
    must_write_all=False,
)

_descriptions = BatchParameter(
    "descriptions", [*MESSAGE_KEY_COLUMNS, *(_insights[name] for name in DESCRIPTION_FIELDS)]
)
REPLACE_DESCRIPTIONS = (
    sa.update(tables.deal_insights)
    .where(
        *(column == _descriptions.c[column.name] for column in MESSAGE_KEY_COLUMNS),
        sa.tuple_(_threads.org_id, _threads.id) == sa.tuple_(_messages.org_id, _messages.thread_id),
        sa.tuple_(_deals.org_id, _deals.contact_id)
        == sa.tuple_(_threads.org_id, _threads.contact_id),
        sa.tuple_(_insights.org_id, _insights.deal_id) == sa.tuple_(_deals.org_id, _deals.id),
        _insights.message_external_id == _descriptions.c.external_id,
    )
    .values({name: _descriptions.c[name] for name in DESCRIPTION_FIELDS})
)


@dataclass(frozen=True, slots=True)
class PostgresInsightRepository(InsightRepository):
    """Table `deal_insights`."""

    session: PostgresSession

    async def upsert(self, insights: Mapping[DealId, Insight]) -> None:
        self.session.defer_write(UPSERT_INSIGHTS, insights.values())

    async def replace_descriptions(self, messages: Mapping[MessageKey, Description]) -> None:
        if messages:
            rows = [
                (*key, *(getattr(description, name) for name in DESCRIPTION_FIELDS))
                for key, description in messages.items()
            ]
            await self.session.execute(REPLACE_DESCRIPTIONS, _descriptions.bind(rows))
