"""The unit of work: one database transaction, in bounded time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from application.errors import StorageUnavailable
from application.ports import Repositories, Transactions
from domain.organization import UserId
from infrastructure.postgres.changes import PostgresChangeRepository
from infrastructure.postgres.connections import PostgresConnectionRepository
from infrastructure.postgres.conversations import (
    PostgresContactRepository,
    PostgresMessageRepository,
    PostgresThreadRepository,
)
from infrastructure.postgres.errors import translated
from infrastructure.postgres.failures import (
    PostgresFailedMessageRepository,
    PostgresUnmatchedRepository,
)
from infrastructure.postgres.intake import PostgresIntakeRepository
from infrastructure.postgres.leads import (
    PostgresDealRepository,
    PostgresEventLog,
    PostgresInsightRepository,
    PostgresLeadReader,
)
from infrastructure.postgres.migrations import head
from infrastructure.postgres.organizations import (
    PostgresOrganizationRepository,
    PostgresSessionRepository,
    PostgresUserRepository,
)
from infrastructure.postgres.unit_of_work import UnitOfWork

PATIENCE = 4.0
"""Meta wants its answer within 5 s, and a 503 in time is better than none."""


# What the roles of migration 0002 are for.
WEBHOOK, SIGN_IN, PEOPLE = "leadport_ingest", "leadport_auth", "authenticated"

BY_KEYS = "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan"
"""The webhook writer looks everything up by its key. A plan that was made for a table of some rows
would read all of it, and go on when it has a million: until somebody analyses the table."""


def open_pool(database_url: str, *, role: str | None = None, size: int = 10) -> AsyncEngine:
    """A pool of at most `size` connections to any URL or key=value string that libpq takes.

    libpq reads it, not SQLAlchemy: so several hosts and `target_session_attrs` work. Each
    connection acts as `role` from its first statement on; without one as its owner, which only
    operators' commands do.
    """
    given = conninfo_to_dict(database_url)
    defaults: dict[str, str | int] = {"connect_timeout": 2, "application_name": "leadport"}
    conninfo = make_conninfo(database_url, **{k: defaults[k] for k in defaults.keys() - given})

    async def connect() -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(conninfo)
        if role is not None:
            await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        if role == WEBHOOK:
            await connection.execute(BY_KEYS)
            connection.prepare_threshold = 0
        await connection.commit()
        return connection

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_use_lifo=True,  # the one that was used last has its statements prepared
        hide_parameters=True,  # message texts and numbers stay out of errors and logs
    )


# Local to the transaction, so that nothing of a person stays with the connection.
ACT_AS_PERSON = sa.text(
    f"SELECT set_config('role', '{PEOPLE}', true), set_config('request.jwt.claims', :claims, true)"
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
            db = UnitOfWork(connection)
            yield Repositories(
                organizations=PostgresOrganizationRepository(db),
                users=PostgresUserRepository(db),
                connections=PostgresConnectionRepository(db),
                intake=PostgresIntakeRepository(db),
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

    async def ready(self) -> None:
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
                    claims = json.dumps({"sub": str(person), "role": PEOPLE})
                    await db.execute(ACT_AS_PERSON, {"claims": claims})
                yield db
        # TimeoutError is an OSError
        except (DBAPIError, psycopg.Error, PoolTimeout, OSError) as error:
            raise translated(error) from None
