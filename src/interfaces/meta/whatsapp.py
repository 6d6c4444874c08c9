"""WhatsApp Cloud API: `entry[].changes[].value.messages[]` under the field `messages`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from interfaces.meta.reading import (
    LONGEST_ID,
    Json,
    listed,
    mapping,
    message_id,
    moment,
    text,
    written,
)

OBJECT = "whatsapp_business_account"

USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]+", re.ASCII)
"""A business-scoped user id (BSUID). Meta's page says it never stands in `from`; some captures
have it there."""

WORDS = {
    "image": ("caption",),
    "video": ("caption",),
    "document": ("caption", "filename"),
    "location": ("name", "address"),
    "button": ("text",),
    "interactive": ("title",),
    "order": ("text",),
}
"""Where each type has words that the person wrote or chose, best first."""

NOT_A_MESSAGE = {"reaction", "system", "edit", "revoke"}
NOT_A_MESSAGE_UNSUPPORTED = {"edit", "pin", "keep_in_chat", "poll_update", "reaction"}


def is_change(change: Mapping[str, Json]) -> bool:
    """Whether this is WhatsApp's, where no envelope says so."""
    value = mapping(change.get("value"))
    return value.get("messaging_product") == "whatsapp" or "metadata" in value


def messages(
    change: Mapping[str, Json], account_id: str, arrived_at: datetime
) -> Iterator[Inbound]:
    """The messages people sent. Only the field tells them from imported history and echoes."""
    if change.get("field") != "messages":
        return
    value = mapping(change.get("value"))
    items = listed(value.get("messages"))
    people = _People([mapping(contact) for contact in listed(value.get("contacts"))], items)
    for item in items:
        if _counts(mapping(item)):
            profile = people.who_sent(mapping(item))
            payload = _alone(value, profile, item, account_id)
            yield _message(value, profile, item, payload, arrived_at)


def _counts(message: Mapping[str, Json]) -> bool:
    """Whether a person said something to the business, one to one; what cannot be read counts."""
    if message.get("group_id"):
        return False
    match text(message.get("type")):
        case "request_welcome":
            return "referral" in message
        case "interactive":
            reply = mapping(message.get("interactive"))
            return "call_permission_reply" not in {*reply, text(reply.get("type"))}
        case "unsupported" | "unknown":
            kind = text(mapping(message.get("unsupported")).get("type"))
            return kind not in NOT_A_MESSAGE_UNSUPPORTED
        case kind:
            return kind not in NOT_A_MESSAGE


class _People:
    """The entries of `contacts`, by both of their ids, for their order means nothing."""

    def __init__(self, people: Sequence[Mapping[str, Json]], items: Sequence[Json]) -> None:
        self._by_phone = {text(person.get("wa_id")): person for person in reversed(people)}
        self._by_user = {text(person.get("user_id")): person for person in reversed(people)}
        senders = {(text(m.get("from")), text(m.get("from_user_id"))) for m in map(mapping, items)}
        # A single one is also theirs where no id agrees (`from` and `wa_id` need not), unless the
        # messages are of several people.
        self._only = people[0] if len(people) == len(senders) == 1 else {}

    def who_sent(self, message: Mapping[str, Json]) -> Mapping[str, Json]:
        """Find the sender's entry; empty where there is none."""
        phone, user = text(message.get("from")), text(message.get("from_user_id"))
        return (
            (phone and (self._by_phone.get(phone) or self._by_user.get(phone)))
            or (user and self._by_user.get(user))
            or self._only
        )


def _alone(
    value: Mapping[str, Json], profile: Mapping[str, Json], message: Json, account_id: str
) -> Mapping[str, Json]:
    """A delivery that holds this message and nothing else."""
    only = {
        "messaging_product": "whatsapp",
        "metadata": value.get("metadata"),
        "contacts": [profile],
        "messages": [message],
    }
    change = {"field": "messages", "value": only}
    return {"object": OBJECT, "entry": [{"id": account_id, "changes": [change]}]}


def _message(
    value: Mapping[str, Json],
    profile: Mapping[str, Json],
    item: Json,
    payload: Mapping[str, Json],
    arrived_at: datetime,
) -> Inbound:
    number_id = text(mapping(value.get("metadata")).get("phone_number_id"))
    address = Address(Channel.WHATSAPP, number_id)
    if not isinstance(item, dict):
        return BrokenMessage(address=address, reason="it is no message", payload=payload)
    message = mapping(item)
    identities = _identities(message, profile)
    external_id = message_id(message.get("id"), number_id, identities, item)
    kind = text(message.get("type")) or ("text" if "text" in message else "unknown")
    if not identities:
        return BrokenMessage(address=address, reason="it names no sender", payload=payload)
    if max(len(external_id), *(len(value) for _, value in identities)) > LONGEST_ID:
        return BrokenMessage(address=address, reason="an id is too long", payload=payload)
    return InboundMessage(
        address=address,
        external_id=external_id,
        sender=Sender(
            identities=identities, name=text(mapping(profile.get("profile")).get("name"))
        ),
        kind=kind[:LONGEST_ID],
        body=_words(message, kind) or f"[{kind[:LONGEST_ID]}]",
        sent_at=moment(message.get("timestamp"), arrived_at),
        thread_external_id=f"wa:{number_id}:{identities[0].value}",
        payload=payload,
    )


def _identities(message: Mapping[str, Json], profile: Mapping[str, Json]) -> tuple[Identity, ...]:
    """The sender's phone, unless hidden, then the user id: the thread is named after the first."""
    shown = [text(message.get("from")), text(profile.get("wa_id"))]
    phones = (value for value in shown if value and not USER_ID.fullmatch(value))
    users = [text(message.get("from_user_id")), text(profile.get("user_id"))]
    users += filter(USER_ID.fullmatch, shown)
    ids = (
        Identity(IdentityKind.WHATSAPP_PHONE, next(phones, "")),
        Identity(IdentityKind.WHATSAPP_USER, next(filter(None, users), "")),
    )
    return tuple(identity for identity in ids if identity.value)


def _words(message: Mapping[str, Json], kind: str) -> str:
    """The person's own words; empty where they sent none. An ad's are never theirs."""
    part = mapping(message.get(kind))
    if kind == "text":
        return written(part.get("body"))
    if kind == "interactive":
        part = mapping(part.get("button_reply")) or mapping(part.get("list_reply"))
    return next(filter(None, (text(part.get(name)) for name in WORDS.get(kind, ()))), "")
