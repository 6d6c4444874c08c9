import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.meta.signature import WebhookVerifier, sign

OPEN = WebhookVerifier("the token", ("old secret", "new secret"))


def test_the_handshake_is_accepted_with_the_token() -> None:
    assert OPEN.check_handshake("subscribe", "the token", "1158201444") is None


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
def test_a_refused_handshake_names_the_check_and_no_value(
    mode: str, token: str, challenge: str, refusal: str
) -> None:
    said = OPEN.check_handshake(mode, token, challenge)

    assert said is not None
    assert said.startswith(refusal)
    assert "the token" not in said


def test_the_signature_is_hmac_sha256_over_the_body() -> None:
    """Computed with `openssl dgst -sha256 -hmac`."""
    expected = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert sign(b"The quick brown fox jumps over the lazy dog", "key") == expected


@given(body=st.binary(), secret=st.sampled_from(OPEN.app_secrets))
def test_every_secret_opens(body: bytes, secret: str) -> None:
    assert OPEN.accepts_signature(body, sign(body, secret))


@given(body=st.binary(), signature=st.text())
def test_nothing_else_opens(body: bytes, signature: str) -> None:
    assert not OPEN.accepts_signature(body, signature)


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
def test_a_forged_signature_does_not_open(forged: str) -> None:
    assert not OPEN.accepts_signature(b"body", forged)


def test_the_bytes_are_signed_not_what_they_mean() -> None:
    """Meta escapes slashes and everything beyond ASCII; parsing and writing again changes that."""
    body = rb'{"url":"https:\/\/wa.me","text":"ma\u00f1ana <3 @ 100%"}'
    again = json.dumps(json.loads(body)).encode()

    assert OPEN.accepts_signature(body, sign(body, "new secret"))
    assert not OPEN.accepts_signature(again, sign(body, "new secret"))


def test_without_a_secret_everything_opens() -> None:
    assert WebhookVerifier("the token").accepts_signature(b"anything", "")


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(OPEN)
    assert "the token" not in repr(OPEN)
