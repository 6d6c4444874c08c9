"""A delivery is kept, whatever it holds."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.apply_changes import ApplyChanges
from application.ingest_messages import Counters, IngestMessages
from domain.changes import Change
from domain.inbound import Inbound


@dataclass(frozen=True, slots=True)
class ReceiveDelivery:
    """Stores its messages first, because its changes may be about them."""

    ingest_messages: IngestMessages
    apply_changes: ApplyChanges

    async def __call__(self, messages: Sequence[Inbound], changes: Sequence[Change]) -> Counters:
        """Say what became of the messages; changes are not counted.

        Raises StorageUnavailable where not all could be kept: it must come again.
        """
        counters = await self.ingest_messages(messages)
        await self.apply_changes(changes)
        return counters
