"""Access tokens move to the newest key."""

from dataclasses import dataclass, replace

from application.ports.access_tokens import TokenSeal
from application.ports.storage import Transactions

BATCH = 100


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """Seals every access token with the newest key.

    What is done is seen from the tokens themselves, so it can be stopped and started again.
    """

    transactions: Transactions
    seal: TokenSeal

    async def __call__(self) -> int:
        """Return how many were sealed anew. Raises SealBroken where an old key is missing."""
        rotated = 0
        while True:
            async with self.transactions.begin() as repos:
                batch = await repos.connections.sealed_otherwise(self.seal.prefix, BATCH)
                for connection in batch:
                    sealed = self.seal.seal(self.seal.open(connection), connection)
                    await repos.connections.change(replace(connection, access_token=sealed))
            rotated += len(batch)
            if len(batch) < BATCH:
                return rotated
