"""What could not be processed is tried again, by itself and by hand."""

import json
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.ingest_messages import IngestMessages
from application.ports.clock import Clock
from application.ports.delivery import Delivery, DeliveryParser
from application.ports.storage import Transactions
from application.recovery.store_failed_messages import StoreFailedMessages
from domain.change import IncomingChange
from domain.failed_message import FailedMessage
from domain.inbound import Inbound
from domain.organization import OrgId

log = logging.getLogger(__name__)

CLAIM = timedelta(minutes=5)
"""How long nobody else tries what somebody is trying."""

AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class _Reasons(StoreFailedMessages):
    """Takes down why it fails again, where a new failure would be kept."""

    found: list[str] = field(default_factory=list)

    async def __call__(
        self, failures: Sequence[tuple[Inbound | IncomingChange, str]]
    ) -> list[bool]:
        self.found.extend(reason for _, reason in failures)
        return [True] * len(failures)


@dataclass(frozen=True, slots=True)
class RetryFailedMessages:
    """Processes kept messages and changes once more; what was stored meanwhile is a duplicate."""

    transactions: Transactions
    read: DeliveryParser
    ingest_messages: IngestMessages
    apply_changes: ApplyChanges
    store_failed_messages: StoreFailedMessages
    clock: Clock
    jitter: Callable[[], float] = random.random

    async def due(self) -> int:
        """Try those whose time has come; return how many are resolved.

        Raises StorageUnavailable where the storage is away.
        """
        now = self.clock.now()
        async with self.transactions.begin() as repos:
            failures = await repos.failed_messages.claim_due(now, now + CLAIM, AT_ONCE)
        return sum([await self(failure) for failure in failures])

    async def __call__(self, failure: FailedMessage) -> bool:
        """Try one; whether it is resolved. Else it waits longer than before."""
        body = json.dumps(failure.payload).encode()
        delivery = self.read(body, failure.created_at or self.clock.now())
        reason = await self._reason_against(delivery, failure.org_id)
        now = self.clock.now()
        async with self.transactions.begin() as repos:
            if reason is None:
                await repos.failed_messages.resolve(failure.id, now)
            else:
                again = failure.record_attempt(reason, now, self.jitter())
                await repos.failed_messages.update(again)
        log.info("failure_retried", extra={"id": str(failure.id), "error": reason})
        return reason is None

    async def _reason_against(self, delivery: Delivery, org_id: OrgId | None) -> str | None:
        """Process it; why it fails again, if it does."""
        addresses = {item.address for item in (*delivery.messages, *delivery.changes)}
        if not addresses:
            return "nothing can be read in it"
        async with self.transactions.begin() as repos:
            connections = await repos.connections.find_enabled(addresses)
        if addresses - connections.keys():
            return "nobody has connected and enabled its number"
        if org_id and {connection.org_id for connection in connections.values()} != {org_id}:
            return "another organisation has its number now"
        reasons = _Reasons(
            self.store_failed_messages.transactions,
            self.store_failed_messages.clock,
            self.store_failed_messages.new_id,
        )
        await replace(self.ingest_messages, store_failed_messages=reasons)(delivery.messages)
        await replace(self.apply_changes, store_failed_messages=reasons)(delivery.changes)
        return reasons.found[0] if reasons.found else None
