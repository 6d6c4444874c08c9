"""What a signed-in person has before them: an organisation, and its connections."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from litestar.params import FromQuery

from application.accounts.list_organizations import ListOrganizations
from application.connections.list_connections import ListConnections
from application.ports.auth import Session
from application.ports.clock import Clock
from domain.actor import SignedInUser
from domain.connection import Connection, ConnectionActivity
from domain.errors import Forbidden, NotFound
from domain.organization import Organization
from interfaces.web.dependencies import Injected


@dataclass(frozen=True, slots=True)
class SettingsContext:
    """One organisation that the person manages; `organizations` are all of them."""

    actor: SignedInUser
    organization: Organization
    organizations: Sequence[Organization]
    connections: Sequence[tuple[Connection, ConnectionActivity]]
    now: datetime

    @property
    def path(self) -> str:
        """The address of its page."""
        return f"/settings/channels?org_id={self.organization.id}"

    def get_connection(self, id: UUID) -> Connection:
        """Return one of its connections. Raises NotFound."""
        for connection, _ in self.connections:
            if connection.id == id:
                return connection
        raise NotFound("there is no such connection")


async def load_settings_context(
    session: Injected[Session],
    list_organizations: Injected[ListOrganizations],
    list_connections: Injected[ListConnections],
    clock: Injected[Clock],
    org_id: FromQuery[UUID | None] = None,
) -> SettingsContext:
    """Open the organisation asked for, or the first. Raises Forbidden where there is none."""
    actor = SignedInUser(session.user_id)
    memberships = await list_organizations(actor)
    managed = [
        membership.organization for membership in memberships if membership.role.manages_connections
    ]
    chosen = next((each for each in managed if org_id in (None, each.id)), None)
    if chosen is None:
        raise Forbidden("only owners and admins of an organisation manage its connections")
    connections = await list_connections(chosen.id, actor=actor)
    return SettingsContext(actor, chosen, managed, connections, clock.now())
