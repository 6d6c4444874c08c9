"""A message or change that could not be processed, and when it is tried again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NewType, Self
from uuid import UUID

from domain.organization import OrgId

FailedMessageId = NewType("FailedMessageId", UUID)

FIRST_RETRY_DELAY = timedelta(minutes=1)

MAX_RETRY_DELAY = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedMessage:
    """A message or change kept for another try, until it is resolved.

    `org_id` is None where its organisation is unknown. `next_attempt_at` is None where only
    people may try again. `digest` is the payload's: the same failure is kept once.
    """

    id: FailedMessageId
    org_id: OrgId | None
    payload: Mapping[str, Any]
    error: str
    attempts: int = 1
    next_attempt_at: datetime | None
    digest: str = ""
    created_at: datetime | None = field(default=None, compare=False)

    def record_attempt(self, error: str, now: datetime, jitter: float) -> Self:
        """Count another attempt, and wait for the next."""
        attempts = self.attempts + 1
        next_attempt_at = now + retry_delay(attempts, jitter)
        return replace(self, error=error, attempts=attempts, next_attempt_at=next_attempt_at)


def retry_delay(attempts: int, jitter: float) -> timedelta:
    """Twice as long as the last time, give or take; `jitter` is 0 to 1."""
    doubled: int = 2 ** min(attempts - 1, 30)
    return min(FIRST_RETRY_DELAY * doubled, MAX_RETRY_DELAY) * (0.5 + jitter)
