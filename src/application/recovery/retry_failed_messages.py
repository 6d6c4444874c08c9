"""Retries failed messages: those that are due, by maintenance, and chosen ones, by an operator."""

import json
import logging
import random
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta

from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.ingest_messages import IngestMessages
from application.ports.clock import Clock
from application.ports.delivery import Delivery, DeliveryParser
from application.ports.storage import Transactions
from domain.actor import WebhookWriter
from domain.change import IncomingChange
from domain.errors import NotFound
from domain.failed_message import FailedMessage, FailedMessageId
from domain.inbound import Inbound
from domain.organization import OrgId
from domain.planning.snapshot import SnapshotRequest

log = logging.getLogger(__name__)

CLAIM_DURATION = timedelta(minutes=5)
"""Another worker may claim a failure again after this time (D61)."""

FAILURES_PER_CLAIM = 20


@dataclass(frozen=True, slots=True)
class RetryFailedMessages:
    """Processes failed messages again. A message that was stored in the meantime is a duplicate."""

    transactions: Transactions
    parser: DeliveryParser
    ingest_messages: IngestMessages
    apply_changes: ApplyChanges
    clock: Clock
    jitter: Callable[[], float] = random.random

    async def retry_due(self) -> int:
        """Retry the failures whose next attempt is due, and return how many were resolved.

        Raises StorageUnavailable where the storage is unavailable.
        """
        now = self.clock.now()
        async with self.transactions.begin(WebhookWriter()) as repos:
            failures = await repos.failed_messages.claim_due(
                now, now + CLAIM_DURATION, FAILURES_PER_CLAIM
            )
        return await self._retry_each(failures)

    async def retry_all(self) -> tuple[int, int]:
        """Retry every unresolved failure now; return how many were resolved, and tried."""
        failures = await self._list_unresolved()
        return await self._retry_each(failures), len(failures)

    async def retry_chosen(self, ids: Set[FailedMessageId]) -> tuple[int, int]:
        """Retry these failures now; return how many were resolved, and tried.

        Raises NotFound where an id is not that of an unresolved failure; then none is tried.
        """
        failures = [each for each in await self._list_unresolved() if each.id in ids]
        if unknown := ids - {failure.id for failure in failures}:
            names = ", ".join(map(str, sorted(unknown)))
            raise NotFound(f"no unresolved failed message has the id {names}")
        return await self._retry_each(failures), len(failures)

    async def _list_unresolved(self) -> list[FailedMessage]:
        async with self.transactions.begin(WebhookWriter()) as repos:
            return await repos.failed_messages.list_all()

    async def _retry_each(self, failures: Iterable[FailedMessage]) -> int:
        return sum([await self.retry(failure) for failure in failures])

    async def retry(self, failure: FailedMessage) -> bool:
        """Retry one failure, and return whether it is resolved; else schedule the next attempt."""
        body = json.dumps(failure.payload).encode()
        delivery = self.parser.parse(body, failure.created_at or self.clock.now())
        reason = await self._process(delivery, failure.org_id)
        now = self.clock.now()
        async with self.transactions.begin(WebhookWriter()) as repos:
            if reason is None:
                await repos.failed_messages.resolve(failure.id, now)
            else:
                again = failure.record_attempt(reason, now, self.jitter())
                await repos.failed_messages.update(again)
        log.info("failure_retried", extra={"id": str(failure.id), "error": reason})
        return reason is None

    async def _process(self, delivery: Delivery, org_id: OrgId) -> str | None:
        """Process the delivery in that organisation; return the reason why it fails, or None."""
        addresses = {item.address for item in (*delivery.messages, *delivery.changes)}
        if not addresses:
            return "the stored payload contains no message"
        async with self.transactions.begin(WebhookWriter()) as repos:
            snapshot = await repos.snapshots.read(SnapshotRequest(addresses=addresses))
        if addresses - snapshot.connections.keys():
            return "no enabled connection for this number"
        if {connection.org_id for connection in snapshot.connections.values()} != {org_id}:
            return "the number is enabled in another organisation now"
        reasons: list[str] = []

        async def collect_reasons(
            failures: Sequence[tuple[Inbound | IncomingChange, str]],
        ) -> list[bool]:
            reasons.extend(reason for _, reason in failures)
            return [True] * len(failures)

        await self.ingest_messages(delivery.messages, collect_reasons)
        await self.apply_changes(delivery.changes, collect_reasons)
        return reasons[0] if reasons else None
