"""Encrypts access tokens with AES-256-GCM, each bound to one connection of one organisation."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.errors import TokenDecryptionError
from application.ports.access_tokens import TokenCipher
from domain.connection import Connection

KEY_BYTES = 32
NONCE_BYTES = 12
HINT_LENGTH = 4
"""Last characters of a token that stay readable, so pages can show them."""


class InvalidEncryptionKey(ValueError):
    """A configured key is not 32 bytes in base64."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """An AES-256 key; `id` is a hash of it that encrypted tokens carry."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "EncryptionKey":
        """Decode 32 bytes in standard or URL-safe base64. Raises InvalidEncryptionKey."""
        try:
            secret = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "==")
        except ValueError as error:
            raise InvalidEncryptionKey("a key must be base64") from error
        if len(secret) != KEY_BYTES:
            raise InvalidEncryptionKey(
                f"a key must be {KEY_BYTES} bytes in base64, not {len(secret)}"
            )
        return cls(hashlib.sha256(secret).hexdigest()[:8], secret)


@dataclass(frozen=True, slots=True)
class AesGcmTokenCipher(TokenCipher):
    """Encrypts with the first key, decrypts with any: `v1.<key id>.<nonce, ciphertext>.<hint>`.

    Organisation, connection and hint are associated data, so decrypting fails for a token that was
    moved to another row or got another hint.
    """

    keys: Sequence[EncryptionKey]

    @property
    def prefix(self) -> str:
        return f"v1.{self.keys[0].id}."

    def encrypt(self, token: str, connection: Connection) -> str:
        nonce, hint = os.urandom(NONCE_BYTES), token[-HINT_LENGTH:]
        cipher = AESGCM(self.keys[0].secret)
        encrypted = nonce + cipher.encrypt(
            nonce, token.encode(), _make_associated_data(connection, hint)
        )
        return f"{self.prefix}{base64.urlsafe_b64encode(encrypted).decode()}.{hint}"

    def decrypt(self, connection: Connection) -> str:
        try:
            _, key_id, encoded, hint = (connection.access_token or "").split(".", 3)
            secret = next(key.secret for key in self.keys if key.id == key_id)
            encrypted = base64.urlsafe_b64decode(encoded)
            nonce, ciphertext = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
            return (
                AESGCM(secret)
                .decrypt(nonce, ciphertext, _make_associated_data(connection, hint))
                .decode()
            )
        except StopIteration as error:
            raise TokenDecryptionError(
                f"no configured key decrypts the token of connection {connection.id}"
            ) from error
        except (ValueError, InvalidTag) as error:
            raise TokenDecryptionError(
                f"the token of connection {connection.id} cannot be decrypted"
            ) from error


def _make_associated_data(connection: Connection, hint: str) -> bytes:
    return f"{connection.org_id}/{connection.id}/{hint}".encode()
