"""Which organisation a number or account belongs to."""

from collections.abc import Set
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from application.ports import ConnectionRepository
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.errors import NumberConnectedElsewhere
from domain.organization import OrgId
from infrastructure.postgres.batches import columns_of, key_arrays, rows
from infrastructure.postgres.errors import violated_constraint
from infrastructure.postgres.tables import channel_connections as t

CONNECTION = columns_of(t, Connection)
CONNECTIONS = sa.select(*CONNECTION)

_wanted = rows("wanted", [t.c.channel, t.c.external_id])
ENABLED = sa.select(*CONNECTION).where(
    t.c.provider == sa.literal_column("'meta'"),
    t.c.channel == _wanted.c.channel,
    t.c.external_id == _wanted.c.external_id,
    t.c.is_enabled,
)


@dataclass(frozen=True, slots=True)
class PostgresConnectionRepository(ConnectionRepository):
    """Table `channel_connections`."""

    db: AsyncConnection

    async def enabled(self, addresses: Set[Address]) -> dict[Address, Connection]:
        found = await self.db.execute(ENABLED, key_arrays("wanted", addresses, Address._fields))
        connections = [_connection(row) for row in found.mappings()]
        return {connection.address: connection for connection in connections}

    async def get(self, org_id: OrgId, address: Address) -> Connection | None:
        found = await self.db.execute(
            CONNECTIONS.where(
                t.c.org_id == org_id,
                t.c.channel == address.channel,
                t.c.external_id == address.external_id,
            )
        )
        row = found.mappings().one_or_none()
        return _connection(row) if row else None

    async def put(self, connection: Connection) -> Connection:
        new = insert(t).values(asdict(connection))
        changed = {
            "display_name": new.excluded.display_name,
            "is_enabled": new.excluded.is_enabled,
            "updated_at": sa.func.now(),
        }
        unique = ["org_id", "provider", "channel", "external_id"]
        upsert = new.on_conflict_do_update(index_elements=unique, set_=changed)
        try:
            stored = await self.db.execute(upsert.returning(*CONNECTION))
        except IntegrityError as error:
            if violated_constraint(error) == "idx_channel_connections_lookup":
                raise NumberConnectedElsewhere from None
            raise
        return _connection(stored.mappings().one())

    async def of(self, org_id: OrgId) -> list[Connection]:
        found = await self.db.execute(CONNECTIONS.where(t.c.org_id == org_id).order_by(t.c.id))
        return [_connection(row) for row in found.mappings()]

    async def remove(self, org_id: OrgId, id: ConnectionId) -> bool:
        removed = await self.db.execute(
            sa.delete(t).where(t.c.org_id == org_id, t.c.id == id).returning(t.c.id)
        )
        return removed.first() is not None


def _connection(row: sa.RowMapping) -> Connection:
    values: dict[str, Any] = {**row, "channel": Channel(row["channel"])}
    return Connection(**values)
