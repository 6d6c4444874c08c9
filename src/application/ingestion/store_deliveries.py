"""Stores several deliveries in one go: all messages first, then all changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.ingest_messages import Counters, IngestMessages
from application.ports.delivery import Delivery


@dataclass(frozen=True, slots=True)
class StoreDeliveries:
    """Stores the messages of all first, because changes may be about them."""

    ingest_messages: IngestMessages
    apply_changes: ApplyChanges

    async def __call__(self, deliveries: Sequence[Delivery]) -> list[Counters]:
        """Say what became of the messages of each; changes are not counted.

        Raises StorageUnavailable where not all could be kept.
        """
        messages = [message for delivery in deliveries for message in delivery.messages]
        results = iter(await self.ingest_messages(messages))
        await self.apply_changes([c for delivery in deliveries for c in delivery.changes])
        return [Counters.of(islice(results, len(d.messages))) for d in deliveries]
