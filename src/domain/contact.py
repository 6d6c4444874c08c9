"""Contacts: people who wrote to an organisation, and the identities that find them again."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType, Self
from uuid import UUID

from domain.organization import OrgId
from domain.text import is_visible

ContactId = NewType("ContactId", UUID)
ContactIdentityId = NewType("ContactIdentityId", UUID)


class IdentityKind(StrEnum):
    """The kind of an identity.

    A phone is a string of digits as Meta gave it. A WhatsApp user id (BSUID: `CC.` and up to 128
    letters and digits) comes beside the phone since April 2026, and alone for people who hide
    their number. Businesses with several portfolios get a parent user id (`CC.ENT.…`) too. An
    Instagram user id is scoped to the business account.
    """

    WHATSAPP_PHONE = "whatsapp_phone"
    WHATSAPP_USER = "whatsapp_user"
    WHATSAPP_PARENT_USER = "whatsapp_parent_user"
    INSTAGRAM_USER = "instagram_user"


class Identity(NamedTuple):
    """One id of a person."""

    kind: IdentityKind
    value: str


class ContactKey(NamedTuple):
    """A contact and its organisation."""

    org_id: OrgId
    contact_id: ContactId


class IdentityKey(NamedTuple):
    """An identity within an organisation."""

    org_id: OrgId
    kind: IdentityKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The person at the other end, as the delivery shows them: at least one identity.

    The first identity decides (D8): where the identities belong to several contacts, its contact
    gets the message, and nothing is merged. The thread's external id holds the first identity too.
    """

    identities: tuple[Identity, ...]
    name: str = ""

    @property
    def phone(self) -> str | None:
        """The phone number as Meta gave it; None for a person who hides it."""
        for kind, value in self.identities:
            if kind is IdentityKind.WHATSAPP_PHONE:
                return value
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person in one organisation's CRM. `phone` is stored as Meta gave it.

    `profile_name` is the profile name of the person's first message, sent at `profile_seen_at`.
    `name` equals it until a user of the CRM changes the name. `marketing_consent` is None until
    the person accepts or refuses marketing messages.
    """

    id: ContactId
    org_id: OrgId
    name: str = ""
    phone: str | None = None
    email: str | None = None
    profile_name: str | None = None
    profile_seen_at: datetime | None = None
    marketing_consent: bool | None = None
    marketing_consent_at: datetime | None = None

    def with_profile_from(
        self, sender: Sender, sent_at: datetime, *, may_take_phone: bool = True
    ) -> Self:
        """Take over the phone, if none is stored, and the profile name of the first message.

        The first message is the one sent first; the order of arrival does not matter (D7). A
        profile name without a visible character is never taken over, and gives way where it is
        stored. A name that a user of the CRM gave is kept. `may_take_phone` is False where the
        number is another contact's.
        """
        phone = self.phone or (sender.phone if may_take_phone else None)
        seen = (sent_at, sender.name)
        first = self.profile_seen_at and (self.profile_seen_at, self.profile_name or "")
        is_later = first and is_visible(self.profile_name or "") and seen >= first
        if not is_visible(sender.name) or is_later:
            return self if phone == self.phone else replace(self, phone=phone)
        is_replaceable = self.name == self.profile_name or not is_visible(self.name)
        name = sender.name if is_replaceable else self.name
        return replace(
            self, phone=phone, name=name, profile_name=sender.name, profile_seen_at=sent_at
        )

    def with_consent(self, given_at: datetime, *, is_given: bool) -> Self:
        """Take over the latest consent; of two given at the same time, the refusal."""
        if self.marketing_consent_at and (given_at, not is_given) < (
            self.marketing_consent_at,
            not self.marketing_consent,
        ):
            return self
        return replace(self, marketing_consent=is_given, marketing_consent_at=given_at)

    def with_phone(self, old: Iterable[str], new: str) -> Self:
        """Replace the phone by `new`, if it is one of `old` (without `+`) or missing."""
        if self.phone is None or self.phone.removeprefix("+") in old:
            return replace(self, phone=new)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactIdentity:
    """A stored identity. It belongs to one contact of the organisation, and to no other."""

    id: ContactIdentityId
    org_id: OrgId
    contact_id: ContactId
    kind: IdentityKind
    value: str


class IdentityMatch(NamedTuple):
    """The contact behind an identity.

    `is_linked` is False where only the contact's `phone` equals the identity: the contact came
    from elsewhere in the CRM and has no such identity row yet. `phone_holder_id` is another
    contact whose `phone` is the identity, where there is one.
    """

    contact: Contact
    is_linked: bool
    phone_holder_id: ContactId | None = None
