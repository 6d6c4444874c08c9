"""The spool is emptied when the storage is back."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from application.ports import Delivery, ReadDelivery, Spool, Spooled
from application.receive_delivery import StoreDelivery
from domain.changes import Change
from domain.inbound import Inbound

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Deliveries in one go: few transactions."""

MESSAGES_AT_ONCE = 200
"""In one transaction: it must end in time on a busy machine too."""


@dataclass(frozen=True, slots=True)
class Several:
    """Several deliveries as one."""

    messages: list[Inbound]
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class DrainSpool:
    """Stores what is in the spool, the oldest first; one process and worker at a time does it.

    Interrupted anywhere it may store some again, which then are duplicates.
    """

    spool: Spool
    read: ReadDelivery
    store_delivery: StoreDelivery

    async def __call__(self) -> int:
        """Empty the spool, and return how many deliveries there were.

        Raises StorageUnavailable where the storage is away again, SpoolFull where the spool
        cannot be read; what is not stored stays.
        """
        drained = 0
        with self.spool.draining() as is_mine:
            while is_mine and (spooled := await self.spool.oldest(AT_ONCE)):
                for part in self._parts(spooled):
                    await self.store_delivery(part)
                await self.spool.remove([delivery.id for delivery in spooled])
                drained += len(spooled)
        if drained:
            log.info("spool_drained", extra={"deliveries": drained})
        return drained

    def _parts(self, spooled: list[Spooled]) -> Iterator[Delivery]:
        """All messages, and then all changes, whichever deliveries they came in."""
        deliveries = [self.read(kept.body, kept.arrived_at) for kept in spooled]
        messages = [message for delivery in deliveries for message in delivery.messages]
        for start in range(0, len(messages), MESSAGES_AT_ONCE):
            yield Several(messages=messages[start : start + MESSAGES_AT_ONCE], changes=[])
        changes = [change for delivery in deliveries for change in delivery.changes]
        yield Several(messages=[], changes=changes)
