"""Sessions as JSON Web Tokens: ours (HS256), and those of an identity provider (Supabase's too)."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import uuid_utils.compat

from application.errors import StorageUnavailable, TokenIssuingDisabled
from application.ports.auth import Session, SessionTokens
from application.ports.clock import Clock
from domain.errors import NotSignedIn
from domain.organization import UserId

AUDIENCE = "authenticated"
"""What Supabase puts there; ours say the same, so that one check serves both."""

TOKEN_LIFETIME = timedelta(hours=12)
LEEWAY_SECONDS = 30
MAX_TOKEN_LENGTH = 8192
HS256 = "HS256"


@dataclass(frozen=True, slots=True)
class JwtSessionTokens(SessionTokens):
    """Issues with the secret; reads what the secret or the provider's key set signed.

    The algorithm follows from the key that is found, never from the token: a token cannot choose
    `none`, nor have a public key taken for a secret.
    """

    clock: Clock
    secret: str | None = field(default=None, repr=False)
    key_set: jwt.PyJWKClient | None = None

    @classmethod
    def of(cls, clock: Clock, secret: str | None, jwks_url: str | None) -> "JwtSessionTokens":
        """Read keys from the URL when they are first needed, and again after five minutes."""
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
        if len(token) > MAX_TOKEN_LENGTH:
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
                # Of what was signed: not every provider gives a token an id, and a signature can
                # be written in more than one way.
                id=UUID(bytes=hashlib.sha256(token.rpartition(".")[0].encode()).digest()[:16]),
                user_id=UserId(UUID(claims["sub"])),
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except jwt.PyJWKClientConnectionError as error:
            raise StorageUnavailable("the identity provider's keys cannot be read") from error
        except (jwt.PyJWTError, ValueError, OverflowError, OSError) as error:
            raise NotSignedIn("the token is not valid; sign in again") from error

    async def _find_key(self, token: str) -> tuple[Any, str]:
        """The key that the token's header points at, and the algorithm that belongs to it."""
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
                return key.key, _algorithm_for(key)
        if self.secret is None:
            raise jwt.InvalidKeyError("no key for the token")
        return self.secret, HS256


def _algorithm_for(key: jwt.PyJWK) -> str:
    if key.key_type == "RSA":
        return "RS256"
    if key.key_type == "EC":
        return "ES256"
    raise jwt.InvalidKeyError("neither an RSA nor a P-256 key")
