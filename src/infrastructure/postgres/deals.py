"""Reads and writes the table `deals`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from application.ports.storage import DealRepository
from domain.contact import ContactKey
from domain.deal import Deal, DealId, DealStatus
from domain.message import Message
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    cas_rows,
    columns_of,
    compare_and_swap,
    insert_rows,
    json_rows,
    key_rows,
)
from infrastructure.postgres.session import BatchWrite, PostgresSession

DEAL = columns_of(tables.deals, Deal)

# No conflict target: a partial index named with a parameter fails from the eleventh run on, when
# PostgreSQL goes over to a generic plan.
ADD_DEALS = BatchWrite.of(
    "new_deals",
    insert_rows("new_deals", DEAL, ContactKey._fields).on_conflict_do_nothing(),
)

_first = json_rows("first", [tables.deals.c.org_id, tables.deals.c.message_id])

NAMED_AFTER = sa.select(*DEAL).where(
    tables.deals.c.org_id == _first.c.org_id, tables.deals.c.message_id == _first.c.message_id
)

CHANGEABLE = [tables.deals.c.title, tables.deals.c.message_id, tables.deals.c.source]

CHANGE_DEALS = BatchWrite.of("known_deals", compare_and_swap("known_deals", CHANGEABLE))


@dataclass(frozen=True, slots=True)
class PostgresDealRepository(DealRepository):
    """Table `deals`."""

    db: PostgresSession

    async def list_with_first_message_in(self, messages: Collection[Message]) -> list[Deal]:
        if not messages:
            return []
        first = key_rows({(m.org_id, m.id) for m in messages}, ["org_id", "message_id"])
        found = (await self.db.execute(NAMED_AFTER, {"first": first})).mappings()
        return [_deal(row) for row in found]

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        self.db.defer_write(ADD_DEALS, deals.values())

    async def compare_and_swap(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        self.db.defer_write(CHANGE_DEALS, cas_rows(deals.values(), CHANGEABLE))


def _deal(row: Mapping[Any, Any]) -> Deal:
    fields = {column.name: row[column.name] for column in DEAL}
    return Deal(**{**fields, "status": DealStatus(row["status"])})
