"""Resets passwords and issues tokens: what operators do for people."""

import secrets
from dataclasses import dataclass

from application.accounts.add_member import GENERATED_PASSWORD_BYTES
from application.ports.auth import PasswordHasher, SessionTokens
from application.ports.storage import Repositories, Transactions
from domain.actor import Operator
from domain.errors import NotFound
from domain.organization import User, normalize_email


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Gives a person a new password."""

    transactions: Transactions
    passwords: PasswordHasher

    async def __call__(self, email: str) -> str:
        """Return the new password; the old one no longer works.

        Raises InvalidInput for a wrong address, NotFound for an unknown one.
        """
        password = secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
        async with self.transactions.begin(Operator()) as repos:
            user = await _get_user(repos, email)
            await repos.users.change_password(user.id, self.passwords.hash(password))
        return password


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Issues a bearer token of a person, for calls of the API."""

    transactions: Transactions
    tokens: SessionTokens

    async def __call__(self, email: str) -> str:
        """Return a token.

        Raises InvalidInput for a wrong address, NotFound for an unknown one, and
        TokenIssuingDisabled where only an identity provider issues tokens.
        """
        async with self.transactions.begin(Operator()) as repos:
            user = await _get_user(repos, email)
        return self.tokens.issue(user.id)


async def _get_user(repos: Repositories, email: str) -> User:
    user = await repos.users.find_by_email(normalize_email(email))
    if user is None:
        raise NotFound(f"there is no person with the address {email}")
    return user
