"""A person who wrote, and the ids by which they are known again."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from domain.organization import OrgId

ContactId = NewType("ContactId", UUID)
ContactIdentityId = NewType("ContactIdentityId", UUID)


class IdentityKind(StrEnum):
    """Which of Meta's ids an identity is.

    A phone is digits as Meta gave them. A WhatsApp user id (BSUID, `CC.` and up to 128
    letters and digits) comes beside the phone since April 2026, and alone for people who hide
    their number. An Instagram user id is scoped to the business account.
    """

    WHATSAPP_PHONE = "whatsapp_phone"
    WHATSAPP_USER = "whatsapp_user"
    INSTAGRAM_USER = "instagram_user"


class Identity(NamedTuple):
    """One id a person is known by, within an organisation."""

    kind: IdentityKind
    value: str


class ContactKey(NamedTuple):
    """A contact and its organisation."""

    org_id: OrgId
    contact_id: ContactId


class IdentityKey(NamedTuple):
    """An identity and the organisation that knows it."""

    org_id: OrgId
    kind: IdentityKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who wrote, as the delivery says: at least one identity, the deciding one first.

    Where two identities belong to two contacts, the first one's contact gets the message and
    nothing is merged: it is the one the conversation thread is named after.
    """

    identities: tuple[Identity, ...]
    name: str = ""

    @property
    def phone(self) -> str | None:
        """The number in Meta's form, if the person shows it."""
        for kind, value in self.identities:
            if kind is IdentityKind.WHATSAPP_PHONE:
                return value
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person in one organisation's CRM. `phone` is stored as Meta gave it."""

    id: ContactId
    org_id: OrgId
    name: str
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactIdentity:
    """An identity that belongs to a contact, and to no other of the organisation."""

    id: ContactIdentityId
    org_id: OrgId
    contact_id: ContactId
    kind: IdentityKind
    value: str
