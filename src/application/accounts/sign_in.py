"""Signs people in and out: a password becomes a session, and a session is ended."""

import asyncio
import math
from dataclasses import dataclass, field

from application.ports.auth import PasswordHasher, Session, SessionTokens, SignInThrottle
from application.ports.storage import Transactions
from domain.actor import Authenticator
from domain.errors import InvalidInput, NotSignedIn, TooManyAttempts, WrongCredentials
from domain.organization import User, normalize_email


@dataclass(frozen=True, slots=True)
class SignIn:
    """Starts a session for a person who gives the right password."""

    transactions: Transactions
    passwords: PasswordHasher
    tokens: SessionTokens
    throttle: SignInThrottle
    _verification: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, email: str, password: str, *, client_ip: str) -> str:
        """Return the session's token. `client_ip` is the network address of the client.

        Raises WrongCredentials, after the same time for an unknown person as for a wrong
        password, and TooManyAttempts.
        """
        email = email.strip().lower()
        if wait := self.throttle.register_attempt(client_ip, email):
            raise TooManyAttempts(math.ceil(wait.total_seconds()))
        user = await self._find_user(email)
        password_hash = user.password_hash if user else None
        # Verification is slow and takes 19 MiB, so it runs in a thread, one at a time: many
        # sign-ins at once must not take time and memory from the deliveries (D43).
        async with self._verification:
            is_right = await asyncio.to_thread(self.passwords.verify, password, password_hash)
        if user is None or not is_right:
            raise WrongCredentials
        return self.tokens.issue(user.id)

    async def _find_user(self, email: str) -> User | None:
        try:
            address = normalize_email(email)
        except InvalidInput:
            return None
        async with self.transactions.begin(Authenticator()) as repos:
            return await repos.users.find_by_email(address)


@dataclass(frozen=True, slots=True)
class ReadSession:
    """Reads the session of a token."""

    transactions: Transactions
    tokens: SessionTokens

    async def __call__(self, token: str) -> Session:
        """Return the session. Raises NotSignedIn where the token is not valid or has been ended."""
        session = await self.tokens.read(token)
        async with self.transactions.begin(Authenticator()) as repos:
            if await repos.sessions.is_ended(session.id):
                raise NotSignedIn("the session has ended; sign in again")
        return session


@dataclass(frozen=True, slots=True)
class SignOut:
    """Ends a session before its token expires. The token is refused from then on (D32)."""

    transactions: Transactions

    async def __call__(self, session: Session) -> None:
        """End the session; ending it again changes nothing."""
        async with self.transactions.begin(Authenticator()) as repos:
            await repos.sessions.end(session.id, session.expires_at)
