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

MAX_TITLE_LENGTH = 80


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
    def make_title(body: str) -> str:
        """Name a deal by the first line of the message that opened it."""
        first_line = next((line.strip() for line in body.splitlines() if line.strip()), "")
        if len(first_line) <= MAX_TITLE_LENGTH:
            return first_line or "(no text)"
        return first_line[: MAX_TITLE_LENGTH - 1].rstrip() + "…"

    def with_title_following(self, old_body: str, new_body: str) -> Self:
        """Follow the words of the first message, unless people gave it another title."""
        if self.title != self.make_title(old_body):
            return self
        return replace(self, title=self.make_title(new_body))


class OpenDeal(NamedTuple):
    """An open deal, and the message it is named after, where that is known."""

    deal: Deal
    first: Message | None

    def with_message(self, message: Message, referral: Mapping[str, Any] | None) -> "OpenDeal":
        """Count a message in, in whatever order they come: the earliest name and source win."""
        deal, first = self
        if first and message.sort_key < first.sort_key:
            deal = replace(
                deal.with_title_following(first.body, message.body), message_id=message.id
            )
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
