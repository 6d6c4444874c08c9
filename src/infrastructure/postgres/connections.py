"""Which organisation a number or account belongs to."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from application.errors import ConcurrentUpdate
from application.ports.storage import ConnectionRepository
from domain.connection import Address, Channel, Connection, ConnectionActivity, ConnectionId
from domain.errors import NumberConnectedElsewhere
from domain.message import Direction
from domain.organization import OrgId
from infrastructure.postgres.batches import columns_of, json_rows, key_rows
from infrastructure.postgres.errors import violated_constraint
from infrastructure.postgres.session import PostgresSession
from infrastructure.postgres.tables import channel_connections as t
from infrastructure.postgres.tables import conversation_messages, conversation_threads

CONNECTIONS = sa.select(*columns_of(t, Connection))

# All that the webhook writer may read: access tokens are none of its business.
_wanted = json_rows("wanted", [t.c.channel, t.c.external_id])
ENABLED = sa.select(t.c.id, t.c.org_id, t.c.channel, t.c.external_id).where(
    t.c.provider == sa.literal_column("'meta'"),
    t.c.channel == _wanted.c.channel,
    t.c.external_id == _wanted.c.external_id,
    t.c.is_enabled,
)

IDENTIFYING = ("id", "org_id", "provider", "channel", "external_id")
CHANGEABLE = ("display_name", "access_token", "is_enabled")

_recent = (
    sa.select(sa.func.count())
    .where(
        conversation_messages.c.thread_id == conversation_threads.c.id,
        conversation_messages.c.sent_at >= sa.bindparam("since"),
        conversation_messages.c.direction == sa.literal_column(f"'{Direction.INBOUND}'"),
    )
    .correlate(conversation_threads)
    .scalar_subquery()
)
ACTIVITY = (
    sa.select(
        conversation_threads.c.connection_id,
        sa.func.max(conversation_threads.c.last_message_at),
        sa.cast(
            # Only of threads that go on: the others have no recent message.
            sa.func.sum(
                sa.case(
                    (conversation_threads.c.last_message_at >= sa.bindparam("since"), _recent),
                    else_=0,
                )
            ),
            sa.Integer,
        ),
    )
    .where(
        conversation_threads.c.org_id == sa.bindparam("org_id"),
        conversation_threads.c.connection_id.is_not(None),
    )
    .group_by(conversation_threads.c.connection_id)
)


@dataclass(frozen=True, slots=True)
class PostgresConnectionRepository(ConnectionRepository):
    """Table `channel_connections`."""

    db: PostgresSession

    async def find_enabled(self, addresses: Set[Address]) -> dict[Address, Connection]:
        wanted = key_rows(addresses, Address._fields)
        found = await self.db.execute(ENABLED, {"wanted": wanted})
        connections = [_connection(row) for row in found.mappings()]
        return {connection.address: connection for connection in connections}

    async def get_for_update(self, org_id: OrgId, address: Address) -> Connection | None:
        found = await self.db.execute(
            CONNECTIONS.where(
                t.c.org_id == org_id,
                t.c.channel == address.channel,
                t.c.external_id == address.external_id,
            ).with_for_update()
        )
        row = found.mappings().one_or_none()
        return _connection(row) if row else None

    async def find_by_id(self, id: ConnectionId) -> Connection | None:
        found = await self.db.execute(CONNECTIONS.where(t.c.id == id))
        row = found.mappings().one_or_none()
        return _connection(row) if row else None

    async def add(self, connection: Connection) -> Connection:
        written = {name: getattr(connection, name) for name in (*IDENTIFYING, *CHANGEABLE)}
        return await self._write(sa.insert(t).values(written))

    async def update(self, connection: Connection) -> Connection:
        written = {name: getattr(connection, name) for name in CHANGEABLE}
        same = (t.c.org_id == connection.org_id, t.c.id == connection.id)
        return await self._write(
            sa.update(t).where(*same).values(**written, updated_at=sa.func.now())
        )

    async def _write(self, statement: sa.Insert | sa.Update) -> Connection:
        try:
            found = await self.db.execute(statement.returning(*columns_of(t, Connection)))
        except IntegrityError as error:
            if violated_constraint(error) == "idx_channel_connections_lookup":
                raise NumberConnectedElsewhere from None
            raise
        row = found.mappings().one_or_none()
        if row is None:
            raise ConcurrentUpdate
        return _connection(row)

    async def list_for_organization(self, org_id: OrgId) -> list[Connection]:
        found = await self.db.execute(CONNECTIONS.where(t.c.org_id == org_id).order_by(t.c.id))
        return [_connection(row) for row in found.mappings()]

    async def read_activity(
        self, org_id: OrgId, since: datetime
    ) -> dict[ConnectionId, ConnectionActivity]:
        found = await self.db.execute(ACTIVITY, {"org_id": org_id, "since": since})
        return {
            id_: ConnectionActivity(last_message_at=last, messages_last_day=recent)
            for id_, last, recent in found
        }

    async def list_not_encrypted_with(self, prefix: str, limit: int) -> list[Connection]:
        other = t.c.access_token.is_not(None) & ~t.c.access_token.startswith(
            prefix, autoescape=True
        )
        found = await self.db.execute(
            CONNECTIONS.where(other).order_by(t.c.id).limit(limit).with_for_update()
        )
        return [_connection(row) for row in found.mappings()]

    async def remove(self, id: ConnectionId) -> bool:
        removed = await self.db.execute(sa.delete(t).where(t.c.id == id).returning(t.c.id))
        return removed.first() is not None


def _connection(row: sa.RowMapping) -> Connection:
    values: dict[str, Any] = {**row, "channel": Channel(row["channel"])}
    return Connection(**values)
