"""The port that encrypts the access tokens of connections."""

from typing import Protocol

from domain.connection import Connection


class TokenCipher(Protocol):
    """Encrypts access tokens for one connection of one organisation."""

    @property
    def prefix(self) -> str:
        """What everything sealed with the newest key begins with."""
        ...

    def encrypt(self, token: str, connection: Connection) -> str: ...

    def decrypt(self, connection: Connection) -> str:
        """The token. Raises SealBroken where it was sealed for another connection or key."""
        ...
