"""Reads and writes the tables `organizations` and `org_members`."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from application.ports.storage import OrganizationRepository
from domain.organization import Member, Membership, Organization, OrgId, Role, UserId
from infrastructure.postgres import tables
from infrastructure.postgres.batches import columns_of
from infrastructure.postgres.session import PostgresSession

ORGANIZATIONS = sa.select(*columns_of(tables.organizations, Organization)).order_by(
    tables.organizations.c.id
)

MEMBERS = sa.select(*columns_of(tables.org_members, Member)).order_by(tables.org_members.c.id)

MEMBERSHIPS = (
    sa.select(tables.organizations.c.id, tables.organizations.c.name, tables.org_members.c.role)
    .join(tables.org_members, tables.org_members.c.org_id == tables.organizations.c.id)
    .order_by(tables.org_members.c.id)
)


@dataclass(frozen=True, slots=True)
class PostgresOrganizationRepository(OrganizationRepository):
    """Tables `organizations` and `org_members`."""

    db: PostgresSession

    async def add(self, organization: Organization) -> None:
        await self.db.execute(insert(tables.organizations).values(asdict(organization)))

    async def get(self, org_id: OrgId) -> Organization | None:
        found = await self.db.execute(ORGANIZATIONS.where(tables.organizations.c.id == org_id))
        row = found.mappings().one_or_none()
        return Organization(**row) if row else None

    async def list_all(self) -> list[Organization]:
        return [Organization(**row) for row in (await self.db.execute(ORGANIZATIONS)).mappings()]

    async def list_for_user(self, user_id: UserId) -> list[Membership]:
        found = await self.db.execute(MEMBERSHIPS.where(tables.org_members.c.user_id == user_id))
        return [
            Membership(organization=Organization(id=id_, name=name), role=Role(role))
            for id_, name, role in found
        ]

    async def upsert_member(self, member: Member) -> None:
        new = insert(tables.org_members).values(asdict(member))
        changed = {"role": new.excluded.role}
        await self.db.execute(
            new.on_conflict_do_update(index_elements=["org_id", "user_id"], set_=changed)
        )

    async def list_members(self, org_id: OrgId) -> list[Member]:
        found = await self.db.execute(MEMBERS.where(tables.org_members.c.org_id == org_id))
        return [Member(**{**row, "role": Role(row["role"])}) for row in found.mappings()]
