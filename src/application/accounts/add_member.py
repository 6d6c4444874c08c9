"""Adds a person to an organisation, or changes a member's role."""

import secrets
from dataclasses import dataclass

from application.ports.auth import PasswordHasher
from application.ports.storage import Repositories, Transactions
from domain.actor import Operator
from domain.errors import NotFound
from domain.ids import NewId
from domain.organization import Member, MemberId, OrgId, Role, User, UserId, normalize_email

GENERATED_PASSWORD_BYTES = 15
"""120 random bits, written as 20 characters. People keep them in a password manager."""


@dataclass(frozen=True, slots=True)
class MembershipResult:
    """A written membership. `password` is that of a new person, and is shown once; else None."""

    org_id: OrgId
    user_id: UserId
    password: str | None


@dataclass(frozen=True, slots=True)
class MembershipWriter:
    """Finds or adds a person and writes the membership, within the caller's transaction."""

    passwords: PasswordHasher
    new_id: NewId

    async def write(
        self,
        repos: Repositories,
        org_id: OrgId,
        email: str,
        role: Role,
        password: str | None = None,
    ) -> MembershipResult:
        """Write the membership; a stored member gets the role.

        A new person gets `password`, or a generated one where it is None.
        """
        user, new_password = await repos.users.find_by_email(email), None
        if user is None:
            new_password = password or secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
            password_hash = self.passwords.hash(new_password)
            user = User(id=UserId(self.new_id()), email=email, password_hash=password_hash)
            await repos.users.add(user)
        member = Member(id=MemberId(self.new_id()), org_id=org_id, user_id=user.id, role=role)
        await repos.organizations.upsert_member(member)
        return MembershipResult(org_id, user.id, new_password)


@dataclass(frozen=True, slots=True)
class AddMember:
    """Adds a person to an organisation, or gives a member another role."""

    transactions: Transactions
    memberships: MembershipWriter

    async def __call__(self, org_id: OrgId, email: str, role: Role) -> MembershipResult:
        """Add the member. Raises InvalidInput for a wrong address, NotFound without organisation."""
        email = normalize_email(email)
        async with self.transactions.begin(Operator()) as repos:
            if await repos.organizations.get(org_id) is None:
                raise NotFound(f"there is no organisation {org_id}")
            return await self.memberships.write(repos, org_id, email, role)
