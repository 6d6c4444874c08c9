"""The form by which a connection is added or changed, as it was typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypedDict

from domain.connection import Channel, Connection, validate_connection
from domain.errors import FieldError, InvalidInput
from interfaces.web.errors import AnyRequest


class Changes(TypedDict):
    """What the form says about a connection; None keeps the stored value."""

    display_name: str | None
    access_token: str | None
    is_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionForm:
    """Everything is text until it is checked, so that it can be shown again.

    With `changing`, channel and id are the stored ones: they say which connection it is.
    """

    changing: Connection | None = None
    channel: str = Channel.WHATSAPP
    external_id: str = ""
    display_name: str = ""
    access_token: str = field(default="", repr=False)
    removes_token: bool = False
    is_enabled: bool = True
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def stored(cls, connection: Connection) -> Self:
        """Show a connection, to change it."""
        return cls(
            changing=connection,
            channel=connection.channel,
            external_id=connection.external_id,
            display_name=connection.display_name,
            is_enabled=connection.is_enabled,
        )

    @classmethod
    async def typed(cls, request: AnyRequest, changing: Connection | None) -> Self:
        """Read what was sent."""
        sent = await request.form()
        text = {name: str(sent.get(name, "")).strip() for name in sent}
        return cls(
            changing=changing,
            channel=changing.channel if changing else text.get("channel", ""),
            external_id=changing.external_id if changing else text.get("external_id", ""),
            display_name=text.get("display_name", ""),
            access_token=text.get("access_token", ""),
            removes_token="remove_token" in text,
            is_enabled="is_enabled" in text,
        )

    def refused(self, errors: Sequence[FieldError]) -> Self:
        """Say at each field what is wrong; the first error of a field is enough."""
        return replace(self, errors={e.field: e.message for e in reversed(errors)})

    def check(self) -> Channel:
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

    @property
    def changes(self) -> Changes:
        """What to save. A name left empty is one to remove only where the stored one was shown."""
        token = "" if self.removes_token else self.access_token or None
        name = self.display_name or (None if self.changing is None else "")
        return {"display_name": name, "access_token": token, "is_enabled": self.is_enabled}
