"""A business number or account, and the organisation its messages belong to."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from domain.errors import FieldError, InvalidInput
from domain.organization import OrgId

ConnectionId = NewType("ConnectionId", UUID)

EXTERNAL_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
LOOKS_LIKE_A_PHONE_NUMBER = re.compile(r"[+()\s]")
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
DISPLAY_NAME_LENGTH = 80


class Channel(StrEnum):
    """Where people write."""

    WHATSAPP = "whatsapp"
    INSTAGRAM = "instagram"


class Address(NamedTuple):
    """Where a delivery says it goes: the business side of a conversation.

    `external_id` is WhatsApp's phone number id (`metadata.phone_number_id`) or Instagram's
    professional account id (`entry[].id`).
    """

    channel: Channel
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Messages to `address` belong to `org_id`, while it is enabled.

    At most one organisation has an address enabled; any number may keep it disabled.
    """

    id: ConnectionId
    org_id: OrgId
    channel: Channel
    external_id: str
    display_name: str = ""
    is_enabled: bool = True
    provider: str = "meta"

    @property
    def address(self) -> Address:
        """What its deliveries carry."""
        return Address(self.channel, self.external_id)


def check_connection(external_id: str, display_name: str) -> None:
    """Hold what a person entered against the rules; raise InvalidInput naming each wrong field."""
    if errors := [*_external_id_errors(external_id), *_display_name_errors(display_name)]:
        raise InvalidInput(*errors)


def _external_id_errors(value: str) -> list[FieldError]:
    """Meta's ids are digits; other providers' may not be."""
    if EXTERNAL_ID.fullmatch(value):
        return []
    if LOOKS_LIKE_A_PHONE_NUMBER.search(value):
        # The most common mistake (EvolutionAPI 1219, OCA/social PR 1305): the number itself.
        hint = (
            "looks like a phone number; the phone number id is needed, digits only, "
            "which Meta shows under WhatsApp > API Setup"
        )
    else:
        hint = "must be 1 to 64 letters, digits, dots, underscores, colons or hyphens"
    return [FieldError("external_id", hint)]


def _display_name_errors(value: str) -> list[FieldError]:
    if len(value) <= DISPLAY_NAME_LENGTH and not CONTROL_CHARACTER.search(value):
        return []
    hint = f"must be at most {DISPLAY_NAME_LENGTH} characters, on one line"
    return [FieldError("display_name", hint)]
