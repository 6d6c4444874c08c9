"""Changes to stored messages and contacts: edit, unsend, reaction, consent, identity, echo. None of them opens a deal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, NewType, Self
from uuid import UUID

from domain.connection import Address, Channel
from domain.contact import Identity, Sender
from domain.message import Direction, Message, MessageId, MessageKey, ThreadId
from domain.organization import OrgId

ChangeId = NewType("ChangeId", UUID)


class ChangeKind(StrEnum):
    """What changed, and what `Change.content` holds then.

    About a message (`message_id` names it):

    - EDIT: `body`, the new text.
    - UNSEND: `body`, what stands in place of the words from now on.
    - REACTION: `emoji`, None where it was taken back; `by`, a `Direction`.

    About a person (`person` is who):

    - CONSENT: `marketing`, whether they want to get any.
    - IDENTITY: `identities`, pairs of kind and value: what they are known by from now on.
    - ECHO: what the business itself told them from another device: `kind`, `body` and `content`
      of that message, whose id the change has; `over` is added when it is kept, the external id
      of the connection it went out over.

    Not delivered, but found on the way:

    - CONFLICT: `contacts`, two that share the ids of one sender; the first has the message.
    """

    EDIT = "edit"
    UNSEND = "unsend"
    REACTION = "reaction"
    CONSENT = "consent"
    IDENTITY = "identity"
    ECHO = "echo"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingChange:
    """A change as it was delivered, in no provider's terms.

    `external_id` is the provider's id of the change itself, or one that a repeat derives again.
    `payload` is a delivery in the provider's form that holds only this change.
    """

    address: Address
    external_id: str
    kind: ChangeKind
    sent_at: datetime
    message_id: str | None = None
    person: Sender | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)


class ChangeTarget(NamedTuple):
    """What a change is about: a message by its external id, or a person by one of their ids."""

    org_id: OrgId
    channel: Channel
    name: str

    @classmethod
    def person(cls, org_id: OrgId, channel: Channel, identity: Identity) -> Self:
        """Name a person by an identity."""
        return cls(org_id, channel, f"{identity.kind}:{identity.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """A change as it is kept: for ever, because a second one with its key is a duplicate.

    It `is_waiting` while nobody has heard of its subject: Meta delivers in no order.
    """

    id: ChangeId
    org_id: OrgId
    channel: Channel
    external_id: str
    kind: ChangeKind
    subject: str
    content: Mapping[str, Any]
    sent_at: datetime
    is_waiting: bool

    @property
    def key(self) -> MessageKey:
        """What the duplicate check compares."""
        return MessageKey(self.org_id, self.channel, self.external_id)

    @property
    def target(self) -> ChangeTarget:
        """Its subject, as it is looked up."""
        return ChangeTarget(self.org_id, self.channel, self.subject)

    @property
    def sort_key(self) -> tuple[datetime, str]:
        """When it happened, in whatever order it came in."""
        return self.sent_at, self.external_id

    def settle(self) -> Self:
        """Wait no more; what a message or contact holds now need not be kept here."""
        return replace(
            self, is_waiting=False, content={} if self.kind is ChangeKind.ECHO else self.content
        )


def message_from_echo(thread_id: ThreadId, echo: ChangeRecord, id: MessageId) -> Message:
    """Make an echo a message of the thread."""
    return Message(
        id=id,
        org_id=echo.org_id,
        thread_id=thread_id,
        channel=echo.channel,
        external_id=echo.external_id,
        direction=Direction.OUTBOUND,
        kind=echo.content["kind"],
        body=echo.content["body"],
        content=echo.content["content"],
        sent_at=echo.sent_at,
    )


def apply_changes(message: Message, changes: Iterable[ChangeRecord]) -> Message:
    """Make of the message what all its changes so far have made of it, in their own order.

    Its earlier texts stay in `edits`; of one that was taken back nothing stays.
    """
    in_order = sorted(changes, key=lambda change: change.sort_key)
    for change in in_order:
        if change.kind is ChangeKind.UNSEND:
            deleted = {"deleted_at": change.sent_at.astimezone(UTC).isoformat()}
            return replace(message, body=change.content["body"], content=deleted)
    if message.is_deleted:
        return message
    edits: list[dict[str, Any]] = []
    reactions: dict[str, dict[str, Any]] = {}
    body = next((edit["body"] for edit in message.content.get("edits", ())), message.body)
    for change in in_order:
        at = change.sent_at.astimezone(UTC).isoformat()
        if change.kind is ChangeKind.EDIT:
            edits.append({"body": body, "replaced_at": at})
            body = change.content["body"]
        elif change.kind is ChangeKind.REACTION:
            by, emoji = change.content["by"], change.content["emoji"]
            reactions.pop(by, None)
            if emoji:
                reactions[by] = {"by": by, "emoji": emoji, "at": at}
    content = {k: v for k, v in message.content.items() if k not in ("edits", "reactions")}
    if edits:
        content["edits"] = edits
    if reactions:
        content["reactions"] = [reactions[by] for by in sorted(reactions)]
    return replace(message, body=body, content=content)
