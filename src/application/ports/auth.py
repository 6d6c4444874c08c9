"""The sign-in ports: password hashes, session tokens, and the throttle on attempts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.organization import UserId


class PasswordHasher(Protocol):
    """Hashes passwords slowly, so that guessing is expensive. Both methods block for some 50 ms."""

    def hash(self, password: str) -> str:
        """Return a salted hash."""
        ...

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the hash is the password's. With None it is False, after the same time."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """The content of a session token: the person, and the expiry. `id` is derived from the token."""

    id: UUID
    user_id: UserId
    expires_at: datetime


class SessionTokens(Protocol):
    """Issues and reads JSON Web Tokens: Leadport's own, and those of an identity provider."""

    def issue(self, user_id: UserId) -> str:
        """Issue a token. Raises TokenIssuingDisabled where only a provider issues tokens."""
        ...

    async def read(self, token: str) -> Session:
        """Verify a token and return its session.

        Raises NotSignedIn for a token that is forged, expired or for another audience, and
        KeySetUnavailable where the provider's key set cannot be fetched.
        """
        ...


class SignInThrottle(Protocol):
    """Limits the attempts to sign in, by network address and by account."""

    def register_attempt(self, client_ip: str, account: str) -> timedelta | None:
        """Count an attempt; None where it is allowed, else the time until the next one is."""
        ...
