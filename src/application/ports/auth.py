"""The sign-in ports: password hashes, session tokens, and the limit on attempts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.organization import UserId


class PasswordHasher(Protocol):
    def hash(self, password: str) -> str:
        """A salted hash that is slow to guess."""
        ...

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is that password; with None it is not, after the same time."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """Who a token says somebody is, and until when. `id` is the token's own."""

    id: UUID
    user_id: UserId
    expires_at: datetime


class SessionTokens(Protocol):
    """JSON Web Tokens: ours, and those of an identity provider."""

    def issue(self, user_id: UserId) -> str:
        """A token for the person. Raises CannotIssue where only a provider issues tokens."""
        ...

    async def read(self, token: str) -> Session:
        """Who it says.

        Raises NotSignedIn for one that is forged, expired or not for us, and StorageUnavailable
        where the provider's keys cannot be read.
        """
        ...


class SignInThrottle(Protocol):
    """Counts attempts to sign in."""

    def register_attempt(self, address: str, account: str) -> int:
        """Count one; 0 where it is allowed, else the seconds until the next is."""
        ...
