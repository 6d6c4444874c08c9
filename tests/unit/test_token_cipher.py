"""Tests of the token cipher: round trip, key rotation, binding to a connection, key format."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.errors import TokenDecryptionError
from domain.access_token import EncryptedToken
from domain.connection import Channel, Connection, ConnectionId
from domain.organization import OrgId
from infrastructure.token_cipher import AesGcmTokenCipher, EncryptionKey, InvalidEncryptionKey
from tests.support.builders import new_id

NEW_KEY, OLD_KEY = EncryptionKey.read("A" * 43), EncryptionKey.read("B" * 43)
CIPHER = AesGcmTokenCipher([NEW_KEY, OLD_KEY])
SHOP = Connection(
    id=ConnectionId(new_id()),
    org_id=OrgId(new_id()),
    channel=Channel.WHATSAPP,
    external_id="1",
)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=300))
def test_a_token_decrypts_and_shows_only_its_last_four_characters(token: str) -> None:
    encrypted = replace(SHOP, access_token=CIPHER.encrypt(token, SHOP))

    assert CIPHER.decrypt(encrypted) == token
    assert encrypted.access_token_hint == token[-4:]
    assert token not in str(encrypted.access_token)


def test_encrypting_a_token_twice_gives_different_texts() -> None:
    assert CIPHER.encrypt("EAAGcanary", SHOP) != CIPHER.encrypt("EAAGcanary", SHOP)


def test_a_token_of_an_old_key_decrypts_only_while_the_key_is_configured() -> None:
    encrypted = replace(SHOP, access_token=AesGcmTokenCipher([OLD_KEY]).encrypt("EAAGcanary", SHOP))

    assert CIPHER.decrypt(encrypted) == "EAAGcanary"
    assert not str(encrypted.access_token).startswith(EncryptedToken.make_prefix(CIPHER.key_id))
    with pytest.raises(TokenDecryptionError):
        AesGcmTokenCipher([NEW_KEY]).decrypt(encrypted)


@pytest.mark.parametrize(
    "moved",
    [{"org_id": OrgId(new_id())}, {"id": ConnectionId(new_id())}],
    ids=["organisation", "connection"],
)
def test_a_token_moved_to_another_row_does_not_decrypt(moved: dict[str, OrgId]) -> None:
    encrypted = replace(SHOP, access_token=CIPHER.encrypt("EAAGcanary", SHOP))

    with pytest.raises(TokenDecryptionError):
        CIPHER.decrypt(replace(encrypted, **moved))  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", [None, "", "EAAGcanary", "v1.a.b", "v1.x.AAAA.1234"])
def test_a_text_that_was_not_encrypted_does_not_decrypt(broken: str | None) -> None:
    with pytest.raises(TokenDecryptionError) as refusal:
        CIPHER.decrypt(replace(SHOP, access_token=broken))
    assert "EAAG" not in str(refusal.value)


def test_a_changed_ciphertext_or_hint_does_not_decrypt() -> None:
    head, key, body, hint = CIPHER.encrypt("EAAGcanary", SHOP).split(".", 3)
    for changed in (f"{head}.{key}.{body[:-5]}AAAAA.{hint}", f"{head}.{key}.{body}.zzzz"):
        with pytest.raises(TokenDecryptionError):
            CIPHER.decrypt(replace(SHOP, access_token=changed))


def test_a_key_is_32_bytes_in_standard_or_url_safe_base64() -> None:
    secret = bytes(range(224, 256))
    encodings = {base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode()}

    assert {EncryptionKey.read(text).secret for text in encodings} == {secret}
    for wrong in ("", "AAAA", "A" * 44 + "AAAA", "ñ"):
        with pytest.raises(InvalidEncryptionKey):
            EncryptionKey.read(wrong)
    assert "224" not in repr(EncryptionKey.read("A" * 43))
