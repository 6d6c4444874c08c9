"""A lead, and what can be said about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from domain.contact import ContactId
from domain.organization import OrgId

DealId = NewType("DealId", UUID)
InsightId = NewType("InsightId", UUID)

TITLE_LENGTH = 80
BEST_SCORE = 100


class DealStatus(StrEnum):
    """How far a lead has come."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """A chance to sell something to a contact, who has at most one open at a time."""

    id: DealId
    org_id: OrgId
    contact_id: ContactId
    status: DealStatus
    title: str

    @staticmethod
    def title_from(body: str) -> str:
        """Name a deal by the first line of the message that opened it."""
        first_line = next((line.strip() for line in body.splitlines() if line.strip()), "")
        if len(first_line) <= TITLE_LENGTH:
            return first_line or "(no text)"
        return first_line[: TITLE_LENGTH - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an insight provider makes of a message; `score` is 0 (cold) to 100 (buys now)."""

    summary: str
    intent: str
    score: int
    next_step: str

    def __post_init__(self) -> None:
        """Raise ValueError where a provider answered nonsense."""
        if not 0 <= self.score <= BEST_SCORE:
            msg = f"a score is 0 to {BEST_SCORE}, not {self.score}"
            raise ValueError(msg)


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

    @property
    def rank(self) -> tuple[datetime, str]:
        """The later message's insight stays; WhatsApp counts in seconds, so its words break ties."""
        return self.updated_at, self.summary
