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

MAX_TITLE_CHARACTERS = 80


class DealStatus(StrEnum):
    """The outcome of a deal, if it has one."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """A chance to sell something to a contact. A contact has at most one open deal.

    The title comes from the first message (`message_id`), until a user of the CRM changes it.
    `source` is the ad or link of the first message that came from one: the message's `referral`,
    with the message's time (`sent_at`) and external id (`message`).
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
        """Make a title of at most 80 characters from the first line of a message."""
        first_line = next((line.strip() for line in body.splitlines() if line.strip()), "")
        if len(first_line) <= MAX_TITLE_CHARACTERS:
            return first_line or "(no text)"
        return first_line[: MAX_TITLE_CHARACTERS - 1].rstrip() + "…"

    def with_title_following(self, old_body: str, new_body: str) -> Self:
        """Replace a title made from `old_body`; keep one that a user of the CRM gave."""
        if self.title != self.make_title(old_body):
            return self
        return replace(self, title=self.make_title(new_body))


class OpenDeal(NamedTuple):
    """An open deal, and the message that its title comes from; None where that is not stored."""

    deal: Deal
    first_message: Message | None

    def with_message(self, message: Message, referral: Mapping[str, Any] | None) -> "OpenDeal":
        """Take a message into account: the earliest one gives the title, the earliest referral the source.

        The order of arrival does not matter (D7).
        """
        deal, first_message = self
        if first_message and message.sort_key < first_message.sort_key:
            deal = replace(
                deal.with_title_following(first_message.body, message.body), message_id=message.id
            )
            first_message = message
        if referral:
            source = {
                **referral,
                "sent_at": message.sent_at.astimezone(UTC).isoformat(),
                "message": message.external_id,
            }
            if deal.source is None or _source_sort_key(source) < _source_sort_key(deal.source):
                deal = replace(deal, source=source)
        return OpenDeal(deal, first_message)


def _source_sort_key(source: Mapping[str, Any]) -> tuple[datetime, str]:
    return datetime.fromisoformat(source["sent_at"]), source["message"]
