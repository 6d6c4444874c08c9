"""Insights: what an insight provider says of the latest message of a deal."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType
from uuid import UUID

from domain.deal import DealId
from domain.organization import OrgId
from domain.text import UNSTORABLE_CHARACTER_PATTERN

InsightId = NewType("InsightId", UUID)

MAX_SCORE = 100

MAX_DESCRIPTION_LENGTH = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an insight provider makes of a message; `score` is 0 (cold) to 100 (buys now)."""

    summary: str
    intent: str
    score: int
    next_step: str

    def __post_init__(self) -> None:
        """Raise ValueError where a provider answered nonsense."""
        if type(self.score) is not int or not 0 <= self.score <= MAX_SCORE:
            msg = f"a score is 0 to {MAX_SCORE}, not {self.score!r}"
            raise ValueError(msg)
        for said in (self.summary, self.intent, self.next_step):
            if (
                not isinstance(said, str)
                or len(said) > MAX_DESCRIPTION_LENGTH
                or UNSTORABLE_CHARACTER_PATTERN.search(said)
            ):
                msg = f"a description is at most {MAX_DESCRIPTION_LENGTH} characters that can be stored"
                raise ValueError(msg)


def description_of_deleted(body: str) -> Description:
    """What can be said of a message whose words were taken back."""
    return Description(summary=body, intent="unknown", score=0, next_step="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """The description of a deal's latest message.

    `updated_at` is the time of the message it describes, so that one that arrives late cannot
    replace what is known since.
    """

    id: InsightId
    org_id: OrgId
    deal_id: DealId
    summary: str
    intent: str
    score: int
    next_step: str
    provider: str
    updated_at: datetime
    message_external_id: str

    @property
    def rank(self) -> tuple[datetime, str]:
        """The later message's insight stays; WhatsApp counts in seconds, so ids break ties."""
        return self.updated_at, self.message_external_id
