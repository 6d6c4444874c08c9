"""Access tokens move to the newest key."""

from dataclasses import dataclass, replace

from application.ports.access_tokens import TokenCipher
from application.ports.storage import Transactions

BATCH = 100


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """Seals every access token with the newest key.

    What is done is seen from the tokens themselves, so it can be stopped and started again.
    """

    transactions: Transactions
    token_cipher: TokenCipher

    async def __call__(self) -> int:
        """Return how many were sealed anew. Raises SealBroken where an old key is missing."""
        rotated = 0
        while True:
            async with self.transactions.begin() as repos:
                batch = await repos.connections.list_not_encrypted_with(
                    self.token_cipher.prefix, BATCH
                )
                for connection in batch:
                    sealed = self.token_cipher.encrypt(
                        self.token_cipher.decrypt(connection), connection
                    )
                    await repos.connections.update(replace(connection, access_token=sealed))
            rotated += len(batch)
            if len(batch) < BATCH:
                return rotated
