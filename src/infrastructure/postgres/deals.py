"""Reads and writes the table `deals`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from application.ports.storage import SWAPPED_DEAL_FIELDS, DealRepository
from domain.contact import ContactKey
from domain.deal import Deal, DealId, DealStatus
from domain.message import Message
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    BatchParameter,
    build_batch_compare_and_swap,
    build_batch_insert,
    list_columns,
    make_compare_and_swap_rows,
)
from infrastructure.postgres.session import BatchWrite, PostgresSession

_deals = tables.deals.c

DEAL_COLUMNS = list_columns(tables.deals, Deal)

# Without a conflict target: one that names the partial index with a parameter fails from the
# eleventh execution on, when PostgreSQL switches to a generic plan.
ADD_DEALS = BatchWrite.build(
    "new_deals",
    build_batch_insert("new_deals", DEAL_COLUMNS, ContactKey._fields).on_conflict_do_nothing(),
)
_first_messages = BatchParameter("first_messages", [_deals.org_id, _deals.message_id])
LIST_WITH_FIRST_MESSAGE = sa.select(*DEAL_COLUMNS).where(
    _deals.org_id == _first_messages.c.org_id, _deals.message_id == _first_messages.c.message_id
)
SWAPPED_DEAL_COLUMNS = [_deals[name] for name in SWAPPED_DEAL_FIELDS]
SWAP_DEALS = BatchWrite.build(
    "known_deals", build_batch_compare_and_swap("known_deals", SWAPPED_DEAL_COLUMNS)
)


@dataclass(frozen=True, slots=True)
class PostgresDealRepository(DealRepository):
    """Table `deals`."""

    session: PostgresSession

    async def list_with_first_message_in(self, messages: Collection[Message]) -> list[Deal]:
        if not messages:
            return []
        keys = {(message.org_id, message.id) for message in messages}
        result = await self.session.execute(LIST_WITH_FIRST_MESSAGE, _first_messages.bind(keys))
        return [Deal(**{**row, "status": DealStatus(row["status"])}) for row in result.mappings()]

    async def add(self, deals: Mapping[ContactKey, Deal]) -> None:
        self.session.defer_write(ADD_DEALS, deals.values())

    async def compare_and_swap(self, deals: Mapping[DealId, tuple[Deal, Deal]]) -> None:
        rows = make_compare_and_swap_rows(deals.values(), SWAPPED_DEAL_COLUMNS)
        self.session.defer_write(SWAP_DEALS, rows)
