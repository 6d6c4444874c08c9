"""The form of the settings page that adds or changes a connection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypedDict

from domain.connection import Channel, Connection, validate_connection
from domain.errors import FieldError, InvalidInput
from interfaces.web.errors import AnyRequest


class ConnectionUpdate(TypedDict):
    """The fields of a connection that the form sets; None keeps the stored value."""

    display_name: str | None
    access_token: str | None
    is_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionForm:
    """The values of the form as entered, so that a refused form can be shown again.

    `edited_connection` is the stored connection, or None for a new one. Its channel and external
    id identify it and cannot be changed. `errors` has a message by field.
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
        """Return the form that changes a connection, with the stored values."""
        return cls(
            edited_connection=connection,
            channel=connection.channel,
            external_id=connection.external_id,
            display_name=connection.display_name,
            is_enabled=connection.is_enabled,
        )

    @classmethod
    async def from_request(cls, request: AnyRequest, edited_connection: Connection | None) -> Self:
        """Read the form data of a request."""
        fields = await request.form()
        values = {name: str(fields.get(name, "")).strip() for name in fields}
        if edited_connection:
            values |= edited_connection.address._asdict()
        return cls(
            edited_connection=edited_connection,
            channel=values.get("channel", ""),
            external_id=values.get("external_id", ""),
            display_name=values.get("display_name", ""),
            access_token=values.get("access_token", ""),
            removes_token="remove_token" in values,
            is_enabled="is_enabled" in values,
        )

    def with_errors(self, errors: Sequence[FieldError]) -> Self:
        """Return the form with the first error of each field."""
        return replace(self, errors={error.field: error.message for error in reversed(errors)})

    def validate(self) -> Channel:
        """Return the channel. Raises InvalidInput, which names all wrong fields at once."""
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
        """Return the fields to save.

        In the form of a stored connection, an empty name removes the stored one. In the form of a
        new one it means "not given", because the id may be that of a stored connection.
        """
        token = "" if self.removes_token else self.access_token or None
        name = self.display_name or (None if self.edited_connection is None else "")
        return {"display_name": name, "access_token": token, "is_enabled": self.is_enabled}
