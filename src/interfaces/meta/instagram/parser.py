"""Parses Instagram entries: the items of `messaging` and `standby`, and the same items in other envelopes."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from domain.message import Direction
from interfaces.meta.content_fields import LONGEST_EMOJI
from interfaces.meta.instagram.content import parse_content, unknown, unknown_parts
from interfaces.meta.json_values import (
    LONGEST_ID,
    Json,
    as_bool,
    as_datetime,
    as_dict,
    as_id_text,
    as_list,
    as_message_text,
    message_id,
)
from interfaces.meta.parsed import IgnoredItem, ParsedItem

OBJECT = "instagram"

MESSAGE_FIELDS = {"messages", "messaging_postbacks", "standby"}
"""The fields under which `value` is such an item; comments and mentions are other things."""

CHANGE_FIELDS = {"message_echoes", "message_edit", "message_reactions"}
"""The fields under which `value` is such an item too, but never a person's message."""

IGNORED_FIELDS = {
    *("comments", "live_comments", "mentions", "story_insights", "response_feedback"),
    *("messaging_handover", "messaging_handovers", "messaging_optins", "messaging_referral"),
    *("messaging_seen", "messaging_policy_enforcement"),
}

IGNORED_EVENTS = {
    *("read", "referral", "optin", "policy_enforcement", "response_feedback", "app_roles"),
    *("pass_thread_control", "take_thread_control", "request_thread_control"),
}

PARTS = ("message", "postback")

ENVELOPE = {"sender", "recipient", "timestamp"}


def parse_items(entry: Mapping[str, Json], arrived_at: datetime) -> Iterator[ParsedItem]:
    """What people sent and did, also where another app answers them (`standby`)."""
    for item in [*as_list(entry.get("messaging")), *as_list(entry.get("standby"))]:
        yield from _read(_Event.of(item, entry, arrived_at))
    # Login through Instagram documents field and value in the entry itself; the dashboard's Test
    # button sends them as changes.
    changes = [as_dict(change) for change in as_list(entry.get("changes"))]
    for change in [entry, *changes] if "field" in entry else changes:
        field = as_id_text(change.get("field"))
        if field in MESSAGE_FIELDS | CHANGE_FIELDS:
            for item in as_list(change.get("value")):
                event = _Event.of(item, entry, arrived_at)
                if field in CHANGE_FIELDS and event.is_message:
                    yield unknown("event", f"message under {field}")
                else:
                    yield from _read(event)
        elif field in IGNORED_FIELDS:
            yield IgnoredItem("ignored", Channel.INSTAGRAM, "field", field)
        else:
            yield unknown("field", field)


def _ignored(name: str) -> IgnoredItem:
    return IgnoredItem("ignored", Channel.INSTAGRAM, "event", name)


class _Event(NamedTuple):
    """One item, and the entry that it came in; `account_id` says whose account it is."""

    item: Json
    entry: Mapping[str, Json]
    arrived_at: datetime
    parts: Mapping[str, Json]
    message: Mapping[str, Json]
    sender_id: str
    recipient_id: str
    account_id: str

    @classmethod
    def of(cls, item: Json, entry: Mapping[str, Json], arrived_at: datetime) -> Self:
        """Read who is concerned; echoes go the other way."""
        parts = as_dict(item)
        message = as_dict(parts.get("message"))
        sender_id = as_id_text(as_dict(parts.get("sender")).get("id"))
        recipient_id = as_id_text(as_dict(parts.get("recipient")).get("id"))
        account_id = as_id_text(entry.get("id")) or (
            sender_id if as_bool(message.get("is_echo")) else recipient_id
        )
        return cls(item, entry, arrived_at, parts, message, sender_id, recipient_id, account_id)

    @property
    def is_message(self) -> bool:
        """Whether a person said something: not an echo, a deletion, or the account to itself."""
        if any(as_bool(self.message.get(name)) for name in ("is_echo", "is_deleted", "is_self")):
            return False
        return any(self.parts.get(part) is not None for part in PARTS)

    @property
    def address(self) -> Address:
        return Address(Channel.INSTAGRAM, self.account_id)

    @property
    def sent_at(self) -> datetime:
        return as_datetime(self.parts.get("timestamp") or self.entry.get("time"), self.arrived_at)

    @property
    def payload(self) -> Mapping[str, Any]:
        """A delivery that holds this item and nothing else."""
        time = self.entry.get("time")
        alone = {"id": self.account_id, "time": time, "messaging": [self.item]}
        return {"object": OBJECT, "entry": [alone]}


def _read(event: _Event) -> Iterator[ParsedItem]:
    parts = event.parts
    if as_bool(event.message.get("is_self")):
        yield _ignored("is_self")
    elif as_bool(event.message.get("is_deleted")):
        yield _unsend(event)
    elif as_bool(event.message.get("is_echo")):
        yield _echo(event)
        yield from unknown_parts(parts)
    elif event.is_message:
        yield _message(event)
        yield from unknown_parts(parts)
    elif parts.get("message_edit") is not None:
        yield _edit(event)
    elif parts.get("reaction") is not None:
        yield _reaction(event)
    else:
        yield _other(event)


def _message(event: _Event) -> Inbound:
    address, payload = event.address, event.payload
    if not any(isinstance(event.parts.get(part), dict) for part in PARTS):
        return BrokenMessage(address=address, reason="it holds no message", payload=payload)
    external_id = _message_id(event)
    if not event.sender_id:
        return BrokenMessage(address=address, reason="it names no sender", payload=payload)
    if max(len(external_id), len(event.sender_id)) > LONGEST_ID:
        return BrokenMessage(address=address, reason="an id is too long", payload=payload)
    what = parse_content(event.parts)
    return InboundMessage(
        address=address,
        external_id=external_id,
        sender=_person(event.sender_id),
        kind=what.kind,
        body=what.text,
        content=what.content,
        sent_at=event.sent_at,
        thread_external_id=f"ig:{event.account_id}:{event.sender_id}",
        payload=payload,
    )


def _message_id(event: _Event) -> str:
    message = next((m for m in map(event.parts.get, PARTS) if isinstance(m, dict)), {})
    return message_id(message.get("mid"), event.account_id, event.item)


def _person(id: str) -> Sender:
    return Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, id),))


def _echo(event: _Event) -> IncomingChange | IgnoredItem:
    """The account wrote, here or in Instagram's app; Meta sends its own messages back, too."""
    external_id = _message_id(event)
    if not event.recipient_id:
        return unknown("event", "echo without recipient")
    if max(len(external_id), len(event.recipient_id)) > LONGEST_ID:
        return unknown("event", "echo with an id too long")
    what = parse_content(event.parts)
    return IncomingChange(
        address=event.address,
        external_id=external_id,
        kind=ChangeKind.ECHO,
        sent_at=event.sent_at,
        person=_person(event.recipient_id),
        content={"kind": what.kind, "body": what.text, "content": what.content},
        payload=event.payload,
    )


def _unsend(event: _Event) -> IncomingChange | IgnoredItem:
    """Meta's policy: what people take back is to be forgotten."""
    mid = as_id_text(event.message.get("mid"))
    return _about(event, ChangeKind.UNSEND, mid, f"unsend:{mid}", {"body": ""})


def _edit(event: _Event) -> IncomingChange | IgnoredItem:
    """A new text; the page of Meta's shows the number as a string, deliveries have a number."""
    edit = as_dict(event.parts.get("message_edit"))
    mid, number = as_id_text(edit.get("mid")), as_id_text(edit.get("num_edit"))
    if number and not number.strip("0"):
        # A new message is announced so, without its text and often without its sender; the
        # message itself mostly follows (chatwoot/chatwoot#15494).
        return _ignored("message_edit 0")
    words = as_message_text(edit.get("text"))
    if not words:
        return unknown("event", "edit without text")
    which = number.lstrip("0") or message_id(None, event.item)
    return _about(event, ChangeKind.EDIT, mid, f"edit:{mid}:{which}", {"body": words})


def _reaction(event: _Event) -> IncomingChange | IgnoredItem:
    """Somebody put an emoji on a message, or took it off again."""
    reaction = as_dict(event.parts.get("reaction"))
    mid, action = as_id_text(reaction.get("mid")), as_id_text(reaction.get("action"))
    if not event.sender_id:
        return unknown("event", "reaction without sender")
    given = as_id_text(reaction.get("emoji")) or as_id_text(reaction.get("reaction")) or "other"
    emoji = None if action == "unreact" else given[:LONGEST_EMOJI]
    by = Direction.OUTBOUND if event.sender_id == event.account_id else Direction.INBOUND
    timestamp = as_id_text(event.parts.get("timestamp"))
    derived = message_id(None, mid, event.sender_id, timestamp, action, emoji)
    return _about(event, ChangeKind.REACTION, mid, derived, {"emoji": emoji, "by": by})


def _about(
    event: _Event, kind: ChangeKind, mid: str, external_id: str, content: Mapping[str, Any]
) -> IncomingChange | IgnoredItem:
    """A change of the message that `mid` names."""
    if not mid:
        return unknown("event", f"{kind} without message")
    if max(len(mid), len(external_id)) > LONGEST_ID:
        return unknown("event", f"{kind} with an id too long")
    return IncomingChange(
        address=event.address,
        external_id=external_id,
        kind=kind,
        sent_at=event.sent_at,
        message_id=mid,
        content=content,
        payload=event.payload,
    )


def _other(event: _Event) -> IgnoredItem:
    if not isinstance(event.item, dict):
        return unknown("event", "no object")
    names = [n for n, part in event.parts.items() if n not in ENVELOPE and part is not None]
    if not names:
        return _ignored("empty")
    for name in names:
        if name in IGNORED_EVENTS:
            return _ignored(name)
    return unknown("event", names[0])
