"""Transactions over PostgreSQL, each in bounded time and under the role of its actor."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from application.errors import StorageUnavailable
from application.ports.storage import Repositories, Transactions
from domain.organization import UserId
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
from infrastructure.postgres.migrations import head
from infrastructure.postgres.organizations import PostgresOrganizationRepository
from infrastructure.postgres.pools import PEOPLE_ROLE
from infrastructure.postgres.session import PostgresSession
from infrastructure.postgres.state_changes import PostgresChangeRepository
from infrastructure.postgres.threads import PostgresThreadRepository
from infrastructure.postgres.unmatched_messages import PostgresUnmatchedRepository
from infrastructure.postgres.users import PostgresSessionRepository, PostgresUserRepository

PATIENCE = 4.0
"""Meta wants its answer within 5 s, and a 503 in time is better than none."""

# Local to the transaction, so that nothing of a person stays with the connection.
ACT_AS_PERSON = sa.text(
    f"SELECT set_config('role', '{PEOPLE_ROLE}', true), set_config('request.jwt.claims', :claims, true)"
)


@dataclass(frozen=True, slots=True)
class PostgresTransactions(Transactions):
    """Transactions over pools, each in `patience` seconds, waiting for a connection included.

    `people` is the pool of the role `authenticated`, for transactions of a signed-in person.
    """

    engine: AsyncEngine
    people: AsyncEngine | None = None
    patience: float = PATIENCE

    @asynccontextmanager
    async def begin(self, person: UserId | None = None) -> AsyncIterator[Repositories]:
        async with self._connection(person) as connection:
            db = PostgresSession(connection)
            yield Repositories(
                organizations=PostgresOrganizationRepository(db),
                users=PostgresUserRepository(db),
                connections=PostgresConnectionRepository(db),
                snapshots=PostgresIngestSnapshotReader(db),
                contacts=PostgresContactRepository(db),
                threads=PostgresThreadRepository(db),
                messages=PostgresMessageRepository(db),
                changes=PostgresChangeRepository(db),
                deals=PostgresDealRepository(db),
                insights=PostgresInsightRepository(db),
                events=PostgresEventLog(db),
                failed_messages=PostgresFailedMessageRepository(db),
                unmatched=PostgresUnmatchedRepository(db),
                sessions=PostgresSessionRepository(db),
                leads=PostgresLeadReader(db),
            )
            await db.commit()

    async def check_ready(self) -> None:
        async with self._connection() as db:
            version = await db.scalar(sa.text("SELECT version_num FROM alembic_version"))
        if version != head():
            raise StorageUnavailable("the schema is not up to date: run leadport migrate")

    @asynccontextmanager
    async def _connection(self, person: UserId | None = None) -> AsyncIterator[AsyncConnection]:
        engine = self.engine if person is None else self.people
        if engine is None:
            raise StorageUnavailable("there is no pool for people")
        try:
            async with asyncio.timeout(self.patience), engine.connect() as db:
                if person is not None:
                    claims = json.dumps({"sub": str(person), "role": PEOPLE_ROLE})
                    await db.execute(ACT_AS_PERSON, {"claims": claims})
                yield db
        # TimeoutError is an OSError
        except (DBAPIError, psycopg.Error, PoolTimeout, OSError) as error:
            raise translate_error(error) from None
