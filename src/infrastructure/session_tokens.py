"""Session tokens: issues Leadport's JSON Web Tokens, reads those and an identity provider's."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import uuid_utils.compat

from application.errors import KeySetUnavailable, TokenIssuingDisabled
from application.ports.auth import Session, SessionTokens
from application.ports.clock import Clock
from domain.errors import NotSignedIn
from domain.organization import UserId

AUDIENCE = "authenticated"
"""The `aud` claim of Supabase's tokens; Leadport's have the same, so one check serves both."""

TOKEN_LIFETIME = timedelta(hours=12)
LEEWAY_SECONDS = 30
"""Tolerated difference between the clocks of issuer and reader."""

MAX_TOKEN_CHARACTERS = 8192
"""Characters; a longer token is refused unread."""

HS256 = "HS256"


@dataclass(frozen=True, slots=True)
class JwtSessionTokens(SessionTokens):
    """Issues tokens with `secret` (HS256); reads tokens signed by it or by a key of `key_set`.

    The algorithm follows from the key and never from the token's header (D33). A token therefore
    can neither choose `none` nor make a public RSA key serve as an HS256 secret.
    """

    clock: Clock
    secret: str | None = field(default=None, repr=False)
    key_set: jwt.PyJWKClient | None = None

    @classmethod
    def create(cls, clock: Clock, secret: str | None, jwks_url: str | None) -> "JwtSessionTokens":
        """Build the adapter; keys are fetched from `jwks_url` on first use, then every 5 min."""
        key_set = jwt.PyJWKClient(jwks_url, lifespan=300, timeout=3) if jwks_url else None
        return cls(clock, secret, key_set)

    def issue(self, user_id: UserId) -> str:
        if self.secret is None:
            raise TokenIssuingDisabled("tokens are issued by the identity provider (AUTH_JWKS_URL)")
        now = self.clock.now()
        claims = {
            "sub": str(user_id),
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
            "jti": str(uuid_utils.compat.uuid7()),
        }
        return jwt.encode(claims, self.secret, algorithm=HS256)

    async def read(self, token: str) -> Session:
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise NotSignedIn("the token is not valid; sign in again")
        try:
            key, algorithm = await self._find_key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud"]},
            )
            return Session(
                # A hash of the signed part: not every provider sets `jti`, and one signature has
                # several encodings (D32).
                id=UUID(bytes=hashlib.sha256(token.rpartition(".")[0].encode()).digest()[:16]),
                user_id=UserId(UUID(claims["sub"])),
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except jwt.PyJWKClientConnectionError as error:
            raise KeySetUnavailable("the identity provider's keys cannot be fetched") from error
        except (jwt.PyJWTError, ValueError, OverflowError, OSError) as error:
            raise NotSignedIn("the token is not valid; sign in again") from error

    async def _find_key(self, token: str) -> tuple[Any, str]:
        """Return the key that the token's `kid` header names, and the key's algorithm.

        Without a `kid`, or where the key set lacks it, that is the secret. Raises PyJWTError where
        there is no key, and PyJWKClientConnectionError where the key set cannot be fetched.
        """
        key_id = jwt.get_unverified_header(token).get("kid")
        if self.key_set is not None and key_id is not None:
            try:
                key = await asyncio.to_thread(self.key_set.get_signing_key, key_id)
            except jwt.PyJWKClientConnectionError:
                raise
            except jwt.PyJWKClientError:
                if self.secret is None:
                    raise
            else:
                return key.key, _choose_algorithm(key)
        if self.secret is None:
            raise jwt.InvalidKeyError("no key for the token")
        return self.secret, HS256


def _choose_algorithm(key: jwt.PyJWK) -> str:
    if key.key_type == "RSA":
        return "RS256"
    if key.key_type == "EC":
        return "ES256"
    raise jwt.InvalidKeyError("neither an RSA nor a P-256 key")
