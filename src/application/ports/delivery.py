"""The delivery ports: parsed deliveries, and the spool that keeps deliveries on the local disk."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.change import IncomingChange
from domain.inbound import Inbound


class Delivery(Protocol):
    """A parsed delivery: the messages that count, and the changes, each in the order of the body."""

    @property
    def messages(self) -> Sequence[Inbound]:
        """The messages that count, also those that cannot be read."""
        ...

    @property
    def changes(self) -> Sequence[IncomingChange]:
        """The changes of messages and people."""
        ...


class DeliveryParser(Protocol):
    """Parses deliveries in the provider's own form."""

    def parse(self, body: bytes, arrived_at: datetime) -> Delivery:
        """Parse a body; `arrived_at` replaces missing and absurd times in it.

        Raises ValueError where the body is not JSON.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpooledDelivery:
    """A delivery in the spool, as it was posted. Ids ascend in the order of spooling."""

    id: int
    arrived_at: datetime
    body: bytes


class Spool(Protocol):
    """Keeps deliveries on the local disk while the storage cannot take them.

    All processes of a data folder share one spool.
    """

    async def add(self, body: bytes, arrived_at: datetime) -> None:
        """Append a delivery; on return it is on the disk.

        Raises SpoolFull where there is no room, and SpoolUnavailable where the spool cannot be
        written.
        """
        ...

    def try_lock(self) -> AbstractContextManager[bool]:
        """Try to become the one process that drains the spool; False where another one does.

        The lock is released when the block ends. Raises SpoolUnavailable where the lock file
        cannot be opened.
        """
        ...

    async def read_oldest(self, limit: int, after: int) -> list[SpooledDelivery]:
        """Return up to `limit` deliveries with an id greater than `after`, in order of their ids.

        Raises SpoolUnavailable where the spool cannot be read.
        """
        ...

    async def remove(self, ids: Collection[int]) -> None:
        """Delete the deliveries. Unknown ids are ignored. Raises SpoolUnavailable."""
        ...
