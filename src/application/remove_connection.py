"""A number or account is disconnected."""

from dataclasses import dataclass

from application.ports import Transactions
from domain.connection import ConnectionId
from domain.errors import NotFound
from domain.organization import OrgId


@dataclass(frozen=True, slots=True)
class RemoveConnection:
    """Disconnects a number or account; its conversations stay."""

    transactions: Transactions

    async def __call__(self, org_id: OrgId, id: ConnectionId) -> None:
        """Remove it. Raises NotFound where the organisation has no such connection."""
        async with self.transactions.begin() as repos:
            if not await repos.connections.remove(org_id, id):
                raise NotFound(f"the organisation has no connection {id}")
