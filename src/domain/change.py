"""Changes to stored messages and contacts: edit, unsend, reaction, consent, identity, echo.

No change opens a deal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, NewType, Self
from uuid import UUID

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.message import Direction, Message, MessageId, MessageKey, ThreadId
from domain.organization import OrgId

ChangeId = NewType("ChangeId", UUID)


class ChangeKind(StrEnum):
    """The kind of a change, and what `content` holds for it.

    Changes of a message (`message_id` names it):

    - EDIT: `body`, the new text.
    - UNSEND: `body`, the placeholder that replaces the text.
    - REACTION: `emoji`, None where the reaction was removed; `by`, a `Direction`.

    Changes of a person (`person` is the sender or recipient):

    - CONSENT: `marketing`, True where the person accepts marketing messages.
    - IDENTITY: `identities`, pairs of kind and value that the person has from now on.
    - ECHO: a message that the business sent from another device: `kind`, `body` and `content` of
      it. Its id is the change's. A stored echo also has `over`, the external id of the connection.

    Found by the service, not delivered:

    - CONFLICT: `contacts`, two contacts that share the identities of one sender. The first one
      has the message.
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
    """A change as a provider delivered it, in no provider's terms.

    `external_id` is the provider's id of the change, or one derived from its content, which a
    repeated delivery derives again. `payload` is a delivery in the provider's form that holds only
    this change.
    """

    address: Address
    external_id: str
    kind: ChangeKind
    sent_at: datetime
    message_id: str | None = None
    person: Sender | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def new_identities(self) -> list[Identity]:
        """The identities that the person has from this change on."""
        pairs = self.content.get("identities", ())
        return [Identity(IdentityKind(kind), value) for kind, value in pairs]

    @property
    def identities(self) -> list[Identity]:
        """Every identity of the person, those before the change first."""
        known = self.person.identities if self.person else ()
        return [*known, *self.new_identities]


class ChangeTarget(NamedTuple):
    """The target of a change: a message by its external id, or a person by one identity.

    `name` is the message's external id, `<identity kind>:<value>`, or `contact:<id>` of a conflict.
    """

    org_id: OrgId
    channel: Channel
    name: str

    @classmethod
    def for_person(cls, org_id: OrgId, channel: Channel, identity: Identity) -> Self:
        """Name a person by an identity."""
        return cls(org_id, channel, f"{identity.kind}:{identity.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """A change as it is stored: a second one with its key is a duplicate.

    It `is_waiting` (pending) while its target is not stored: Meta delivers in no order. `subject`
    is the name of its target.
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
        """The key of the duplicate check."""
        return MessageKey(self.org_id, self.channel, self.external_id)

    @property
    def target(self) -> ChangeTarget:
        """The target, as a key for lookups."""
        return ChangeTarget(self.org_id, self.channel, self.subject)

    @property
    def sort_key(self) -> tuple[datetime, str]:
        """When the change happened. The order of arrival does not matter; ids break ties."""
        return self.sent_at, self.external_id

    def settle(self) -> Self:
        """Return the change as no longer pending. An echo's content is in its message now."""
        content = {} if self.kind is ChangeKind.ECHO else self.content
        return replace(self, is_waiting=False, content=content)

    def redact(self) -> Self:
        """Return the change without the text of a message that was unsent."""
        match self.kind:
            case ChangeKind.EDIT:
                return replace(self, content={})
            case ChangeKind.ECHO if self.is_waiting:
                return replace(self, content={**self.content, "body": "", "content": {}})
        return self


def make_message_from_echo(thread_id: ThreadId, echo: ChangeRecord, id: MessageId) -> Message:
    """Make an outbound message of the thread from an echo."""
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
    """Return the message with all its changes applied, in the order in which they happened.

    The result is computed from the first text, so the order of arrival cannot matter (D10). Earlier
    texts are in `content.edits`. An unsend removes the text, the edits and all other content.
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
