"""Verifying that a request comes from Meta: the handshake and the signature of deliveries."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.meta.signature import WebhookVerifier, sign

VERIFIER = WebhookVerifier("the token", ("old secret", "new secret"))


def test_handshake_with_the_token_is_accepted() -> None:
    assert VERIFIER.check_handshake("subscribe", "the token", "1158201444") is None


@pytest.mark.parametrize(
    ("mode", "token", "challenge", "refusal"),
    [
        ("", "the token", "1", "hub.mode is not subscribe"),
        ("unsubscribe", "the token", "1", "hub.mode is not subscribe"),
        ("subscribe", "", "1", "hub.verify_token does not match"),
        ("subscribe", "the tokeñ", "1", "hub.verify_token does not match"),
        ("subscribe", "the token", "", "hub.challenge is missing"),
        ("subscribe", "the token", "<b>1</b>", "hub.challenge is missing"),
        ("subscribe", "the token", "1\n", "hub.challenge is missing"),
        ("subscribe", "the token", "١", "hub.challenge is missing"),
        ("subscribe", "the token", "1" * 257, "hub.challenge is missing"),
    ],
)
def test_refused_handshake_names_the_check_and_no_value(
    mode: str, token: str, challenge: str, refusal: str
) -> None:
    failed_check = VERIFIER.check_handshake(mode, token, challenge)

    assert failed_check is not None
    assert failed_check.startswith(refusal)
    assert "the token" not in failed_check


def test_signature_is_hmac_sha256_of_the_body() -> None:
    """Computed with `openssl dgst -sha256 -hmac`."""
    expected = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert sign(b"The quick brown fox jumps over the lazy dog", "key") == expected


@given(body=st.binary(), secret=st.sampled_from(VERIFIER.app_secrets))
def test_signature_by_any_of_the_secrets_is_accepted(body: bytes, secret: str) -> None:
    assert VERIFIER.accepts_signature(body, sign(body, secret))


@given(body=st.binary(), signature=st.text())
def test_arbitrary_signature_is_refused(body: bytes, signature: str) -> None:
    assert not VERIFIER.accepts_signature(body, signature)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "sha256=",
        sign(b"body", "another secret"),
        sign(b"body", "new secret").removeprefix("sha256="),
        sign(b"body", "new secret").replace("sha256", "sha1"),
        sign(b"body", "new secret").upper(),
        sign(b"body", "new secret") + "0",
        sign(b"body ", "new secret"),
    ],
)
def test_forged_signature_is_refused(forged: str) -> None:
    assert not VERIFIER.accepts_signature(b"body", forged)


def test_signature_is_that_of_the_bytes_not_of_their_json() -> None:
    """Meta escapes slashes and everything beyond ASCII; parsing and writing again changes that."""
    body = rb'{"url":"https:\/\/wa.me","text":"ma\u00f1ana <3 @ 100%"}'
    again = json.dumps(json.loads(body)).encode()

    assert VERIFIER.accepts_signature(body, sign(body, "new secret"))
    assert not VERIFIER.accepts_signature(again, sign(body, "new secret"))


def test_without_a_secret_every_delivery_is_accepted() -> None:
    assert WebhookVerifier("the token").accepts_signature(b"anything", "")


def test_repr_shows_no_secret() -> None:
    assert "secret" not in repr(VERIFIER)
    assert "the token" not in repr(VERIFIER)
