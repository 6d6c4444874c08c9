"""Organisations, their members, and the people who can sign in."""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from application.ports import OrganizationRepository, SessionRepository, UserRepository
from domain.organization import Member, Membership, Organization, OrgId, Role, User, UserId
from infrastructure.postgres import tables as t
from infrastructure.postgres.batches import columns_of
from infrastructure.postgres.unit_of_work import UnitOfWork

ORGANIZATIONS = sa.select(*columns_of(t.organizations, Organization)).order_by(t.organizations.c.id)
MEMBERS = sa.select(*columns_of(t.org_members, Member)).order_by(t.org_members.c.id)
MEMBERSHIPS = (
    sa.select(t.organizations.c.id, t.organizations.c.name, t.org_members.c.role)
    .join(t.org_members, t.org_members.c.org_id == t.organizations.c.id)
    .order_by(t.org_members.c.id)
)
USERS = sa.select(
    t.users.c.id, t.users.c.email, t.users.c.encrypted_password.label("password_hash")
)


@dataclass(frozen=True, slots=True)
class PostgresOrganizationRepository(OrganizationRepository):
    """Tables `organizations` and `org_members`."""

    db: UnitOfWork

    async def add(self, organization: Organization) -> None:
        await self.db.execute(insert(t.organizations).values(asdict(organization)))

    async def get(self, org_id: OrgId) -> Organization | None:
        found = await self.db.execute(ORGANIZATIONS.where(t.organizations.c.id == org_id))
        row = found.mappings().one_or_none()
        return Organization(**row) if row else None

    async def all(self) -> list[Organization]:
        return [Organization(**row) for row in (await self.db.execute(ORGANIZATIONS)).mappings()]

    async def of(self, user_id: UserId) -> list[Membership]:
        found = await self.db.execute(MEMBERSHIPS.where(t.org_members.c.user_id == user_id))
        return [
            Membership(organization=Organization(id=id_, name=name), role=Role(role))
            for id_, name, role in found
        ]

    async def put_member(self, member: Member) -> None:
        new = insert(t.org_members).values(asdict(member))
        changed = {"role": new.excluded.role}
        await self.db.execute(
            new.on_conflict_do_update(index_elements=["org_id", "user_id"], set_=changed)
        )

    async def members(self, org_id: OrgId) -> list[Member]:
        found = await self.db.execute(MEMBERS.where(t.org_members.c.org_id == org_id))
        return [Member(**{**row, "role": Role(row["role"])}) for row in found.mappings()]


@dataclass(frozen=True, slots=True)
class PostgresUserRepository(UserRepository):
    """Table `auth.users`, which on Supabase is Supabase's own."""

    db: UnitOfWork

    async def by_email(self, email: str) -> User | None:
        same = sa.func.lower(t.users.c.email) == email.lower()
        row = (await self.db.execute(USERS.where(same))).mappings().first()
        return User(**row) if row else None

    async def add(self, user: User) -> None:
        row = {"id": user.id, "email": user.email, "encrypted_password": user.password_hash}
        await self.db.execute(insert(t.users).values(row))

    async def change_password(self, user_id: UserId, password_hash: str) -> None:
        await self.db.execute(
            sa.update(t.users)
            .where(t.users.c.id == user_id)
            .values(encrypted_password=password_hash)
        )


@dataclass(frozen=True, slots=True)
class PostgresSessionRepository(SessionRepository):
    """Table `ended_sessions`."""

    db: UnitOfWork

    async def end(self, id: UUID, expires_at: datetime) -> None:
        ended = insert(t.ended_sessions).values(id=id, expires_at=expires_at)
        await self.db.execute(ended.on_conflict_do_nothing())

    async def is_ended(self, id: UUID) -> bool:
        query = sa.select(sa.exists().where(t.ended_sessions.c.id == id))
        return bool((await self.db.execute(query)).scalar())
