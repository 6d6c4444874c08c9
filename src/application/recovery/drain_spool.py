"""The spool is emptied when the storage is back."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from application.errors import StorageUnavailable
from application.ingestion.store_deliveries import StoreDeliveries
from application.ports.delivery import Delivery, DeliveryParser, Spool, SpooledDelivery
from domain.change import IncomingChange
from domain.inbound import Inbound

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Deliveries in one go: few transactions."""

PART = 200
"""Messages or changes in one transaction: it must end in time on a busy machine too."""


@dataclass(frozen=True, slots=True)
class MergedDelivery:
    """Several deliveries as one."""

    messages: list[Inbound]
    changes: list[IncomingChange]


@dataclass(frozen=True, slots=True)
class DrainSpool:
    """Stores what is in the spool, the oldest first; one process and worker at a time does it.

    Interrupted anywhere it may store some again, which then are duplicates.
    """

    spool: Spool
    read: DeliveryParser
    store_deliveries: StoreDeliveries

    async def __call__(self) -> int:
        """Empty the spool, and return how many deliveries there were.

        Raises StorageUnavailable where the storage is away again, SpoolFull where the spool
        cannot be read; what is not stored stays.
        """
        drained = last = 0
        with self.spool.try_lock() as is_mine:
            while is_mine and (spooled := await self.spool.read_oldest(AT_ONCE, last)):
                stored = await self._store(spooled)
                await self.spool.remove(stored)
                drained, last = drained + len(stored), spooled[-1].id
        if drained:
            log.info("spool_drained", extra={"deliveries": drained})
        return drained

    async def _store(self, spooled: list[SpooledDelivery]) -> list[int]:
        """Store all at once, else one by one; return the ids of those that are stored.

        One that cannot be, for a reason nobody foresaw, stays and does not block the others.
        """
        try:
            for part in self._parts(spooled):
                await self.store_deliveries([part])
        except StorageUnavailable:
            raise
        except Exception:
            if len(spooled) > 1:
                return [id_ for each in spooled for id_ in await self._store([each])]
            log.exception("spooled_delivery_stays", extra={"id": spooled[0].id})
            return []
        return [each.id for each in spooled]

    def _parts(self, spooled: list[SpooledDelivery]) -> Iterator[Delivery]:
        """All messages, and then all changes, whichever deliveries they came in."""
        deliveries = [self.read(kept.body, kept.arrived_at) for kept in spooled]
        messages = [message for delivery in deliveries for message in delivery.messages]
        for start in range(0, len(messages), PART):
            yield MergedDelivery(messages=messages[start : start + PART], changes=[])
        changes = [change for delivery in deliveries for change in delivery.changes]
        for start in range(0, len(changes), PART):
            yield MergedDelivery(messages=[], changes=changes[start : start + PART])
