"""Organisations (the tenants), their members, and the people who sign in."""

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
    """The role of a member. Owners and admins manage connections; members read leads."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"

    @property
    def manages_connections(self) -> bool:
        """Whether the role allows seeing and changing connections."""
        return self is not Role.MEMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant: a company with its own contacts, deals and connections."""

    id: OrgId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The membership of a person in one organisation, as it is stored."""

    id: MemberId
    org_id: OrgId
    user_id: UserId
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An organisation, and the role of one of its members in it."""

    organization: Organization
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who can sign in. `email` is in lower case."""

    id: UserId
    email: str
    password_hash: str = field(repr=False)


def normalize_email(value: str) -> str:
    """Return the address in lower case and without blanks around it.

    The check catches typing errors, not addresses that do not exist. Raises InvalidInput.
    """
    email = value.strip().lower()
    if len(email) > MAX_EMAIL_LENGTH or not EMAIL_PATTERN.fullmatch(email):
        raise InvalidInput(FieldError("email", "must be an address like name@example.com"))
    return email
