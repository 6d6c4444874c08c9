"""Access tokens: encrypted for one connection, opened for no other."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.errors import TokenDecryptionError
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
def test_what_was_sealed_opens_and_shows_its_end_alone(token: str) -> None:
    encrypted = replace(SHOP, access_token=CIPHER.encrypt(token, SHOP))

    assert CIPHER.decrypt(encrypted) == token
    assert encrypted.access_token_hint == token[-4:]
    assert token not in str(encrypted.access_token)


def test_the_same_token_is_never_sealed_alike() -> None:
    assert CIPHER.encrypt("EAAGcanary", SHOP) != CIPHER.encrypt("EAAGcanary", SHOP)


def test_an_old_key_still_opens_and_a_missing_one_does_not() -> None:
    encrypted = replace(SHOP, access_token=AesGcmTokenCipher([OLD_KEY]).encrypt("EAAGcanary", SHOP))

    assert CIPHER.decrypt(encrypted) == "EAAGcanary"
    assert not str(encrypted.access_token).startswith(CIPHER.prefix)
    with pytest.raises(TokenDecryptionError):
        AesGcmTokenCipher([NEW_KEY]).decrypt(encrypted)


@pytest.mark.parametrize(
    "moved",
    [{"org_id": OrgId(new_id())}, {"id": ConnectionId(new_id())}],
    ids=["organisation", "connection"],
)
def test_a_token_moved_to_another_row_does_not_open(moved: dict[str, OrgId]) -> None:
    encrypted = replace(SHOP, access_token=CIPHER.encrypt("EAAGcanary", SHOP))

    with pytest.raises(TokenDecryptionError):
        CIPHER.decrypt(replace(encrypted, **moved))  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", [None, "", "EAAGcanary", "v1.a.b", "v1.x.AAAA.1234"])
def test_what_was_never_sealed_does_not_open(broken: str | None) -> None:
    with pytest.raises(TokenDecryptionError) as refusal:
        CIPHER.decrypt(replace(SHOP, access_token=broken))
    assert "EAAG" not in str(refusal.value)


def test_a_changed_letter_or_hint_does_not_open() -> None:
    head, key, body, hint = CIPHER.encrypt("EAAGcanary", SHOP).split(".", 3)
    for changed in (f"{head}.{key}.{body[:-5]}AAAAA.{hint}", f"{head}.{key}.{body}.zzzz"):
        with pytest.raises(TokenDecryptionError):
            CIPHER.decrypt(replace(SHOP, access_token=changed))


def test_keys_are_32_bytes_in_either_base64() -> None:
    secret = bytes(range(224, 256))
    ways = {base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode()}

    assert {EncryptionKey.read(way).secret for way in ways} == {secret}
    for wrong in ("", "AAAA", "A" * 44 + "AAAA", "ñ"):
        with pytest.raises(InvalidEncryptionKey):
            EncryptionKey.read(wrong)
    assert "224" not in repr(EncryptionKey.read("A" * 43))
