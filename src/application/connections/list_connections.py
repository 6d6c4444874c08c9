"""Which numbers and accounts an organisation has connected, and what arrives over them."""

from dataclasses import dataclass
from datetime import timedelta

from application.connections.authorization import require_manager
from application.ports.clock import Clock
from application.ports.storage import Transactions
from domain.connection import Connection, ConnectionActivity
from domain.organization import OrgId, UserId


@dataclass(frozen=True, slots=True)
class ListConnections:
    """Shows an organisation's connections."""

    transactions: Transactions
    clock: Clock

    async def __call__(
        self, org_id: OrgId, *, person: UserId | None
    ) -> list[tuple[Connection, ConnectionActivity]]:
        """Return them all, oldest first, with what arrived in the last 24 hours.

        `person` is None for an operator. Raises Forbidden for all but owners and admins.
        """
        async with self.transactions.begin(person) as repos:
            await require_manager(repos, org_id, person)
            yesterday = self.clock.now() - timedelta(days=1)
            activity = await repos.connections.read_activity(org_id, yesterday)
            connections = await repos.connections.list_for_organization(org_id)
        return [(c, activity.get(c.id, ConnectionActivity())) for c in connections]
