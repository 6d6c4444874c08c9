"""What operators do for people who cannot sign in."""

import secrets
from dataclasses import dataclass

from application.accounts.add_member import GENERATED_PASSWORD_BYTES
from application.ports.auth import PasswordHasher, SessionTokens
from application.ports.storage import Repositories, Transactions
from domain.errors import NotFound
from domain.organization import User, validate_email


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Gives a person a new password."""

    transactions: Transactions
    passwords: PasswordHasher

    async def __call__(self, email: str) -> str:
        """Return the new password; the old one is worth nothing. Raises NotFound."""
        password = secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
        async with self.transactions.begin() as repos:
            user = await _find(repos, email)
            await repos.users.change_password(user.id, self.passwords.hash(password))
        return password


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Gives an operator a person's bearer token, for calling the API."""

    transactions: Transactions
    tokens: SessionTokens

    async def __call__(self, email: str) -> str:
        """Return a token. Raises NotFound, and CannotIssue where a provider issues tokens."""
        async with self.transactions.begin() as repos:
            user = await _find(repos, email)
        return self.tokens.issue(user.id)


async def _find(repos: Repositories, email: str) -> User:
    user = await repos.users.find_by_email(validate_email(email))
    if user is None:
        raise NotFound(f"there is nobody with the address {email}")
    return user
