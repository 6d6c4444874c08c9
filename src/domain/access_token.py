"""The stored form of an encrypted access token: `v1.<key id>.<ciphertext>.<hint>`."""

from typing import NamedTuple, Self

VERSION = "v1"


class EncryptedToken(NamedTuple):
    """An encrypted access token. `hint` is the last four characters of the plain text (D31)."""

    key_id: str
    ciphertext: str
    hint: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the stored form. Raises ValueError where it has another one."""
        version, key_id, ciphertext, hint = text.split(".", 3)
        if version != VERSION:
            raise ValueError("the encrypted token has another version")
        return cls(key_id, ciphertext, hint)

    @staticmethod
    def make_prefix(key_id: str) -> str:
        """Return what the stored form of every token of that key begins with."""
        return f"{VERSION}.{key_id}."

    def __str__(self) -> str:
        return f"{self.make_prefix(self.key_id)}{self.ciphertext}.{self.hint}"
