"""Reads and writes the tables `organizations` and `org_members`."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from application.ports.storage import OrganizationRepository
from domain.organization import Member, Membership, Organization, OrgId, Role, UserId
from infrastructure.postgres import tables
from infrastructure.postgres.batches import list_columns
from infrastructure.postgres.session import PostgresSession

LIST_ORGANIZATIONS = sa.select(*list_columns(tables.organizations, Organization)).order_by(
    tables.organizations.c.id
)


LIST_MEMBERSHIPS = (
    sa.select(tables.organizations.c.id, tables.organizations.c.name, tables.org_members.c.role)
    .join(tables.org_members, tables.org_members.c.org_id == tables.organizations.c.id)
    .order_by(tables.org_members.c.id)
)


@dataclass(frozen=True, slots=True)
class PostgresOrganizationRepository(OrganizationRepository):
    """Tables `organizations` and `org_members`."""

    session: PostgresSession

    async def add(self, organization: Organization) -> None:
        await self.session.execute(insert(tables.organizations).values(asdict(organization)))

    async def get(self, org_id: OrgId) -> Organization | None:
        result = await self.session.execute(
            LIST_ORGANIZATIONS.where(tables.organizations.c.id == org_id)
        )
        row = result.mappings().one_or_none()
        return Organization(**row) if row else None

    async def list_all(self) -> list[Organization]:
        return [
            Organization(**row)
            for row in (await self.session.execute(LIST_ORGANIZATIONS)).mappings()
        ]

    async def list_for_user(self, user_id: UserId) -> list[Membership]:
        result = await self.session.execute(
            LIST_MEMBERSHIPS.where(tables.org_members.c.user_id == user_id)
        )
        return [
            Membership(organization=Organization(id=id_, name=name), role=Role(role))
            for id_, name, role in result
        ]

    async def upsert_member(self, member: Member) -> None:
        new = insert(tables.org_members).values(asdict(member))
        changed = {"role": new.excluded.role}
        await self.session.execute(
            new.on_conflict_do_update(index_elements=["org_id", "user_id"], set_=changed)
        )
