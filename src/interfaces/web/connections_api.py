"""The connections API: owners and admins list, connect, change and disconnect numbers."""

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
    """A connection to add or change. A field that is left out keeps its value."""

    org_id: UUID
    channel: Channel
    external_id: Annotated[
        str,
        msgspec.Meta(
            description="WhatsApp's phone number id, or Instagram's professional account id: "
            "1 to 64 letters, digits, dots, underscores, colons or hyphens. It is not the phone number.",
            examples=["106540352242922"],
        ),
    ]
    display_name: Annotated[str, msgspec.Meta(examples=["Ventas"])] | UnsetType = UNSET
    access_token: (
        Annotated[
            str,
            msgspec.Meta(
                description="Write-only: no response has it. null removes the stored token."
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    is_enabled: bool | UnsetType = UNSET


class ConnectionsJson(msgspec.Struct, frozen=True):
    """An organisation's connections, oldest first."""

    connections: list[ConnectionJson]


async def read_bearer_session(request: AnyRequest, read_session: Injected[ReadSession]) -> Session:
    """Return the session of the bearer token in the Authorization header.

    Raises NotSignedIn without a valid token, and KeySetUnavailable where the identity provider's
    keys cannot be fetched.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn("send a token: Authorization: Bearer …")
    return await read_session(token.strip())


COMMON_PROBLEMS = {
    401: describe_problem("The token is missing, not valid, or expired."),
    403: describe_problem("The person is not an owner or admin of the organisation."),
    422: describe_problem("Some fields are wrong; `errors` has a message for each."),
    503: describe_problem(
        "The database does not answer, the identity provider's keys cannot be fetched, or the data "
        "was changed at the same time. Try again after `Retry-After` seconds."
    ),
}


API_DEPENDENCIES = {"session": Provide(read_bearer_session)}


class ConnectionsController(Controller):
    """`/api/integrations/meta/connections`. Every request needs a bearer token."""

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
        """Return all connections of the organisation, oldest first."""
        connections = await list_connections(OrgId(org_id), actor=SignedInUser(session.user_id))
        return ConnectionsJson([ConnectionJson.from_connection(*each) for each in connections])

    @post(
        summary="Connect a number or account, or change its connection",
        responses={
            200: ResponseSpec(
                ConnectionJson, generate_examples=False, description="The connection was changed."
            ),
            409: describe_problem("The number or account is enabled in another organisation."),
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
        """Add or change the connection with this organisation, channel and external id.

        Answers 201 for a new connection and 200 for a changed one.
        """
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
        summary="Disconnect a number or account; its conversations stay",
        responses={
            404: describe_problem("The connection does not exist, or the person may not see it."),
            **COMMON_PROBLEMS,
        },
    )
    async def remove(
        self,
        session: NamedDependency[Session],
        remove_connection: Injected[RemoveConnection],
        connection_id: FromPath[UUID],
    ) -> None:
        """Remove the connection."""
        await remove_connection(ConnectionId(connection_id), actor=SignedInUser(session.user_id))
