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
    """A stored message or change that failed, until a retry resolves it (a dead letter).

    `payload` is a delivery in the provider's form that holds only this message or change. `digest`
    is the payload's SHA-256 in hex, or empty: a failure with the same digest is stored once.
    `error` is the reason, without any text of a person.
    """

    id: FailedMessageId
    org_id: OrgId
    payload: Mapping[str, Any]
    error: str
    attempts: int = 1
    next_attempt_at: datetime
    digest: str = ""
    created_at: datetime | None = field(default=None, compare=False)

    def record_attempt(self, error: str, now: datetime, jitter: float) -> Self:
        """Count another failed attempt, and schedule the next one."""
        attempts = self.attempts + 1
        next_attempt_at = now + calculate_retry_delay(attempts, jitter)
        return replace(self, error=error, attempts=attempts, next_attempt_at=next_attempt_at)


def calculate_retry_delay(attempts: int, jitter: float) -> timedelta:
    """Return the delay after so many attempts: it doubles from 1 minute to 6 hours (D62).

    `jitter` is 0 to 1 and scales the delay by 0.5 to 1.5.
    """
    doubled: int = 2 ** min(attempts - 1, 30)
    return min(FIRST_RETRY_DELAY * doubled, MAX_RETRY_DELAY) * (0.5 + jitter)
