"""Which numbers and accounts an organisation has connected."""

from dataclasses import dataclass

from application.ports import Transactions
from domain.connection import Connection
from domain.errors import NotFound
from domain.organization import OrgId


@dataclass(frozen=True, slots=True)
class ListConnections:
    """Shows an organisation's connections."""

    transactions: Transactions

    async def __call__(self, org_id: OrgId) -> list[Connection]:
        """Return them all, oldest first. Raises NotFound where there is no such organisation."""
        async with self.transactions.begin() as repos:
            if await repos.organizations.get(org_id) is None:
                raise NotFound(f"there is no organisation {org_id}")
            return await repos.connections.of(org_id)
