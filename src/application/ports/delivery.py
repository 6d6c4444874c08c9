"""The delivery ports: parsed deliveries, and the spool that keeps deliveries on the local disk."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.change import IncomingChange
from domain.inbound import Inbound


class Delivery(Protocol):
    """What a provider posted, read."""

    @property
    def messages(self) -> Sequence[Inbound]: ...

    @property
    def changes(self) -> Sequence[IncomingChange]: ...


class DeliveryParser(Protocol):
    """Reads what was kept in the provider's own form."""

    def __call__(self, body: bytes, arrived_at: datetime) -> Delivery:
        """Raises ValueError where nothing can be read."""
        ...


@dataclass(frozen=True, slots=True)
class SpooledDelivery:
    """A delivery in the spool, as it was posted."""

    id: int
    arrived_at: datetime
    body: bytes


class Spool(Protocol):
    """Keeps deliveries on the local disk while the storage cannot."""

    async def add(self, body: bytes, arrived_at: datetime) -> None:
        """Keep it, so that it survives everything but the disk. Raises SpoolFull."""
        ...

    def try_lock(self) -> AbstractContextManager[bool]:
        """Whether this is the one who may drain, of all that share the spool."""
        ...

    async def read_oldest(self, limit: int, after: int) -> list[SpooledDelivery]:
        """The oldest with an id greater than `after`, in order. Raises SpoolFull where it cannot be read."""
        ...

    async def remove(self, ids: Collection[int]) -> None:
        """Forget them."""
        ...
