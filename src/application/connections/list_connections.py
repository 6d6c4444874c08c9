"""Lists an organisation's connections with their activity."""

from dataclasses import dataclass
from datetime import timedelta

from application.connections.authorization import require_manager
from application.ports.clock import Clock
from application.ports.storage import Transactions
from domain.actor import ConnectionManager, Operator
from domain.connection import Connection, ConnectionActivity
from domain.organization import OrgId


@dataclass(frozen=True, slots=True)
class ListConnections:
    """Lists connections for those who manage them."""

    transactions: Transactions
    clock: Clock

    async def __call__(
        self, org_id: OrgId, *, actor: ConnectionManager
    ) -> list[tuple[Connection, ConnectionActivity]]:
        """Return the organisation's connections, oldest first, with the last 24 hours' activity.

        Raises Forbidden and NotFound as `require_manager` does.
        """
        async with self.transactions.begin(actor) as repos:
            await require_manager(repos, org_id, actor)
            yesterday = self.clock.now() - timedelta(days=1)
            activity = await repos.connections.read_activity(org_id, yesterday)
            connections = await repos.connections.list_for_organization(org_id)
        return [(each, activity.get(each.id, ConnectionActivity())) for each in connections]

    async def list_for_all_organizations(
        self, actor: Operator
    ) -> list[tuple[Connection, ConnectionActivity]]:
        """Return the connections of every organisation, by organisation, oldest first."""
        async with self.transactions.begin(actor) as repos:
            organizations = await repos.organizations.list_all()
        return [
            found
            for organization in organizations
            for found in await self(organization.id, actor=actor)
        ]
