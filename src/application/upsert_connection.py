"""A number or account is connected to an organisation, or its connection changed."""

from dataclasses import dataclass, replace

from application.ports import Transactions
from domain.batch import NewId
from domain.connection import Address, Channel, Connection, ConnectionId, check_connection
from domain.errors import NotFound
from domain.organization import OrgId


@dataclass(frozen=True, slots=True)
class UpsertConnection:
    """Connects a number or account to an organisation, or changes the connection."""

    transactions: Transactions
    new_id: NewId

    async def __call__(
        self,
        org_id: OrgId,
        channel: Channel,
        external_id: str,
        *,
        display_name: str | None = None,
        is_enabled: bool | None = None,
    ) -> tuple[Connection, bool]:
        """Return the connection as stored, and whether it is new.

        What is None keeps its value. Raises InvalidInput for fields that break a rule, NotFound
        for an organisation that does not exist, and NumberConnectedElsewhere where another one
        has the number enabled.
        """
        address = Address(channel, external_id.strip())
        check_connection(address.external_id, (display_name or "").strip())
        async with self.transactions.begin() as repos:
            if await repos.organizations.get(org_id) is None:
                raise NotFound(f"there is no organisation {org_id}")
            stored = await repos.connections.get(org_id, address)
            connection = stored or Connection(
                id=ConnectionId(self.new_id()),
                org_id=org_id,
                channel=channel,
                external_id=address.external_id,
            )
            if display_name is not None:
                connection = replace(connection, display_name=display_name.strip())
            if is_enabled is not None:
                connection = replace(connection, is_enabled=is_enabled)
            return await repos.connections.put(connection), stored is None
