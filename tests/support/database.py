"""PostgreSQL transactions for tests in which every actor is the owner of the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from application.ports.storage import Repositories, Transactions
from domain.actor import Actor, Authenticator, Operator, SignedInUser, WebhookWriter
from infrastructure.postgres.pools import open_pool
from infrastructure.postgres.session import PostgresSession
from infrastructure.postgres.transactions import PostgresTransactions

ACTOR_TYPES: tuple[type[Actor], ...] = (WebhookWriter, Authenticator, SignedInUser, Operator)


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Transactions]:
    """Open transactions in which every actor is the owner of the database."""
    pool = open_pool(url)
    # A busy machine is no failure.
    yield PostgresTransactions(share_pool(pool), timeout_seconds=60)
    await pool.dispose()


def share_pool(pool: AsyncEngine) -> dict[type[Actor], AsyncEngine]:
    """Give every actor the same pool."""
    return dict.fromkeys(ACTOR_TYPES, pool)


async def flush(repos: Repositories) -> None:
    """Send the writes that a PostgreSQL transaction has deferred."""
    session: PostgresSession = repos.organizations.session  # type: ignore[attr-defined]
    await session.execute(sa.text("SELECT 1"))  # a statement sends them first
