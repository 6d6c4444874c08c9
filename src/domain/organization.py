"""The tenant, and the people who work in it."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType
from uuid import UUID

from domain.errors import FieldError, InvalidInput

OrgId = NewType("OrgId", UUID)
UserId = NewType("UserId", UUID)
MemberId = NewType("MemberId", UUID)

EMAIL_PATTERN = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")
MAX_EMAIL_LENGTH = 254


class Role(StrEnum):
    """What a member may do: owners and admins manage connections, members read leads."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"

    @property
    def manages_connections(self) -> bool:
        """Whether the member may see and change them."""
        return self is not Role.MEMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A company with its own contacts, deals and connections."""

    id: OrgId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person's place in one organisation."""

    id: MemberId
    org_id: OrgId
    user_id: UserId
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An organisation as one of its members sees it."""

    organization: Organization
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can sign in; the e-mail address is kept in lower case."""

    id: UserId
    email: str
    password_hash: str = field(repr=False)


def validate_email(value: str) -> str:
    """Return the address in lower case, without blanks around it; raise InvalidInput for none.

    Whether it exists only a letter can tell; the check catches what was mistyped.
    """
    email = value.strip().lower()
    if len(email) > MAX_EMAIL_LENGTH or not EMAIL_PATTERN.fullmatch(email):
        raise InvalidInput(FieldError("email", "must be an address like name@example.com"))
    return email
