"""Reads and writes the tables `auth.users` and `ended_sessions`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from application.ports.storage import SessionRepository, UserRepository
from domain.organization import User, UserId
from infrastructure.postgres import tables
from infrastructure.postgres.session import PostgresSession

SELECT_USERS = sa.select(
    tables.users.c.id,
    tables.users.c.email,
    tables.users.c.encrypted_password.label("password_hash"),
)


@dataclass(frozen=True, slots=True)
class PostgresUserRepository(UserRepository):
    """Table `auth.users`, which on Supabase is Supabase's own."""

    session: PostgresSession

    async def find_by_email(self, email: str) -> User | None:
        same = sa.func.lower(tables.users.c.email) == email.lower()
        row = (await self.session.execute(SELECT_USERS.where(same))).mappings().first()
        return User(**row) if row else None

    async def add(self, user: User) -> None:
        row = {"id": user.id, "email": user.email, "encrypted_password": user.password_hash}
        await self.session.execute(insert(tables.users).values(row))

    async def change_password(self, user_id: UserId, password_hash: str) -> None:
        await self.session.execute(
            sa.update(tables.users)
            .where(tables.users.c.id == user_id)
            .values(encrypted_password=password_hash)
        )


@dataclass(frozen=True, slots=True)
class PostgresSessionRepository(SessionRepository):
    """Table `ended_sessions`."""

    session: PostgresSession

    async def end(self, id: UUID, expires_at: datetime) -> None:
        ended = insert(tables.ended_sessions).values(id=id, expires_at=expires_at)
        await self.session.execute(ended.on_conflict_do_nothing())

    async def is_ended(self, id: UUID) -> bool:
        query = sa.select(sa.exists().where(tables.ended_sessions.c.id == id))
        return bool((await self.session.execute(query)).scalar())
