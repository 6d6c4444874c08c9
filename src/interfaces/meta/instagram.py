"""Instagram messaging: `messaging[]`, `standby[]`, and the same items in other envelopes."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from interfaces.meta.reading import (
    LONGEST_ID,
    Json,
    flag,
    listed,
    mapping,
    message_id,
    moment,
    text,
    written,
)

OBJECT = "instagram"

MESSAGE_FIELDS = {"messages", "messaging_postbacks", "standby"}
"""The fields under which `value` is such an item; comments and mentions are other things."""

PARTS = ("message", "postback")


def messages(entry: Mapping[str, Json], arrived_at: datetime) -> Iterator[Inbound]:
    """The messages people sent, also those that another app answers (`standby`)."""
    account_id = text(entry.get("id"))
    for item in _items(entry):
        if _counts(mapping(item)):
            yield _message(account_id, item, entry.get("time"), arrived_at)


def _items(entry: Mapping[str, Json]) -> Iterator[Json]:
    yield from listed(entry.get("messaging"))
    yield from listed(entry.get("standby"))
    # Login through Instagram documents field and value in the entry itself; the dashboard's Test
    # button sends them as changes.
    for change in [entry, *map(mapping, listed(entry.get("changes")))]:
        if text(change.get("field")) in MESSAGE_FIELDS:
            yield from listed(change.get("value"))


def _counts(item: Mapping[str, Json]) -> bool:
    """Whether a person said something: not an echo, a deletion, or the account to itself."""
    message = mapping(item.get("message"))
    if any(flag(message.get(name)) for name in ("is_echo", "is_deleted", "is_self")):
        return False
    return any(item.get(part) is not None for part in PARTS)


def _message(account_id: str, item: Json, time: Json, arrived_at: datetime) -> Inbound:
    event = mapping(item)
    account_id = account_id or text(mapping(event.get("recipient")).get("id"))
    address = Address(Channel.INSTAGRAM, account_id)
    payload = {"object": OBJECT, "entry": [{"id": account_id, "time": time, "messaging": [item]}]}
    message = next((m for m in map(event.get, PARTS) if isinstance(m, dict)), None)
    sender_id = text(mapping(event.get("sender")).get("id"))
    if message is None:
        return BrokenMessage(address=address, reason="it holds no message", payload=payload)
    external_id = message_id(message.get("mid"), account_id, item)
    if not sender_id:
        return BrokenMessage(address=address, reason="it names no sender", payload=payload)
    if max(len(external_id), len(sender_id)) > LONGEST_ID:
        return BrokenMessage(address=address, reason="an id is too long", payload=payload)
    kind, words = _kind_and_words(event)
    return InboundMessage(
        address=address,
        external_id=external_id,
        sender=Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, sender_id),)),
        kind=kind[:LONGEST_ID],
        body=words or f"[{kind[:LONGEST_ID]}]",
        sent_at=moment(event.get("timestamp") or time, arrived_at),
        thread_external_id=f"ig:{account_id}:{sender_id}",
        payload=payload,
    )


def _kind_and_words(event: Mapping[str, Json]) -> tuple[str, str]:
    """What it is, and the person's own words; a shared post's caption is not theirs."""
    if not isinstance(event.get("message"), dict):
        postback = mapping(event.get("postback"))
        return "postback", text(postback.get("title")) or text(postback.get("payload"))
    message = mapping(event.get("message"))
    attachments = [mapping(attachment) for attachment in listed(message.get("attachments"))]
    body = message.get("text")
    if words := written(body):
        return "text", words
    if attachments:
        return text(attachments[0].get("type")) or "attachment", ""
    if quick_reply := text(mapping(message.get("quick_reply")).get("payload")):
        return "text", quick_reply
    return "unsupported" if flag(message.get("is_unsupported")) else "unknown", ""
