"""Parses Instagram entries: items of `messaging` and `standby`, also in other envelopes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from domain.message import Direction
from interfaces.meta.content_fields import MAX_EMOJI_CHARACTERS
from interfaces.meta.instagram.content import list_unknown_parts, make_ignored_item, parse_content
from interfaces.meta.json_values import (
    MAX_ID_CHARACTERS,
    Json,
    as_bool,
    as_datetime,
    as_dict,
    as_list,
    as_message_text,
    as_stripped_text,
    read_or_derive_id,
)
from interfaces.meta.parsed import IgnoredItem, ParsedItem

INSTAGRAM_OBJECT = "instagram"

MESSAGE_FIELDS = {
    "messages",
    "messaging_postbacks",
    "standby",
}
"""The fields whose `value` is an item that may be a message."""

CHANGE_FIELDS = {
    "message_echoes",
    "message_edit",
    "message_reactions",
}
"""The fields whose `value` is an item too, but never a message of a person."""

ITEM_FIELDS = MESSAGE_FIELDS | CHANGE_FIELDS

IGNORED_FIELDS = {
    "comments",
    "live_comments",
    "mentions",
    "messaging_handover",
    "messaging_handovers",
    "messaging_optins",
    "messaging_policy_enforcement",
    "messaging_referral",
    "messaging_seen",
    "response_feedback",
    "story_insights",
}

IGNORED_EVENTS = {
    "app_roles",
    "optin",
    "pass_thread_control",
    "policy_enforcement",
    "read",
    "referral",
    "request_thread_control",
    "response_feedback",
    "take_thread_control",
}

MESSAGE_PARTS = ("message", "postback")
"""The parts of an item that make it a message."""

ENVELOPE_PARTS = {
    "recipient",
    "sender",
    "timestamp",
}


def parse_items(entry: Mapping[str, Json], arrived_at: datetime) -> Iterator[ParsedItem]:
    """Yield the messages, changes and ignored items of one entry.

    The items of `standby` count too: another app answers, but the person wrote to the business.
    Apps with Instagram login get `field` and `value` in the entry itself, by Meta's page; the App
    Dashboard's Test button sends them as `changes`.

    Source: developers.facebook.com/documentation/instagram-platform/webhooks/examples, read 2026-11.
    """
    items = [*as_list(entry.get("messaging")), *as_list(entry.get("standby"))]
    for item_json in _add_missing_ids(items):
        yield from _parse_item(_MessagingItem.read(item_json, entry, arrived_at))
    changes = [as_dict(change) for change in as_list(entry.get("changes"))]
    for change in [entry, *changes] if "field" in entry else changes:
        field = as_stripped_text(change.get("field"))
        if field in ITEM_FIELDS:
            for item_json in as_list(change.get("value")):
                item = _MessagingItem.read(item_json, entry, arrived_at)
                if field in CHANGE_FIELDS and item.is_message:
                    yield make_ignored_item("unknown", "event", f"message under {field}")
                else:
                    yield from _parse_item(item)
        elif field in IGNORED_FIELDS:
            yield make_ignored_item("ignored", "field", field)
        else:
            yield make_ignored_item("unknown", "field", field)


def _add_missing_ids(items: Sequence[Json]) -> list[Json]:
    """Return the items of one entry; a message without an id gets that of the same message.

    The items of `standby` may lack the id that the same message has in `messaging`. Two items are
    the same message where sender, recipient, timestamp and text are equal. An item keeps its lack
    of an id where several ids fit. Messages of two deliveries are not compared.
    """
    if len(items) == 1:
        return [*items]
    ids: dict[tuple[str, ...], set[str]] = {}
    for item in items:
        part, message = _find_message_part(item)
        if part and (mid := as_stripped_text(message.get("mid"))):
            ids.setdefault(_list_distinguishing_texts(item, message), set()).add(mid)
    completed = []
    for item in items:
        part, message = _find_message_part(item)
        texts = _list_distinguishing_texts(item, message)
        fitting_ids = ids.get(texts, set())
        if (
            part
            and all(texts)
            and not as_stripped_text(message.get("mid"))
            and len(fitting_ids) == 1
        ):
            completed.append({**item, part: {**message, "mid": next(iter(fitting_ids))}})
        else:
            completed.append(item)
    return completed


def _find_message_part(item: Json) -> tuple[str, Mapping[str, Json]]:
    """Return the name and the members of the item's message or postback; "" and {} for neither."""
    parts = as_dict(item)
    for part in MESSAGE_PARTS:
        if isinstance(message := parts.get(part), dict):
            return part, message
    return "", {}


def _list_distinguishing_texts(item: Json, message: Mapping[str, Json]) -> tuple[str, ...]:
    """Return sender, recipient, timestamp and text of a message; "" for what it lacks."""
    parts = as_dict(item)
    sender, recipient = (as_dict(parts.get(name)) for name in ("sender", "recipient"))
    text = as_message_text(message.get("text")) or as_message_text(message.get("title"))
    ids = (as_stripped_text(part) for part in (sender.get("id"), recipient.get("id")))
    return *ids, as_stripped_text(parts.get("timestamp")), text


class _MessagingItem(NamedTuple):
    """One item of `messaging` or `standby`, or of a change, and the entry that holds it.

    `json` is the item as Meta sent it. `parts` are the members of the item and `message` those of
    its message, {} where they are not objects. `account_id` is the business's account. An id that
    is absent is "".
    """

    json: Json
    entry: Mapping[str, Json]
    arrived_at: datetime
    parts: Mapping[str, Json]
    message: Mapping[str, Json]
    sender_id: str
    recipient_id: str
    account_id: str

    @classmethod
    def read(cls, json: Json, entry: Mapping[str, Json], arrived_at: datetime) -> Self:
        """Read the ids of an item; sender and recipient of an echo are swapped."""
        parts = as_dict(json)
        message = as_dict(parts.get("message"))
        sender_id = as_stripped_text(as_dict(parts.get("sender")).get("id"))
        recipient_id = as_stripped_text(as_dict(parts.get("recipient")).get("id"))
        account_id = as_stripped_text(entry.get("id")) or (
            sender_id if as_bool(message.get("is_echo")) else recipient_id
        )
        return cls(json, entry, arrived_at, parts, message, sender_id, recipient_id, account_id)

    @property
    def has_message(self) -> bool:
        """Whether the item has a message or a postback, of the person or of the account."""
        return any(self.parts.get(part) is not None for part in MESSAGE_PARTS)

    @property
    def is_from_account(self) -> bool:
        """Whether the account itself is the sender."""
        return bool(self.sender_id) and self.sender_id == self.account_id

    @property
    def is_self(self) -> bool:
        """Whether the account sent a message to itself."""
        return as_bool(self.message.get("is_self")) or (
            self.has_message and self.is_from_account and self.recipient_id == self.account_id
        )

    @property
    def is_echo(self) -> bool:
        """Whether the account sent a message: by the flag, or by the sender where it is missing."""
        return as_bool(self.message.get("is_echo")) or (self.has_message and self.is_from_account)

    @property
    def is_message(self) -> bool:
        """Whether a person sent it: not an echo, not an unsend, not the account to itself."""
        is_deleted = as_bool(self.message.get("is_deleted"))
        return self.has_message and not (is_deleted or self.is_self or self.is_echo)

    @property
    def address(self) -> Address:
        """The business's account."""
        return Address(Channel.INSTAGRAM, self.account_id)

    @property
    def sent_at(self) -> datetime:
        """The item's own time, else that of the entry, else that of arrival."""
        return as_datetime(self.parts.get("timestamp") or self.entry.get("time"), self.arrived_at)

    @property
    def payload(self) -> Mapping[str, Any]:
        """A delivery in Meta's form that holds only this item."""
        time = self.entry.get("time")
        entry = {"id": self.account_id, "time": time, "messaging": [self.json]}
        return {"object": INSTAGRAM_OBJECT, "entry": [entry]}


def _parse_item(item: _MessagingItem) -> Iterator[ParsedItem]:
    """Yield the message or change of an item, and an ignored item for each unknown part.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11.
    """
    parts = item.parts
    if item.is_self:
        yield make_ignored_item("ignored", "event", "is_self")
    elif as_bool(item.message.get("is_deleted")):
        yield _read_unsend(item)
    elif item.is_echo:
        yield _read_echo(item)
        yield from list_unknown_parts(parts)
    elif item.is_message:
        yield _read_message(item)
        yield from list_unknown_parts(parts)
    elif parts.get("message_edit") is not None:
        yield _read_edit(item)
    elif parts.get("reaction") is not None:
        yield _read_reaction(item)
    else:
        yield _ignore_other(item)


def _read_message(item: _MessagingItem) -> Inbound:
    """Read a message or postback of a person; a BrokenMessage names what it lacks.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11.
    """
    address, payload = item.address, item.payload
    if not any(isinstance(item.parts.get(part), dict) for part in MESSAGE_PARTS):
        part = next(part for part in MESSAGE_PARTS if item.parts.get(part) is not None)
        reason = f"`{part}` is not an object"
        return BrokenMessage(address=address, reason=reason, payload=payload)
    external_id = _read_message_id(item)
    if not item.sender_id:
        reason = "`sender.id` is missing"
        return BrokenMessage(address=address, reason=reason, payload=payload)
    if max(len(external_id), len(item.sender_id)) > MAX_ID_CHARACTERS:
        reason = f"an id is longer than {MAX_ID_CHARACTERS} characters"
        return BrokenMessage(address=address, reason=reason, payload=payload)
    message = parse_content(item.parts)
    return InboundMessage(
        address=address,
        external_id=external_id,
        sender=_make_sender(item.sender_id),
        kind=message.kind,
        body=message.text,
        content=message.content,
        sent_at=item.sent_at,
        thread_external_id=f"ig:{item.account_id}:{item.sender_id}",
        payload=payload,
    )


def _read_message_id(item: _MessagingItem) -> str:
    """Return the `mid` of the message or postback; one derived from the item where it has none.

    Postbacks have no `mid` below version 11 of Meta's API.
    """
    parts = map(item.parts.get, MESSAGE_PARTS)
    message = next((part for part in parts if isinstance(part, dict)), {})
    return read_or_derive_id(message.get("mid"), item.account_id, item.json)


def _make_sender(user_id: str) -> Sender:
    return Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, user_id),))


def _read_echo(item: _MessagingItem) -> IncomingChange | IgnoredItem:
    """Read a message of the account, sent by any app or in Instagram's own.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11.
    """
    external_id = _read_message_id(item)
    if not item.message:
        return make_ignored_item("unknown", "event", "echo without message")
    if not item.recipient_id:
        return make_ignored_item("unknown", "event", "echo without recipient")
    if max(len(external_id), len(item.recipient_id)) > MAX_ID_CHARACTERS:
        return make_ignored_item("unknown", "event", "echo with an id too long")
    message = parse_content(item.parts)
    return IncomingChange(
        address=item.address,
        external_id=external_id,
        kind=ChangeKind.ECHO,
        sent_at=item.sent_at,
        person=_make_sender(item.recipient_id),
        content={"kind": message.kind, "body": message.text, "content": message.content},
        payload=item.payload,
    )


def _read_unsend(item: _MessagingItem) -> IncomingChange | IgnoredItem:
    """Read that a message was unsent. Meta's policy asks to delete its content.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11.
    """
    mid = as_stripped_text(item.message.get("mid"))
    return _make_message_change(item, ChangeKind.UNSEND, mid, f"unsend:{mid}", {"body": ""})


def _read_edit(item: _MessagingItem) -> IncomingChange | IgnoredItem:
    """Read the new text of a message.

    Meta's page shows `num_edit` as a string; deliveries have a number. Number 0 is no edit: it
    announces a new message, without its text and often without its sender. The message itself
    usually follows (chatwoot/chatwoot#15494).

    Source: developers.facebook.com/documentation/instagram-platform/webhooks/examples, read 2026-11.
    """
    edit = as_dict(item.parts.get("message_edit"))
    mid, number = as_stripped_text(edit.get("mid")), as_stripped_text(edit.get("num_edit"))
    if number and not number.strip("0"):
        return make_ignored_item("ignored", "event", "message_edit 0")
    text = as_message_text(edit.get("text"))
    if not text:
        return make_ignored_item("unknown", "event", "edit without text")
    edit_id = number.lstrip("0") or read_or_derive_id(None, item.json)
    external_id = f"edit:{mid}:{edit_id}"
    return _make_message_change(item, ChangeKind.EDIT, mid, external_id, {"body": text})


def _read_reaction(item: _MessagingItem) -> IncomingChange | IgnoredItem:
    """Read that the person, or the account, put an emoji on a message or took it off.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11.
    """
    reaction = as_dict(item.parts.get("reaction"))
    mid, action = as_stripped_text(reaction.get("mid")), as_stripped_text(reaction.get("action"))
    if not item.sender_id:
        return make_ignored_item("unknown", "event", "reaction without sender")
    symbol = (
        as_stripped_text(reaction.get("emoji"))
        or as_stripped_text(reaction.get("reaction"))
        or "other"
    )
    emoji = None if action == "unreact" else symbol[:MAX_EMOJI_CHARACTERS]
    by = Direction.OUTBOUND if item.is_from_account else Direction.INBOUND
    timestamp = as_stripped_text(item.parts.get("timestamp"))
    external_id = read_or_derive_id(None, mid, item.sender_id, timestamp, action, emoji)
    content = {"emoji": emoji, "by": by}
    return _make_message_change(item, ChangeKind.REACTION, mid, external_id, content)


def _make_message_change(
    item: _MessagingItem, kind: ChangeKind, mid: str, external_id: str, content: Mapping[str, Any]
) -> IncomingChange | IgnoredItem:
    """Return the change of the message with the id `mid`.

    A change that names no message is ignored as unknown, and so is one with an id of more than 512
    characters.
    """
    if not mid:
        return make_ignored_item("unknown", "event", f"{kind} without message")
    if max(len(mid), len(external_id)) > MAX_ID_CHARACTERS:
        return make_ignored_item("unknown", "event", f"{kind} with an id too long")
    return IncomingChange(
        address=item.address,
        external_id=external_id,
        kind=kind,
        sent_at=item.sent_at,
        message_id=mid,
        content=content,
        payload=item.payload,
    )


def _ignore_other(item: _MessagingItem) -> IgnoredItem:
    """Return the ignored item for an item that is neither a message nor a change."""
    if not isinstance(item.json, dict):
        return make_ignored_item("unknown", "event", "no object")
    names = [
        name for name, part in item.parts.items() if name not in ENVELOPE_PARTS and part is not None
    ]
    if not names:
        return make_ignored_item("ignored", "event", "empty")
    for name in names:
        if name in IGNORED_EVENTS:
            return make_ignored_item("ignored", "event", name)
    return make_ignored_item("unknown", "event", names[0])
