"""Connects a number or account to an organisation, or changes its connection."""

from dataclasses import dataclass, replace
from functools import partial

from application.connections.authorization import require_manager
from application.ports.access_tokens import TokenCipher
from application.ports.storage import Transactions
from application.transaction_retries import with_retries
from domain.actor import ConnectionManager, SignedInUser, WebhookWriter
from domain.connection import Address, Channel, Connection, ConnectionId, validate_connection
from domain.errors import NumberConnectedElsewhere
from domain.event import CONNECTION_REFUSED, Event, EventId
from domain.ids import NewId
from domain.organization import OrgId


@dataclass(frozen=True, slots=True)
class UpsertConnection:
    """Adds or changes a connection for those who manage them."""

    transactions: Transactions
    token_cipher: TokenCipher
    new_id: NewId

    async def __call__(
        self,
        org_id: OrgId,
        channel: Channel,
        external_id: str,
        *,
        actor: ConnectionManager,
        display_name: str | None = None,
        access_token: str | None = None,
        is_enabled: bool | None = None,
    ) -> tuple[Connection, bool]:
        """Return the connection as stored, and whether it is new.

        A field that is None keeps its value; an empty access token removes the stored one.
        Raises InvalidInput for fields that break a rule, Forbidden and NotFound as
        `require_manager` does, NumberConnectedElsewhere where another organisation has the number
        enabled, and ConcurrentUpdate where others keep changing the connection.
        """
        address = Address(channel, external_id.strip())
        name = None if display_name is None else display_name.strip()
        token = None if access_token is None else access_token.strip()
        validate_connection(address.external_id, name or "", token or "")
        upsert = partial(
            self._upsert, org_id, address, actor, name=name, token=token, is_enabled=is_enabled
        )
        return await with_retries(upsert)

    async def _upsert(
        self,
        org_id: OrgId,
        address: Address,
        actor: ConnectionManager,
        *,
        name: str | None,
        token: str | None,
        is_enabled: bool | None,
    ) -> tuple[Connection, bool]:
        try:
            async with self.transactions.begin(actor) as repos:
                await require_manager(repos, org_id, actor)
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
                    encrypted = self.token_cipher.encrypt(token, connection) if token else None
                    connection = replace(connection, access_token=encrypted)
                if is_enabled is not None:
                    connection = replace(connection, is_enabled=is_enabled)
                if stored is None:
                    return await repos.connections.add(connection), True
                return await repos.connections.update(connection), False
        except NumberConnectedElsewhere:
            await self._append_refusal(org_id, address, actor)
            raise

    async def _append_refusal(
        self, org_id: OrgId, address: Address, actor: ConnectionManager
    ) -> None:
        """Append an event about the refusal; the actor's own transaction was rolled back."""
        user_id = str(actor.user_id) if isinstance(actor, SignedInUser) else None
        refusal = Event(
            id=EventId(self.new_id()),
            org_id=org_id,
            type=CONNECTION_REFUSED,
            payload={**address._asdict(), "user_id": user_id},
        )
        async with self.transactions.begin(WebhookWriter()) as repos:
            await repos.events.append([refusal])
