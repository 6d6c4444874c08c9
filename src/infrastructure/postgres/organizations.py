"""Organisations, their members, and the people who can sign in."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from application.ports import OrganizationRepository, UserRepository
from domain.organization import Member, Organization, OrgId, Role, User
from infrastructure.postgres import tables as t
from infrastructure.postgres.batches import columns_of

ORGANIZATIONS = sa.select(*columns_of(t.organizations, Organization)).order_by(t.organizations.c.id)
MEMBERS = sa.select(*columns_of(t.org_members, Member)).order_by(t.org_members.c.id)
USERS = sa.select(
    t.users.c.id, t.users.c.email, t.users.c.encrypted_password.label("password_hash")
)


@dataclass(frozen=True, slots=True)
class PostgresOrganizationRepository(OrganizationRepository):
    """Tables `organizations` and `org_members`."""

    db: AsyncConnection

    async def add(self, organization: Organization) -> None:
        await self.db.execute(insert(t.organizations).values(asdict(organization)))

    async def get(self, org_id: OrgId) -> Organization | None:
        found = await self.db.execute(ORGANIZATIONS.where(t.organizations.c.id == org_id))
        row = found.mappings().one_or_none()
        return Organization(**row) if row else None

    async def all(self) -> list[Organization]:
        return [Organization(**row) for row in (await self.db.execute(ORGANIZATIONS)).mappings()]

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

    db: AsyncConnection

    async def by_email(self, email: str) -> User | None:
        same = sa.func.lower(t.users.c.email) == email.lower()
        row = (await self.db.execute(USERS.where(same))).mappings().first()
        return User(**row) if row else None

    async def add(self, user: User) -> None:
        row = {"id": user.id, "email": user.email, "encrypted_password": user.password_hash}
        await self.db.execute(insert(t.users).values(row))
