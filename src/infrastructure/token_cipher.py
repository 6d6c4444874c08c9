"""Encrypts access tokens with AES-256-GCM, each for one connection of one organisation."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.errors import TokenDecryptionError
from application.ports.access_tokens import TokenCipher
from domain.access_token import EncryptedToken
from domain.connection import Connection

KEY_BYTES = 32
NONCE_BYTES = 12
HINT_CHARACTERS = 4


class InvalidEncryptionKey(ValueError):
    """A key is not 32 bytes in base64. The text says what is wrong, without the key."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A key, and the id by which encrypted tokens name it: 8 hex digits of its SHA-256."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "EncryptionKey":
        """Read 32 bytes in base64, of the standard or the URL alphabet. Raises InvalidEncryptionKey."""
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
    """Encrypts with the first key, decrypts with any of them.

    Organisation, connection and hint are associated data, so a token that was moved to another row
    cannot be decrypted (D31).
    """

    keys: Sequence[EncryptionKey]

    @property
    def key_id(self) -> str:
        return self.keys[0].id

    def encrypt(self, token: str, connection: Connection) -> str:
        nonce, hint = os.urandom(NONCE_BYTES), token[-HINT_CHARACTERS:]
        cipher = AESGCM(self.keys[0].secret)
        data = nonce + cipher.encrypt(
            nonce, token.encode(), _make_associated_data(connection, hint)
        )
        ciphertext = base64.urlsafe_b64encode(data).decode()
        return str(EncryptedToken(self.key_id, ciphertext, hint))

    def decrypt(self, connection: Connection) -> str:
        try:
            token = EncryptedToken.parse(connection.access_token or "")
            secret = next(key.secret for key in self.keys if key.id == token.key_id)
            data = base64.urlsafe_b64decode(token.ciphertext)
            nonce, ciphertext = data[:NONCE_BYTES], data[NONCE_BYTES:]
            associated_data = _make_associated_data(connection, token.hint)
            return AESGCM(secret).decrypt(nonce, ciphertext, associated_data).decode()
        except StopIteration as error:
            raise TokenDecryptionError(
                f"the key of connection {connection.id} is missing"
            ) from error
        except (ValueError, InvalidTag) as error:
            raise TokenDecryptionError(
                f"the token of connection {connection.id} cannot be decrypted"
            ) from error


def _make_associated_data(connection: Connection, hint: str) -> bytes:
    return f"{connection.org_id}/{connection.id}/{hint}".encode()
