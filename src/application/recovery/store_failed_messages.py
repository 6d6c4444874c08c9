"""Stores messages and changes that cannot be processed, for a retry (dead letters; D4, D61)."""

import hashlib
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from application.errors import ConcurrentUpdate, StorageRefused, StorageUnavailable
from application.ingestion.count_unmatched import count_unmatched, log_unmatched
from application.ports.clock import Clock
from application.ports.storage import Transactions
from domain.actor import WebhookWriter
from domain.change import IncomingChange
from domain.connection import Connection
from domain.failed_message import FailedMessage, FailedMessageId, calculate_retry_delay
from domain.ids import NewId
from domain.inbound import Inbound
from domain.planning.snapshot import SnapshotRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreFailedMessages:
    """The failure sink of ingestion: stores each failure whose address has a connection.

    The messages of other addresses are counted as unmatched.
    """

    transactions: Transactions
    clock: Clock
    new_id: NewId
    jitter: Callable[[], float] = random.random

    async def __call__(
        self, failures: Sequence[tuple[Inbound | IncomingChange, str]]
    ) -> list[bool]:
        """Store each failure with its reason; return whether each was stored, in their order.

        Raises StorageUnavailable where they cannot be stored: the delivery must come again.
        """
        if not failures:
            return []
        addresses = {failure.address for failure, _ in failures}
        try:
            async with self.transactions.begin(WebhookWriter()) as repos:
                snapshot = await repos.snapshots.read(SnapshotRequest(addresses=addresses))
                connections = snapshot.connections
                stored = [
                    self._make_failed_message(failure, reason, connections[failure.address])
                    for failure, reason in failures
                    if failure.address in connections
                ]
                await repos.failed_messages.add(stored)
                messages = [failure for failure, _ in failures if isinstance(failure, Inbound)]
                unmatched = count_unmatched(messages, connections)
                await repos.unmatched.add_counts(unmatched, self.clock.now())
        except (ConcurrentUpdate, StorageRefused) as error:
            # The caller spools the delivery, or Meta repeats it: nothing of it is lost (D60).
            raise StorageUnavailable(f"a failed message could not be stored: {error}") from error
        log_unmatched(unmatched)
        for failed in stored:
            extra = {"org_id": str(failed.org_id), "error": failed.error}
            log.warning("message_failed", extra=extra)
        return [failure.address in connections for failure, _ in failures]

    def _make_failed_message(
        self, failure: Inbound | IncomingChange, reason: str, connection: Connection
    ) -> FailedMessage:
        payload, digest = _digest_payload(failure.payload)
        return FailedMessage(
            id=FailedMessageId(self.new_id()),
            org_id=connection.org_id,
            payload=payload,
            error=reason,
            digest=digest,
            next_attempt_at=self.clock.now() + calculate_retry_delay(1, self.jitter()),
        )


def _digest_payload(payload: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the payload and its SHA-256; both empty where it is nested too deep to be written."""
    try:
        text = json.dumps(payload, sort_keys=True)
    except RecursionError:
        return {}, ""
    return payload, hashlib.sha256(text.encode()).hexdigest()
