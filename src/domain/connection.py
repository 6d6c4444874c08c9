"""Connections: business numbers and accounts, each assigned to an organisation."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from domain.access_token import EncryptedToken
from domain.errors import FieldError, InvalidInput
from domain.organization import OrgId

ConnectionId = NewType("ConnectionId", UUID)

MAX_EXTERNAL_ID_CHARACTERS = 64
EXTERNAL_ID_PATTERN = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_EXTERNAL_ID_CHARACTERS}}}", re.ASCII)
PHONE_PUNCTUATION_PATTERN = re.compile(r"[+()\s]")
ACCESS_TOKEN_PATTERN = re.compile(r"[\x21-\x7e]{8,4096}")
CONTROL_CHARACTER_PATTERN = re.compile(r"[\x00-\x1f\x7f]")
MAX_DISPLAY_NAME_CHARACTERS = 80


class Channel(StrEnum):
    """A messaging channel."""

    WHATSAPP = "whatsapp"
    INSTAGRAM = "instagram"


class Address(NamedTuple):
    """The business side of a conversation, as a delivery names it.

    `external_id` is WhatsApp's phone number id (`metadata.phone_number_id`) or Instagram's
    professional account id (`entry[].id`). The channel implies the provider (D14).
    """

    channel: Channel
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The assignment of an address to an organisation: while enabled, it receives the messages.

    An address is enabled in at most one organisation; any number may have it disabled.
    `access_token` is encrypted, in the stored form of `EncryptedToken`.
    """

    id: ConnectionId
    org_id: OrgId
    channel: Channel
    external_id: str
    display_name: str = ""
    is_enabled: bool = True
    provider: str = "meta"
    access_token: str | None = field(default=None, repr=False)
    created_at: datetime | None = field(default=None, compare=False)
    updated_at: datetime | None = field(default=None, compare=False)

    @property
    def address(self) -> Address:
        """The address that deliveries name."""
        return Address(self.channel, self.external_id)

    @property
    def access_token_hint(self) -> str | None:
        """The last four characters of the token: no more of it is ever shown."""
        return EncryptedToken.parse(self.access_token).hint if self.access_token else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionActivity:
    """The traffic of a connection. `messages_last_day` counts inbound messages."""

    last_message_at: datetime | None = None
    messages_last_day: int = 0


def validate_connection(external_id: str, display_name: str, access_token: str) -> None:
    """Raise InvalidInput that names each wrong field. Empty name and token mean none."""
    if errors := [
        *_find_external_id_errors(external_id),
        *_find_display_name_errors(display_name),
        *_find_access_token_errors(access_token),
    ]:
        raise InvalidInput(*errors)


def _find_external_id_errors(value: str) -> list[FieldError]:
    """Meta's ids are digits; those of other providers may hold letters."""
    if EXTERNAL_ID_PATTERN.fullmatch(value):
        return []
    if PHONE_PUNCTUATION_PATTERN.search(value):
        # The most common mistake (EvolutionAPI 1219, OCA/social PR 1305): the number itself.
        hint = (
            "looks like a phone number; the phone number id is needed, digits only, "
            "which Meta shows under WhatsApp > API Setup"
        )
    else:
        hint = "must be 1 to 64 letters, digits, dots, underscores, colons or hyphens"
    return [FieldError("external_id", hint)]


def _find_display_name_errors(value: str) -> list[FieldError]:
    if len(value) <= MAX_DISPLAY_NAME_CHARACTERS and not CONTROL_CHARACTER_PATTERN.search(value):
        return []
    hint = f"must be at most {MAX_DISPLAY_NAME_CHARACTERS} characters, on one line"
    return [FieldError("display_name", hint)]


def _find_access_token_errors(value: str) -> list[FieldError]:
    if not value or ACCESS_TOKEN_PATTERN.fullmatch(value):
        return []
    return [FieldError("access_token", "must be 8 to 4096 characters without blanks")]
