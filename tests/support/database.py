"""What tests of PostgreSQL share: pools in which every actor is the database's owner, and flushes."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from application.ports.storage import Repositories
from domain.actor import Actor, Authenticator, Operator, SignedInUser, WebhookWriter
from infrastructure.postgres.session import PostgresSession

ACTOR_TYPES: tuple[type[Actor], ...] = (WebhookWriter, Authenticator, SignedInUser, Operator)


def share_pool(pool: AsyncEngine) -> dict[type[Actor], AsyncEngine]:
    """Give every actor the same pool."""
    return dict.fromkeys(ACTOR_TYPES, pool)


async def flush(repos: Repositories) -> None:
    """Send the writes that a PostgreSQL transaction has deferred."""
    session: PostgresSession = repos.organizations.session  # type: ignore[attr-defined]
    await session.execute(sa.text("SELECT 1"))  # a statement sends them first
