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

MAX_DESCRIPTION_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an insight provider says of a message. `score` is 0 (cold) to 100 (ready to buy)."""

    summary: str
    intent: str
    score: int
    next_step: str

    def __post_init__(self) -> None:
        """Raise ValueError for a score or text that must not be stored."""
        if type(self.score) is not int or not 0 <= self.score <= MAX_SCORE:
            msg = f"a score is 0 to {MAX_SCORE}, not {self.score!r}"
            raise ValueError(msg)
        for text in (self.summary, self.intent, self.next_step):
            if (
                not isinstance(text, str)
                or len(text) > MAX_DESCRIPTION_CHARACTERS
                or UNSTORABLE_CHARACTER_PATTERN.search(text)
            ):
                msg = f"a description is at most {MAX_DESCRIPTION_CHARACTERS} characters that can be stored"
                raise ValueError(msg)


def describe_deleted_message(body: str) -> Description:
    """Return the description of a message that was unsent; `body` is its placeholder."""
    return Description(summary=body, intent="unknown", score=0, next_step="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """The description of a deal's latest message.

    `updated_at` is the time of the message that it describes, so a message that arrives late does
    not replace the insight of a later one (D6).
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
        """The insight with the higher rank is kept. WhatsApp's times are whole seconds: ids break ties."""
        return self.updated_at, self.message_external_id
