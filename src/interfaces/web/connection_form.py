"""The form by which a connection is added or changed, as it was typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypedDict

from domain.connection import Channel, Connection, validate_connection
from domain.errors import FieldError, InvalidInput
from interfaces.web.errors import AnyRequest


class ConnectionUpdate(TypedDict):
    """What the form says about a connection; None keeps the stored value."""

    display_name: str | None
    access_token: str | None
    is_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionForm:
    """Everything is text until it is checked, so that it can be shown again.

    With `edited_connection`, channel and id are the stored ones: they say which connection it is.
    """

    edited_connection: Connection | None = None
    channel: str = Channel.WHATSAPP
    external_id: str = ""
    display_name: str = ""
    access_token: str = field(default="", repr=False)
    removes_token: bool = False
    is_enabled: bool = True
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_connection(cls, connection: Connection) -> Self:
        """Show a connection, to change it."""
        return cls(
            edited_connection=connection,
            channel=connection.channel,
            external_id=connection.external_id,
            display_name=connection.display_name,
            is_enabled=connection.is_enabled,
        )

    @classmethod
    async def from_request(cls, request: AnyRequest, edited_connection: Connection | None) -> Self:
        """Read what was sent."""
        fields = await request.form()
        values = {name: str(fields.get(name, "")).strip() for name in fields}
        return cls(
            edited_connection=edited_connection,
            channel=edited_connection.channel if edited_connection else values.get("channel", ""),
            external_id=edited_connection.external_id
            if edited_connection
            else values.get("external_id", ""),
            display_name=values.get("display_name", ""),
            access_token=values.get("access_token", ""),
            removes_token="remove_token" in values,
            is_enabled="is_enabled" in values,
        )

    def with_errors(self, errors: Sequence[FieldError]) -> Self:
        """Say at each field what is wrong; the first error of a field is enough."""
        return replace(self, errors={error.field: error.message for error in reversed(errors)})

    def validate(self) -> Channel:
        """Return the channel; raise InvalidInput naming everything that is wrong, at once."""
        errors = []
        if self.channel not in set(Channel):
            errors.append(FieldError("channel", "Choose WhatsApp or Instagram."))
        if not self.external_id:
            errors.append(FieldError("external_id", "Enter the id that Meta shows."))
        if self.access_token and self.removes_token:
            errors.append(
                FieldError("access_token", "Enter a new token or remove the stored one, not both.")
            )
        try:
            validate_connection(self.external_id, self.display_name, self.access_token)
        except InvalidInput as error:
            errors.extend(error.errors)
        if errors:
            raise InvalidInput(*errors)
        return Channel(self.channel)

    def to_update(self) -> ConnectionUpdate:
        """What to save. A name left empty is one to remove only where the stored one was shown."""
        token = "" if self.removes_token else self.access_token or None
        name = self.display_name or (None if self.edited_connection is None else "")
        return {"display_name": name, "access_token": token, "is_enabled": self.is_enabled}
