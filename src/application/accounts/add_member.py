"""A person becomes a member of an organisation."""

import secrets
from dataclasses import dataclass

from application.ports.auth import PasswordHasher
from application.ports.storage import Repositories, Transactions
from domain.errors import NotFound
from domain.ids import NewId
from domain.organization import Member, MemberId, OrgId, Role, User, UserId, validate_email

GENERATED_PASSWORD_BYTES = 15
"""120 random bits, 20 characters: nobody is expected to remember a generated password."""


@dataclass(frozen=True, slots=True)
class MembershipResult:
    """A person who now is a member. `password` is there once: for somebody new."""

    org_id: OrgId
    user_id: UserId
    password: str | None


@dataclass(frozen=True, slots=True)
class MembershipWriter:
    """Finds or makes the person and writes the membership, within somebody's transaction."""

    passwords: PasswordHasher
    new_id: NewId

    async def __call__(
        self,
        repos: Repositories,
        org_id: OrgId,
        email: str,
        role: Role,
        password: str | None = None,
    ) -> MembershipResult:
        """Write it; a member already there is given the role.

        Somebody new gets the password, or a generated one.
        """
        user, new_password = await repos.users.find_by_email(email), None
        if user is None:
            new_password = password or secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
            hashed = self.passwords.hash(new_password)
            user = User(id=UserId(self.new_id()), email=email, password_hash=hashed)
            await repos.users.add(user)
        member = Member(id=MemberId(self.new_id()), org_id=org_id, user_id=user.id, role=role)
        await repos.organizations.upsert_member(member)
        return MembershipResult(org_id, user.id, new_password)


@dataclass(frozen=True, slots=True)
class AddMember:
    """Puts a person into an organisation, or gives a member another role."""

    transactions: Transactions
    membership_writer: MembershipWriter

    async def __call__(self, org_id: OrgId, email: str, role: Role) -> MembershipResult:
        """Add them. Raises InvalidInput for a wrong address, NotFound for no such organisation."""
        email = validate_email(email)
        async with self.transactions.begin() as repos:
            if await repos.organizations.get(org_id) is None:
                raise NotFound(f"there is no organisation {org_id}")
            return await self.membership_writer(repos, org_id, email, role)
