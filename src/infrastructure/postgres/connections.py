"""Reads and writes the table `channel_connections`, and reads the activity of connections."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from application.errors import ConcurrentUpdate
from application.ports.storage import ConnectionRepository
from domain.access_token import EncryptedToken
from domain.connection import Address, Channel, Connection, ConnectionActivity, ConnectionId
from domain.errors import NumberConnectedElsewhere
from domain.message import Direction
from domain.organization import OrgId
from infrastructure.postgres import tables
from infrastructure.postgres.batches import list_columns
from infrastructure.postgres.errors import get_violated_constraint
from infrastructure.postgres.session import PostgresSession

_connections = tables.channel_connections.c
_threads, _messages = tables.conversation_threads.c, tables.conversation_messages.c

SELECT_CONNECTIONS = sa.select(*list_columns(tables.channel_connections, Connection))

IDENTIFYING_FIELDS = ("id", "org_id", "provider", "channel", "external_id")
CHANGEABLE_FIELDS = ("display_name", "access_token", "is_enabled")

_count_recent = (
    sa.select(sa.func.count())
    .where(
        _messages.thread_id == _threads.id,
        _messages.sent_at >= sa.bindparam("since"),
        _messages.direction == sa.literal_column(f"'{Direction.INBOUND}'"),
    )
    .correlate(tables.conversation_threads)
    .scalar_subquery()
)
READ_ACTIVITY = (
    sa.select(
        _threads.connection_id,
        sa.func.max(_threads.last_message_at),
        sa.cast(
            # Counted only for threads with a recent message.
            sa.func.sum(
                sa.case(
                    (
                        _threads.last_message_at >= sa.bindparam("since"),
                        _count_recent,
                    ),
                    else_=0,
                )
            ),
            sa.Integer,
        ),
    )
    .where(
        _threads.org_id == sa.bindparam("org_id"),
        _threads.connection_id.is_not(None),
    )
    .group_by(_threads.connection_id)
)


@dataclass(frozen=True, slots=True)
class PostgresConnectionRepository(ConnectionRepository):
    """Table `channel_connections`."""

    session: PostgresSession

    async def get_for_update(self, org_id: OrgId, address: Address) -> Connection | None:
        result = await self.session.execute(
            SELECT_CONNECTIONS.where(
                _connections.org_id == org_id,
                _connections.channel == address.channel,
                _connections.external_id == address.external_id,
            ).with_for_update()
        )
        row = result.mappings().one_or_none()
        return _make_connection(row) if row else None

    async def find_by_id(self, id: ConnectionId) -> Connection | None:
        result = await self.session.execute(SELECT_CONNECTIONS.where(_connections.id == id))
        row = result.mappings().one_or_none()
        return _make_connection(row) if row else None

    async def add(self, connection: Connection) -> Connection:
        written = {
            name: getattr(connection, name) for name in (*IDENTIFYING_FIELDS, *CHANGEABLE_FIELDS)
        }
        return await self._write(sa.insert(tables.channel_connections).values(written))

    async def update(self, connection: Connection) -> Connection:
        written = {name: getattr(connection, name) for name in CHANGEABLE_FIELDS}
        same = (_connections.org_id == connection.org_id, _connections.id == connection.id)
        return await self._write(
            sa.update(tables.channel_connections)
            .where(*same)
            .values(**written, updated_at=sa.func.now())
        )

    async def _write(self, statement: sa.Insert | sa.Update) -> Connection:
        try:
            result = await self.session.execute(
                statement.returning(*list_columns(tables.channel_connections, Connection))
            )
        except IntegrityError as error:
            if get_violated_constraint(error) == "idx_channel_connections_lookup":
                raise NumberConnectedElsewhere from None
            raise
        row = result.mappings().one_or_none()
        if row is None:
            raise ConcurrentUpdate
        return _make_connection(row)

    async def list_for_organization(self, org_id: OrgId) -> list[Connection]:
        result = await self.session.execute(
            SELECT_CONNECTIONS.where(_connections.org_id == org_id).order_by(_connections.id)
        )
        return [_make_connection(row) for row in result.mappings()]

    async def read_activity(
        self, org_id: OrgId, since: datetime, only: ConnectionId | None = None
    ) -> dict[ConnectionId, ConnectionActivity]:
        query = READ_ACTIVITY
        if only is not None:
            query = query.where(_threads.connection_id == only)
        result = await self.session.execute(query, {"org_id": org_id, "since": since})
        return {
            id_: ConnectionActivity(last_message_at=last, messages_last_day=recent)
            for id_, last, recent in result
        }

    async def list_not_encrypted_with(self, key_id: str, limit: int) -> list[Connection]:
        prefix = EncryptedToken.make_prefix(key_id)
        other = _connections.access_token.is_not(None) & ~_connections.access_token.startswith(
            prefix, autoescape=True
        )
        result = await self.session.execute(
            SELECT_CONNECTIONS.where(other).order_by(_connections.id).limit(limit).with_for_update()
        )
        return [_make_connection(row) for row in result.mappings()]

    async def remove(self, id: ConnectionId) -> bool:
        removed = await self.session.execute(
            sa.delete(tables.channel_connections)
            .where(_connections.id == id)
            .returning(_connections.id)
        )
        return removed.first() is not None


def _make_connection(row: sa.RowMapping) -> Connection:
    values: dict[str, Any] = {**row, "channel": Channel(row["channel"])}
    return Connection(**values)
