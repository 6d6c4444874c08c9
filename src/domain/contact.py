"""A person who wrote, and the ids by which they are known again."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType, Self
from uuid import UUID

from domain.organization import OrgId

ContactId = NewType("ContactId", UUID)
ContactIdentityId = NewType("ContactIdentityId", UUID)


class IdentityKind(StrEnum):
    """Which of Meta's ids an identity is.

    A phone is digits as Meta gave them. A WhatsApp user id (BSUID, `CC.` and up to 128
    letters and digits) comes beside the phone since April 2026, and alone for people who hide
    their number; businesses with several portfolios get a parent id (`CC.ENT.…`) too. An
    Instagram user id is scoped to the business account.
    """

    WHATSAPP_PHONE = "whatsapp_phone"
    WHATSAPP_USER = "whatsapp_user"
    WHATSAPP_PARENT_USER = "whatsapp_parent_user"
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
    """A person in one organisation's CRM. `phone` is stored as Meta gave it.

    `profile_name` is what they called themselves when first seen, at `profile_seen_at`; `name` is
    the same until people change it. `marketing_consent` is None until they say anything.
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

    def with_profile_from(self, sender: Sender, sent_at: datetime) -> Self:
        """Learn from a message of theirs: a phone if none is known, the name of the first one.

        The first is the one sent first, in whatever order they come in. An empty name never wins,
        and neither does any over one that people have given.
        """
        phone = self.phone or sender.phone
        seen = (sent_at, sender.name)
        first = self.profile_seen_at and (self.profile_seen_at, self.profile_name or "")
        if not sender.name or (first and seen >= first):
            return self if phone == self.phone else replace(self, phone=phone)
        name = sender.name if self.name in ("", self.profile_name) else self.name
        return replace(
            self, phone=phone, name=name, profile_name=sender.name, profile_seen_at=sent_at
        )

    def with_consent(self, said_at: datetime, *, is_given: bool) -> Self:
        """Take their last word on marketing; a refusal wins where two were given at once."""
        if self.marketing_consent_at and (said_at, not is_given) < (
            self.marketing_consent_at,
            not self.marketing_consent,
        ):
            return self
        return replace(self, marketing_consent=is_given, marketing_consent_at=said_at)

    def with_phone(self, old: Iterable[str], new: str) -> Self:
        """Be called at the new number, unless it was not the old one that is known."""
        if self.phone is None or self.phone.removeprefix("+") in old:
            return replace(self, phone=new)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactIdentity:
    """An identity that belongs to a contact, and to no other of the organisation."""

    id: ContactIdentityId
    org_id: OrgId
    contact_id: ContactId
    kind: IdentityKind
    value: str


class IdentityMatch(NamedTuple):
    """Whose an identity is; or only the number of a contact who has no such identity yet."""

    contact: Contact
    is_linked: bool
