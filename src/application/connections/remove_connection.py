"""A number or account is disconnected."""

from dataclasses import dataclass

from application.connections.authorization import require_manager
from application.ports.storage import Transactions
from domain.connection import ConnectionId
from domain.errors import Forbidden, NotFound
from domain.organization import UserId


@dataclass(frozen=True, slots=True)
class RemoveConnection:
    """Disconnects a number or account; its conversations stay."""

    transactions: Transactions

    async def __call__(self, id: ConnectionId, *, person: UserId | None) -> None:
        """Remove it. `person` is None for an operator.

        Raises NotFound where there is none, or none that the person may see.
        """
        async with self.transactions.begin(person) as repos:
            connection = await repos.connections.find_by_id(id)
            try:
                if connection is not None:
                    await require_manager(repos, connection.org_id, person)
            except Forbidden:
                connection = None
            if connection is None or not await repos.connections.remove(id):
                raise NotFound("there is no such connection")
