"""The API by which owners and admins manage connections."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, UnsetType

from application.accounts.sign_in import ReadSession
from application.connections.get_connection import GetConnection
from application.connections.list_connections import ListConnections
from application.connections.remove_connection import RemoveConnection
from application.connections.upsert_connection import UpsertConnection
from application.ports.auth import Session
from domain.actor import SignedInUser
from domain.connection import Channel, ConnectionActivity, ConnectionId
from domain.errors import NotSignedIn
from domain.organization import OrgId
from interfaces.connection_json import ConnectionJson
from interfaces.web.dependencies import Injected
from interfaces.web.errors import AnyRequest, describe_problem


class ConnectionBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to connect or change; a field left out keeps its value."""

    org_id: UUID
    channel: Channel
    external_id: Annotated[
        str,
        msgspec.Meta(
            description="WhatsApp's phone number id, or Instagram's professional account id: "
            "1 to 64 letters, digits, dots, underscores, colons or hyphens.",
            examples=["106540352242922"],
        ),
    ]
    display_name: Annotated[str, msgspec.Meta(examples=["Ventas"])] | UnsetType = UNSET
    access_token: (
        Annotated[str, msgspec.Meta(description="Write-only; null removes the stored one.")]
        | UnsetType
        | None
    ) = UNSET
    is_enabled: bool | UnsetType = UNSET


class ConnectionsJson(msgspec.Struct, frozen=True):
    """An organisation's connections, oldest first."""

    connections: list[ConnectionJson]


async def read_bearer_session(request: AnyRequest, read_session: Injected[ReadSession]) -> Session:
    """Read the session of the Authorization header. Raises NotSignedIn."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn("send a token: Authorization: Bearer …")
    return await read_session(token.strip())


COMMON_PROBLEMS = {
    401: describe_problem("No token, or one that is not valid any longer."),
    403: describe_problem("Not an owner or admin of that organisation."),
    422: describe_problem("Fields that are wrong, each with what would be right."),
    503: describe_problem("The database does not answer."),
}


API_DEPENDENCIES = {"session": Provide(read_bearer_session)}


class ConnectionsController(Controller):
    """`/api/integrations/meta/connections`, with a bearer token."""

    path = "/api/integrations/meta/connections"
    tags = ("Connections",)
    security = ({"bearer": []},)
    dependencies = API_DEPENDENCIES

    @get(summary="List an organisation's connections", responses=COMMON_PROBLEMS)
    async def list_all(
        self,
        session: NamedDependency[Session],
        list_connections: Injected[ListConnections],
        org_id: FromQuery[UUID],
    ) -> ConnectionsJson:
        """Show all of them, oldest first."""
        connections = await list_connections(OrgId(org_id), actor=SignedInUser(session.user_id))
        return ConnectionsJson([ConnectionJson.from_connection(*each) for each in connections])

    @post(
        summary="Connect a number or account, or change its connection",
        responses={
            200: ResponseSpec(ConnectionJson, description="Changed"),
            409: describe_problem("The number is in use elsewhere."),
            **COMMON_PROBLEMS,
        },
    )
    async def upsert(
        self,
        session: NamedDependency[Session],
        upsert_connection: Injected[UpsertConnection],
        get_connection: Injected[GetConnection],
        data: JSONBody[ConnectionBody],
    ) -> Response[ConnectionJson]:
        """Find it by organisation, channel and external id; answer 201 for a new one, else 200."""
        org_id = OrgId(data.org_id)
        connection, is_new = await upsert_connection(
            org_id,
            data.channel,
            data.external_id,
            actor=SignedInUser(session.user_id),
            display_name=None if data.display_name is UNSET else data.display_name,
            access_token=None if data.access_token is UNSET else data.access_token or "",
            is_enabled=None if data.is_enabled is UNSET else data.is_enabled,
        )
        if is_new:
            return Response(
                ConnectionJson.from_connection(connection, ConnectionActivity()), status_code=201
            )
        changed = await get_connection(org_id, connection.id, actor=SignedInUser(session.user_id))
        return Response(ConnectionJson.from_connection(*changed), status_code=200)

    @delete(
        "/{connection_id:uuid}",
        summary="Disconnect; conversations stay",
        responses={
            404: describe_problem("There is none, or none that you may see."),
            **COMMON_PROBLEMS,
        },
    )
    async def remove(
        self,
        session: NamedDependency[Session],
        remove_connection: Injected[RemoveConnection],
        connection_id: FromPath[UUID],
    ) -> None:
        """Remove it for good."""
        await remove_connection(ConnectionId(connection_id), actor=SignedInUser(session.user_id))
