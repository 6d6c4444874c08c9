"""The last resort: what cannot be processed is kept for another try."""

import hashlib
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from application.errors import ConcurrentUpdate, StorageRefused, StorageUnavailable
from application.ingestion.unmatched import count_unmatched, log_unmatched
from application.ports.clock import Clock
from application.ports.storage import Transactions
from domain.change import IncomingChange
from domain.failed_message import FailedMessage, FailedMessageId, retry_delay
from domain.ids import NewId
from domain.inbound import Inbound

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreFailedMessages:
    """Puts aside what cannot be processed, unless nobody has connected its number."""

    transactions: Transactions
    clock: Clock
    new_id: NewId
    jitter: Callable[[], float] = random.random

    async def __call__(
        self, failures: Sequence[tuple[Inbound | IncomingChange, str]]
    ) -> list[bool]:
        """Keep each with the reason if it has a connection; return whether each was kept.

        Raises StorageUnavailable where even this fails: the delivery must come again.
        """
        if not failures:
            return []
        try:
            async with self.transactions.begin() as repos:
                connections = await repos.connections.find_enabled({f.address for f, _ in failures})
                kept = [
                    FailedMessage(
                        id=FailedMessageId(self.new_id()),
                        org_id=connections[failure.address].org_id,
                        payload=payload,
                        error=error,
                        digest=digest,
                        next_attempt_at=self.clock.now() + retry_delay(1, self.jitter()),
                    )
                    for failure, error in failures
                    if failure.address in connections
                    for payload, digest in [_storable(failure.payload)]
                ]
                await repos.failed_messages.add(kept)
                messages = [f for f, _ in failures if isinstance(f, Inbound)]
                for_nobody = count_unmatched(messages, connections)
                await repos.unmatched.add_counts(for_nobody, self.clock.now())
        except (ConcurrentUpdate, StorageRefused) as error:
            raise StorageUnavailable from error
        log_unmatched(for_nobody)
        for failure in kept:
            log.warning(
                "message_failed", extra={"org_id": str(failure.org_id), "error": failure.error}
            )
        return [failure.address in connections for failure, _ in failures]


def _storable(payload: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The payload and its digest; of what is nested too deep for anybody, neither."""
    try:
        written = json.dumps(payload, sort_keys=True)
    except RecursionError:
        return {}, ""
    return payload, hashlib.sha256(written.encode()).hexdigest()
