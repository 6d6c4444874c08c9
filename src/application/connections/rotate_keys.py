"""Encrypts every access token with the newest key."""

from dataclasses import dataclass, replace

from application.ports.access_tokens import TokenCipher
from application.ports.storage import Transactions
from domain.actor import Operator

TOKENS_PER_TRANSACTION = 100


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """Re-encrypts the access tokens that an older key encrypted.

    The tokens themselves name their key, so the rotation can be stopped and started again.
    """

    transactions: Transactions
    token_cipher: TokenCipher

    async def __call__(self) -> int:
        """Return how many were encrypted. Raises TokenDecryptionError where an old key is missing."""
        rotated = 0
        while True:
            async with self.transactions.begin(Operator()) as repos:
                batch = await repos.connections.list_not_encrypted_with(
                    self.token_cipher.key_id, TOKENS_PER_TRANSACTION
                )
                for connection in batch:
                    token = self.token_cipher.decrypt(connection)
                    encrypted = self.token_cipher.encrypt(token, connection)
                    await repos.connections.update(replace(connection, access_token=encrypted))
            rotated += len(batch)
            if len(batch) < TOKENS_PER_TRANSACTION:
                return rotated
