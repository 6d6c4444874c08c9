"""Transactions over PostgreSQL, each in bounded time and under the role of its actor."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from application.errors import SchemaOutdated
from application.ports.storage import Repositories, Transactions
from domain.actor import Actor, SignedInUser, WebhookWriter
from infrastructure.postgres.connections import PostgresConnectionRepository
from infrastructure.postgres.contacts import PostgresContactRepository
from infrastructure.postgres.deals import PostgresDealRepository
from infrastructure.postgres.errors import translate_error
from infrastructure.postgres.events import PostgresEventLog
from infrastructure.postgres.failed_messages import PostgresFailedMessageRepository
from infrastructure.postgres.ingest_snapshot import PostgresIngestSnapshotReader
from infrastructure.postgres.insights import PostgresInsightRepository
from infrastructure.postgres.lead_reader import PostgresLeadReader
from infrastructure.postgres.messages import PostgresMessageRepository
from infrastructure.postgres.migrations import find_newest_revision
from infrastructure.postgres.organizations import PostgresOrganizationRepository
from infrastructure.postgres.pools import PEOPLE_ROLE
from infrastructure.postgres.session import PostgresSession
from infrastructure.postgres.state_changes import PostgresChangeRepository
from infrastructure.postgres.threads import PostgresThreadRepository
from infrastructure.postgres.unmatched_messages import PostgresUnmatchedRepository
from infrastructure.postgres.users import PostgresSessionRepository, PostgresUserRepository

TRANSACTION_TIMEOUT_SECONDS = 4.0
"""Meta wants its answer within 5 s. After 4 s a delivery is spooled, and a person gets a 503 (D30)."""

# Local to the transaction, so that no claims stay with the connection.
ACT_AS_PERSON = sa.text(
    f"SELECT set_config('role', '{PEOPLE_ROLE}', true),"
    " set_config('request.jwt.claims', :claims, true)"
)


@dataclass(frozen=True, slots=True)
class PostgresTransactions(Transactions):
    """Transactions over one pool for each type of actor (D26).

    A transaction takes `timeout_seconds` at most, waiting for a connection included. An actor
    without a pool is a mistake in the wiring, and raises RuntimeError.
    """

    pools: Mapping[type[Actor], AsyncEngine]
    timeout_seconds: float = TRANSACTION_TIMEOUT_SECONDS

    @asynccontextmanager
    async def begin(self, actor: Actor) -> AsyncIterator[Repositories]:
        async with self._connect(actor) as connection:
            session = PostgresSession(connection)
            yield Repositories(
                organizations=PostgresOrganizationRepository(session),
                users=PostgresUserRepository(session),
                connections=PostgresConnectionRepository(session),
                snapshots=PostgresIngestSnapshotReader(session),
                contacts=PostgresContactRepository(session),
                threads=PostgresThreadRepository(session),
                messages=PostgresMessageRepository(session),
                changes=PostgresChangeRepository(session),
                deals=PostgresDealRepository(session),
                insights=PostgresInsightRepository(session),
                events=PostgresEventLog(session),
                failed_messages=PostgresFailedMessageRepository(session),
                unmatched=PostgresUnmatchedRepository(session),
                sessions=PostgresSessionRepository(session),
                leads=PostgresLeadReader(session),
            )
            await session.commit()

    async def check_ready(self) -> None:
        async with self._connect(WebhookWriter()) as connection:
            version = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        needed = find_newest_revision()
        if version != needed:
            raise SchemaOutdated(
                f"the schema is at revision {version} and not at {needed}: run leadport migrate"
            )

    @asynccontextmanager
    async def _connect(self, actor: Actor) -> AsyncIterator[AsyncConnection]:
        pool = self.pools.get(type(actor))
        if pool is None:
            raise RuntimeError(f"there is no connection pool for {type(actor).__name__}")
        try:
            async with asyncio.timeout(self.timeout_seconds), pool.connect() as connection:
                if isinstance(actor, SignedInUser):
                    claims = json.dumps({"sub": str(actor.user_id), "role": PEOPLE_ROLE})
                    await connection.execute(ACT_AS_PERSON, {"claims": claims})
                yield connection
        # TimeoutError is an OSError
        except (DBAPIError, psycopg.Error, PoolTimeout, OSError) as error:
            raise translate_error(error) from None
