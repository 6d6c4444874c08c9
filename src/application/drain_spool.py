"""The spool is emptied when the storage is back."""

import logging
from dataclasses import dataclass

from application.ports import Delivery, ReadDelivery, Spool, Spooled
from application.receive_delivery import StoreDelivery
from domain.changes import Change
from domain.inbound import Inbound

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Deliveries in one go: few transactions, and none so long that new deliveries wait for it."""


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
                await self.store_delivery(self._together(spooled))
                await self.spool.remove([delivery.id for delivery in spooled])
                drained += len(spooled)
        if drained:
            log.info("spool_drained", extra={"deliveries": drained})
        return drained

    def _together(self, spooled: list[Spooled]) -> Delivery:
        deliveries = [self.read(kept.body, kept.arrived_at) for kept in spooled]
        return Several(
            messages=[message for delivery in deliveries for message in delivery.messages],
            changes=[change for delivery in deliveries for change in delivery.changes],
        )
