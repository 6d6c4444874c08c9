"""A store that records how many deliveries and items each of its transactions had."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from application.ingestion.ingest_messages import Counters
from application.ingestion.store_deliveries import StoreDeliveries
from application.ports.delivery import Delivery
from leadport.container import Container


@dataclass(frozen=True, slots=True)
class RecordingStore(StoreDeliveries):
    """Stores deliveries as the service does, and keeps the groups in `groups`."""

    groups: list[Sequence[Delivery]] = field(default_factory=list)

    async def __call__(self, deliveries: Sequence[Delivery]) -> list[Counters]:
        self.groups.append(deliveries)
        return await StoreDeliveries.__call__(self, deliveries)  # slots exclude super()


def make_recording_store(container: Container) -> RecordingStore:
    """Make a store over the storage of the container."""
    return RecordingStore(container.ingest_messages(), container.apply_changes())
