"""Tests of session tokens: keys, algorithms, audience, expiry, and the provider's key set."""

import base64
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from application.errors import KeySetUnavailable, TokenIssuingDisabled
from domain.errors import NotSignedIn
from domain.organization import UserId
from infrastructure.clock import SystemClock
from infrastructure.session_tokens import JwtSessionTokens
from tests.support.builders import StoppedClock, new_id

SECRET = "s" * 32
ANA = UserId(new_id())
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OUR_TOKENS = JwtSessionTokens.create(SystemClock(), SECRET, None)


def make_claims(**changed: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    base = {"sub": str(ANA), "aud": "authenticated", "exp": now + timedelta(hours=1), "iat": now}
    return {name: value for name, value in (base | changed).items() if value is not None}


def sign_claims(
    key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **given: Any
) -> str:
    headers = {"kid": kid} if kid else None
    return jwt.encode(make_claims(**given), key, algorithm=algorithm, headers=headers)


def forge_hs256(secret: bytes, kid: str) -> str:
    """Sign with HS256 and a public key as the secret, which the library refuses to do."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": kid}, make_claims(exp=2_000_000_000, iat=1)]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    signature = hmac.digest(secret, b".".join(encoded), "sha256")
    return b".".join([*encoded, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@dataclass
class IdentityProvider:
    """An identity provider that serves its key set over HTTP, and the adapter that reads it."""

    tokens: JwtSessionTokens
    requested_paths: list[str]


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    requested_paths: list[str] = []
    keys = [
        RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True) | {"kid": "rsa", "use": "sig"},
        ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True) | {"kid": "ec", "use": "sig"},
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested_paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": keys}).encode())

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        # `shutdown` waits for the end of a poll interval, which is 0.5 s by default.
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        yield IdentityProvider(JwtSessionTokens.create(SystemClock(), None, url), requested_paths)
        server.shutdown()
        thread.join()


async def test_each_issued_token_is_read_as_a_session_with_its_own_id() -> None:
    first_token, second_token = OUR_TOKENS.issue(ANA), OUR_TOKENS.issue(ANA)

    first, second = await OUR_TOKENS.read(first_token), await OUR_TOKENS.read(second_token)

    assert first.user_id == second.user_id == ANA
    assert first.id != second.id
    assert first == await OUR_TOKENS.read(first_token)
    assert timedelta(hours=11) < first.expires_at - datetime.now(UTC) <= timedelta(hours=12)


async def test_a_token_issued_a_day_ago_is_refused() -> None:
    yesterday = StoppedClock(datetime.now(UTC) - timedelta(days=1))

    with pytest.raises(NotSignedIn):
        await OUR_TOKENS.read(JwtSessionTokens.create(yesterday, SECRET, None).issue(ANA))


NOW = datetime.now(UTC)
REFUSED_TOKENS = {
    "no token": "",
    "no JWT": "nonsense",
    "three parts that are no JWT": "a.b.c",
    "too long": "a" * 10_000,
    "another secret": sign_claims("x" * 32),
    "no signature": jwt.encode(make_claims(), "", algorithm="none"),
    "another algorithm": sign_claims(algorithm="HS384", key="s" * 64),
    "a key that is not configured": sign_claims(RSA_KEY, "RS256"),
    "expired": sign_claims(exp=NOW - timedelta(minutes=5)),
    "not valid yet": sign_claims(nbf=NOW + timedelta(days=1), exp=NOW + timedelta(days=2)),
    "another audience": sign_claims(aud="anon"),
    "no audience": sign_claims(aud=None),
    "no expiry": sign_claims(exp=None),
    "no subject": sign_claims(sub=None),
    "a subject that is no id": sign_claims(sub="ana"),
}


@pytest.mark.parametrize("token", REFUSED_TOKENS.values(), ids=REFUSED_TOKENS)
async def test_an_invalid_token_is_refused(token: str) -> None:
    with pytest.raises(NotSignedIn):
        await OUR_TOKENS.read(token)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec")]
)
async def test_a_providers_token_is_read_and_its_key_set_fetched_once(
    provider: IdentityProvider, key: Any, algorithm: str, kid: str
) -> None:
    session = await provider.tokens.read(sign_claims(key, algorithm, kid))

    assert session.user_id == ANA
    await provider.tokens.read(sign_claims(key, algorithm, kid))
    assert len(provider.requested_paths) == 1


async def test_a_token_whose_algorithm_does_not_fit_its_key_is_refused(
    provider: IdentityProvider,
) -> None:
    """A public key is no secret: accepted as an HS256 secret it would let anyone sign tokens."""
    public_key = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    forged_tokens = (
        forge_hs256(public_key, kid="rsa"),
        sign_claims(EC_KEY, "ES256", "rsa"),
        sign_claims(RSA_KEY, "RS384", "rsa"),
        sign_claims(RSA_KEY, "RS256", "unknown"),
        sign_claims(RSA_KEY, "RS256"),
        sign_claims(),
    )
    for token in forged_tokens:
        with pytest.raises(NotSignedIn):
            await provider.tokens.read(token)


async def test_another_encoding_of_a_tokens_signature_is_the_same_session() -> None:
    """A session that was signed out must not continue with another encoding of its signature."""
    token = OUR_TOKENS.issue(ANA)

    assert (await OUR_TOKENS.read(token + "=")).id == (await OUR_TOKENS.read(token)).id


async def test_an_unreachable_key_set_is_an_outage_and_not_an_invalid_token() -> None:
    tokens = JwtSessionTokens.create(SystemClock(), None, "http://127.0.0.1:1/jwks.json")

    with pytest.raises(KeySetUnavailable):
        await tokens.read(sign_claims(RSA_KEY, "RS256", "rsa"))


async def test_tokens_of_the_secret_and_of_the_key_set_are_both_read(
    provider: IdentityProvider,
) -> None:
    both = JwtSessionTokens(SystemClock(), SECRET, provider.tokens.key_set)

    assert (await both.read(sign_claims(RSA_KEY, "RS256", "rsa"))).user_id == ANA
    assert (await both.read(sign_claims(kid="hs"))).user_id == ANA
    assert (await both.read(sign_claims())).user_id == ANA


def test_issuing_a_token_without_a_secret_is_refused() -> None:
    with pytest.raises(TokenIssuingDisabled):
        JwtSessionTokens.create(SystemClock(), None, "https://id.example/jwks.json").issue(ANA)


def test_the_secret_is_not_in_the_adapters_repr() -> None:
    assert SECRET not in repr(OUR_TOKENS)
