"""People come and go: a password becomes a session, and the session ends."""

import asyncio
from dataclasses import dataclass, field

from application.ports.auth import PasswordHasher, Session, SessionTokens, SignInThrottle
from application.ports.storage import Transactions
from domain.errors import InvalidInput, NotSignedIn, TooManyAttempts, WrongCredentials
from domain.organization import User, validate_email


@dataclass(frozen=True, slots=True)
class SignIn:
    """Gives a session to whoever knows the password."""

    transactions: Transactions
    passwords: PasswordHasher
    tokens: SessionTokens
    attempts: SignInThrottle
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, email: str, password: str, *, address: str) -> str:
        """Return the session's token. `address` is the network address that asks.

        Raises WrongCredentials, the same after the same time for an unknown address as for a
        wrong password, and TooManyAttempts.
        """
        email = email.strip().lower()
        if retry_after := self.attempts.register_attempt(address, email):
            raise TooManyAttempts(retry_after)
        user = await self._find(email)
        password_hash = user.password_hash if user else None
        # Slow and large on purpose: so not in the event loop, and for one person at a time, or a
        # crowd at this door would take time and memory from the deliveries.
        async with self._turn:
            matches = await asyncio.to_thread(self.passwords.verify, password, password_hash)
        if user is None or not matches:
            raise WrongCredentials
        return self.tokens.issue(user.id)

    async def _find(self, email: str) -> User | None:
        try:
            address = validate_email(email)
        except InvalidInput:
            return None
        async with self.transactions.begin() as repos:
            return await repos.users.find_by_email(address)


@dataclass(frozen=True, slots=True)
class ReadSession:
    """Tells who a token belongs to."""

    transactions: Transactions
    tokens: SessionTokens

    async def __call__(self, token: str) -> Session:
        """Return the session. Raises NotSignedIn where there is none, or no longer."""
        session = await self.tokens.read(token)
        async with self.transactions.begin() as repos:
            if await repos.sessions.is_ended(session.id):
                raise NotSignedIn("the session has ended; sign in again")
        return session


@dataclass(frozen=True, slots=True)
class SignOut:
    """Ends a session before its time; its token is worth nothing from then on."""

    transactions: Transactions

    async def __call__(self, session: Session) -> None:
        """End it; ending it again changes nothing."""
        async with self.transactions.begin() as repos:
            await repos.sessions.end(session.id, session.expires_at)
