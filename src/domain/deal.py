"""A deal: a chance to sell something to a contact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, NewType, Self
from uuid import UUID

from domain.contact import ContactId
from domain.message import Message, MessageId
from domain.organization import OrgId

DealId = NewType("DealId", UUID)

TITLE_LENGTH = 80


class DealStatus(StrEnum):
    """How far a lead has come."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """A chance to sell something to a contact, who has at most one open at a time.

    It is named after its first message (`message_id`), until people call it something else.
    `source` is the ad or link of the first message that came from one, as in a message's
    `referral`, with that message's time (`sent_at`) and external id (`message`).
    """

    id: DealId
    org_id: OrgId
    contact_id: ContactId
    status: DealStatus
    title: str
    message_id: MessageId | None = None
    source: Mapping[str, Any] | None = None

    @staticmethod
    def title_from(body: str) -> str:
        """Name a deal by the first line of the message that opened it."""
        first_line = next((line.strip() for line in body.splitlines() if line.strip()), "")
        if len(first_line) <= TITLE_LENGTH:
            return first_line or "(no text)"
        return first_line[: TITLE_LENGTH - 1].rstrip() + "…"

    def renamed(self, old_body: str, new_body: str) -> Self:
        """Follow the words of the first message, unless people gave it another title."""
        if self.title != self.title_from(old_body):
            return self
        return replace(self, title=self.title_from(new_body))


class OpenDeal(NamedTuple):
    """An open deal, and the message it is named after, where that is known."""

    deal: Deal
    first: Message | None

    def with_message(self, message: Message, referral: Mapping[str, Any] | None) -> "OpenDeal":
        """Count a message in, in whatever order they come: the earliest name and source win."""
        deal, first = self
        if first and message.order < first.order:
            deal = replace(deal.renamed(first.body, message.body), message_id=message.id)
            first = message
        if referral:
            source = {
                **referral,
                "sent_at": message.sent_at.astimezone(UTC).isoformat(),
                "message": message.external_id,
            }
            if deal.source is None or _source_order(source) < _source_order(deal.source):
                deal = replace(deal, source=source)
        return OpenDeal(deal, first)


def _source_order(source: Mapping[str, Any]) -> tuple[datetime, str]:
    return datetime.fromisoformat(source["sent_at"]), source["message"]
