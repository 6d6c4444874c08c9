"""A number or account is connected to an organisation, or its connection changed."""

from contextlib import suppress
from dataclasses import dataclass, replace

from application.connections.authorization import require_manager
from application.errors import ConcurrentUpdate, StorageUnavailable
from application.ports.access_tokens import TokenCipher
from application.ports.storage import Transactions
from domain.connection import Address, Channel, Connection, ConnectionId, validate_connection
from domain.errors import NumberConnectedElsewhere
from domain.event import CONNECTION_REFUSED, Event, EventId
from domain.ids import NewId
from domain.organization import OrgId, UserId

MAX_ATTEMPTS = 3
"""How often to start again where somebody else connected or removed the same number meanwhile."""


@dataclass(frozen=True, slots=True)
class UpsertConnection:
    """Connects a number or account to an organisation, or changes the connection."""

    transactions: Transactions
    token_cipher: TokenCipher
    new_id: NewId

    async def __call__(
        self,
        org_id: OrgId,
        channel: Channel,
        external_id: str,
        *,
        person: UserId | None,
        display_name: str | None = None,
        access_token: str | None = None,
        is_enabled: bool | None = None,
    ) -> tuple[Connection, bool]:
        """Return the connection as stored, and whether it is new.

        What is None keeps its value; an empty access token removes the stored one. `person` is
        None for an operator. Raises InvalidInput for fields that break a rule, Forbidden, and
        NumberConnectedElsewhere where another organisation has the number enabled.
        """
        address = Address(channel, external_id.strip())
        name = None if display_name is None else display_name.strip()
        token = None if access_token is None else access_token.strip()
        validate_connection(address.external_id, name or "", token or "")
        for _ in range(MAX_ATTEMPTS):
            with suppress(ConcurrentUpdate):
                return await self._upsert(
                    org_id, address, person, name=name, token=token, is_enabled=is_enabled
                )
        raise StorageUnavailable("the connection keeps changing; please try again")

    async def _upsert(
        self,
        org_id: OrgId,
        address: Address,
        person: UserId | None,
        *,
        name: str | None,
        token: str | None,
        is_enabled: bool | None,
    ) -> tuple[Connection, bool]:
        try:
            async with self.transactions.begin(person) as repos:
                await require_manager(repos, org_id, person)
                stored = await repos.connections.get_for_update(org_id, address)
                connection = stored or Connection(
                    id=ConnectionId(self.new_id()),
                    org_id=org_id,
                    channel=address.channel,
                    external_id=address.external_id,
                )
                if name is not None:
                    connection = replace(connection, display_name=name)
                if token is not None:
                    sealed = self.token_cipher.encrypt(token, connection) if token else None
                    connection = replace(connection, access_token=sealed)
                if is_enabled is not None:
                    connection = replace(connection, is_enabled=is_enabled)
                if stored is None:
                    return await repos.connections.add(connection), True
                return await repos.connections.update(connection), False
        except NumberConnectedElsewhere:
            await self._log_refusal(org_id, address, person)
            raise

    async def _log_refusal(self, org_id: OrgId, address: Address, person: UserId | None) -> None:
        """Keep the attempt for whoever looks into it: the person's transaction was undone."""
        refusal = Event(
            id=EventId(self.new_id()),
            org_id=org_id,
            type=CONNECTION_REFUSED,
            payload={**address._asdict(), "user_id": str(person) if person else None},
        )
        async with self.transactions.begin() as repos:
            await repos.events.append([refusal])
