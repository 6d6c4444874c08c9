"""Drains the spool: stores the spooled deliveries once the storage is back."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from application.errors import StorageUnavailable
from application.ingestion.store_deliveries import StoreDeliveries
from application.ports.delivery import Delivery, DeliveryParser, Spool, SpooledDelivery
from domain.change import IncomingChange
from domain.inbound import Inbound

log = logging.getLogger(__name__)

DELIVERIES_PER_READ = 50

MAX_DRAINED_ITEMS_PER_TRANSACTION = 200
"""Messages or changes. A transaction must end in time on a busy machine too."""


@dataclass(frozen=True, slots=True)
class MergedDelivery:
    """Parts of several deliveries, stored as one."""

    messages: list[Inbound]
    changes: list[IncomingChange]


@dataclass(frozen=True, slots=True)
class DrainSpool:
    """Stores the spooled deliveries, the oldest first. Only one worker drains at a time (D60).

    It may be interrupted anywhere. It then stores some deliveries again, which are duplicates.
    """

    spool: Spool
    parser: DeliveryParser
    store_deliveries: StoreDeliveries

    async def __call__(self) -> int:
        """Drain the spool, and return how many deliveries were stored and removed.

        Raises StorageUnavailable where the storage is unavailable again, and SpoolUnavailable where the
        spool cannot be read. What is not stored stays in the spool.
        """
        drained = last_id = 0
        with self.spool.try_lock() as is_locked:
            while is_locked and (
                spooled := await self.spool.read_oldest(DELIVERIES_PER_READ, last_id)
            ):
                stored = await self._store(spooled)
                await self.spool.remove(stored)
                drained, last_id = drained + len(stored), spooled[-1].id
        if drained:
            log.info("spool_drained", extra={"deliveries": drained})
        return drained

    async def _store(self, spooled: list[SpooledDelivery]) -> list[int]:
        """Store all in as few transactions as possible, else one by one; return the stored ids.

        A delivery that raises an unexpected error stays in the spool and does not block others.
        """
        try:
            for part in self._merge(spooled):
                await self.store_deliveries([part])
        except StorageUnavailable:
            raise
        except Exception:
            if len(spooled) > 1:
                return [id_ for each in spooled for id_ in await self._store([each])]
            log.exception("spooled_delivery_stays", extra={"id": spooled[0].id})
            return []
        return [each.id for each in spooled]

    def _merge(self, spooled: list[SpooledDelivery]) -> Iterator[Delivery]:
        """Yield all messages and then all changes, in parts of one transaction each."""
        deliveries = [self.parser.parse(each.body, each.arrived_at) for each in spooled]
        messages = [message for delivery in deliveries for message in delivery.messages]
        for start in range(0, len(messages), MAX_DRAINED_ITEMS_PER_TRANSACTION):
            part = messages[start : start + MAX_DRAINED_ITEMS_PER_TRANSACTION]
            yield MergedDelivery(messages=part, changes=[])
        changes = [change for delivery in deliveries for change in delivery.changes]
        for start in range(0, len(changes), MAX_DRAINED_ITEMS_PER_TRANSACTION):
            yield MergedDelivery(
                messages=[], changes=changes[start : start + MAX_DRAINED_ITEMS_PER_TRANSACTION]
            )
