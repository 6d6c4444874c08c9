"""Gets one connection with its activity."""

from dataclasses import dataclass
from datetime import timedelta

from application.connections.authorization import require_manager
from application.ports.clock import Clock
from application.ports.storage import Transactions
from domain.actor import ConnectionManager
from domain.connection import Connection, ConnectionActivity, ConnectionId
from domain.errors import NotFound
from domain.organization import OrgId


@dataclass(frozen=True, slots=True)
class GetConnection:
    """Gets a connection for those who manage it."""

    transactions: Transactions
    clock: Clock

    async def __call__(
        self, org_id: OrgId, id: ConnectionId, *, actor: ConnectionManager
    ) -> tuple[Connection, ConnectionActivity]:
        """Return the organisation's connection with the last 24 hours' activity.

        Raises Forbidden and NotFound as `require_manager` does, and NotFound where the
        organisation has no such connection.
        """
        async with self.transactions.begin(actor) as repos:
            await require_manager(repos, org_id, actor)
            connection = await repos.connections.find_by_id(id)
            if connection is None or connection.org_id != org_id:
                raise NotFound("there is no such connection")
            yesterday = self.clock.now() - timedelta(days=1)
            activity = await repos.connections.read_activity(org_id, yesterday, id)
        return connection, activity.get(id, ConnectionActivity())
