"""Stores several deliveries together: all messages first, then all changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.ingest_messages import Counters, IngestMessages
from application.ports.delivery import Delivery


@dataclass(frozen=True, slots=True)
class StoreDeliveries:
    """Stores deliveries. Messages come first, because changes may be about them."""

    ingest_messages: IngestMessages
    apply_changes: ApplyChanges

    async def __call__(self, deliveries: Sequence[Delivery]) -> list[Counters]:
        """Store all of them, and return the counters of each; changes are not counted.

        Raises StorageUnavailable where not all could be stored. Some may be stored then.
        """
        messages = [message for delivery in deliveries for message in delivery.messages]
        results = iter(await self.ingest_messages(messages))
        await self.apply_changes([c for delivery in deliveries for c in delivery.changes])
        return [Counters.count(islice(results, len(d.messages))) for d in deliveries]
