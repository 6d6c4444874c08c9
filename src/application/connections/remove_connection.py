"""Removes a connection and keeps its conversations."""

from dataclasses import dataclass

from application.connections.authorization import require_manager
from application.ports.storage import Transactions
from domain.actor import ConnectionManager
from domain.connection import ConnectionId
from domain.errors import Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class RemoveConnection:
    """Removes a connection for those who manage it."""

    transactions: Transactions

    async def __call__(self, id: ConnectionId, *, actor: ConnectionManager) -> None:
        """Remove the connection.

        Raises NotFound where there is none, or none that the actor may manage: the two are not
        told apart.
        """
        async with self.transactions.begin(actor) as repos:
            connection = await repos.connections.find_by_id(id)
            try:
                if connection is not None:
                    await require_manager(repos, connection.org_id, actor)
            except Forbidden:
                connection = None
            if connection is None or not await repos.connections.remove(id):
                raise NotFound("there is no such connection")
