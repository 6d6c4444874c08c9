"""The JSON form of a connection, in the API and on the command line."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from domain.connection import Channel, Connection, ConnectionActivity


class ConnectionJson(msgspec.Struct, frozen=True):
    """A connected number or account. The access token itself is in no response."""

    id: UUID
    org_id: UUID
    provider: str
    channel: Channel
    external_id: Annotated[str, msgspec.Meta(examples=["106540352242922"])]
    display_name: Annotated[str, msgspec.Meta(examples=["Ventas"])]
    is_enabled: bool
    has_access_token: bool
    access_token_hint: Annotated[
        str | None,
        msgspec.Meta(
            description="The last four characters of the access token; null without one.",
            examples=["9ZDZ"],
        ),
    ]
    last_message_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def from_connection(
        cls, connection: Connection, activity: ConnectionActivity
    ) -> "ConnectionJson":
        """Return the JSON form. `activity` gives `last_message_at`."""
        return cls(
            id=connection.id,
            org_id=connection.org_id,
            provider=connection.provider,
            channel=connection.channel,
            external_id=connection.external_id,
            display_name=connection.display_name,
            is_enabled=connection.is_enabled,
            has_access_token=connection.access_token is not None,
            access_token_hint=connection.access_token_hint,
            last_message_at=activity.last_message_at,
            created_at=connection.created_at,
            updated_at=connection.updated_at,
        )
