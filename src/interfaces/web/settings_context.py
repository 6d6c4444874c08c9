"""The data of the settings page: the chosen organisation and its connections with activity."""

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
    """An organisation that the person manages. `organizations` are all those that they manage."""

    actor: SignedInUser
    organization: Organization
    organizations: Sequence[Organization]
    connections: Sequence[tuple[Connection, ConnectionActivity]]
    now: datetime

    @property
    def path(self) -> str:
        """The path of the organisation's settings page."""
        return f"/settings/channels?org_id={self.organization.id}"

    def get_connection(self, id: UUID) -> Connection:
        """Return a connection of the organisation. Raises NotFound where it has none with that id."""
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
    """Return the data of the organisation with that id, or of the person's oldest one.

    Raises Forbidden where the person is not an owner or admin of it, or of any.
    """
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
