"""The port that encrypts the access tokens of connections."""

from typing import Protocol

from domain.connection import Connection


class TokenCipher(Protocol):
    """Encrypts an access token for one connection: in another row it cannot be decrypted."""

    @property
    def key_id(self) -> str:
        """The id of the newest key, which `encrypt` uses."""
        ...

    def encrypt(self, token: str, connection: Connection) -> str:
        """Encrypt with the newest key; return the stored form (`domain.access_token`).

        Id and organisation of the connection are bound to the ciphertext.
        """
        ...

    def decrypt(self, connection: Connection) -> str:
        """Return the connection's access token in plain text.

        Raises TokenDecryptionError where its key is missing, the token was encrypted for another
        connection, or there is none.
        """
        ...
