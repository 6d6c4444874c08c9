"""What all of WhatsApp's deliveries have in common: items in a value, and whose ids they show."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self, TypeAlias

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind
from interfaces.meta.json_values import LONGEST_ID, Json, as_datetime, as_dict, as_id_text, as_list
from interfaces.meta.parsed import IgnoredItem
from interfaces.meta.whatsapp.phone_numbers import number_forms

OBJECT = "whatsapp_business_account"

REMEMBERED = 4096
"""So many people's numbers are taken apart only once: who writes, writes several times."""

USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]+", re.ASCII)
"""A business-scoped user id (BSUID), or with ENT a parent's. Meta's page says that none stands
where a phone should; some captures have it there."""

ACTIONS = {"edit", "pin", "keep_in_chat", "poll_update", "reaction"}
"""What Meta cannot show, and is nothing said."""


class ContactIds(NamedTuple):
    """The ids that a part of a delivery shows of one person."""

    phone: str = ""
    user: str = ""
    parent: str = ""

    @classmethod
    def under(cls, part: Mapping[str, Json], phone: str, user: str, parent: str) -> Self:
        """Read the three by their names."""
        return cls(
            as_id_text(part.get(phone)), as_id_text(part.get(user)), as_id_text(part.get(parent))
        )


ContactIdsReader: TypeAlias = Callable[[Mapping[str, Json]], ContactIds]
"""Reads whose an item is."""


def sender_ids(message: Mapping[str, Json]) -> ContactIds:
    """Who wrote a message."""
    return ContactIds.under(message, "from", "from_user_id", "from_parent_user_id")


def recipient_ids(echo: Mapping[str, Json]) -> ContactIds:
    """Whom the business wrote to."""
    return ContactIds.under(echo, "to", "to_user_id", "to_parent_user_id")


def contact_ids(card: Mapping[str, Json]) -> ContactIds:
    """Whom an entry of `contacts` is about."""
    return ContactIds.under(card, "wa_id", "user_id", "parent_user_id")


def identities(*shown: ContactIds) -> tuple[Identity, ...]:
    """The first phone, in all its forms, the first user id, and the first parent's."""
    phone = user = parent = ""
    for ids in shown:
        user = user or ids.user
        parent = parent or ids.parent
    for ids in shown:
        # Either may stand in the phone's place: see USER_ID.
        if not (user_id := USER_ID.fullmatch(ids.phone)):
            phone = phone or ids.phone
        elif user_id[1]:
            parent = parent or ids.phone
        else:
            user = user or ids.phone
    users = [Identity(IdentityKind.WHATSAPP_USER, user)] if user else []
    parents = [Identity(IdentityKind.WHATSAPP_PARENT_USER, parent)] if parent else []
    return (*phones(phone), *users, *parents)


def phones(number: str) -> tuple[Identity, ...]:
    """A number in all its forms; none where there is no number."""
    # What is too long for an id is refused by every reader, and not worth the memory.
    return _phones(number) if len(number) <= LONGEST_ID else _phones.__wrapped__(number)


@lru_cache(REMEMBERED)
def _phones(number: str) -> tuple[Identity, ...]:
    kind = IdentityKind.WHATSAPP_PHONE
    return tuple(Identity(kind, form) for form in number_forms(number) if form)


class ChangeValue(NamedTuple):
    """What one change holds, under the field that alone says what its items are."""

    account_id: str
    field: str
    parts: Mapping[str, Json]
    arrived_at: datetime

    @property
    def address(self) -> Address:
        """The business' number."""
        number_id = as_id_text(as_dict(self.parts.get("metadata")).get("phone_number_id"))
        return Address(Channel.WHATSAPP, number_id)

    def items(self, name: str, shows: ContactIdsReader) -> "Iterator[ChangeItem]":
        """Take apart what stands under the name."""
        items = as_list(self.parts.get(name))
        if not items:
            return
        address = self.address
        inside = [as_dict(item) for item in items]
        everybody = [shows(parts) for parts in inside]
        people = _People(map(as_dict, as_list(self.parts.get("contacts"))), everybody)
        for item, parts, shown in zip(items, inside, everybody, strict=True):
            type_ = as_id_text(parts.get("type"))
            yield ChangeItem(self, name, item, parts, type_, address, shown, people.find(shown))


class ContactEntry(NamedTuple):
    """A person's entry of `contacts`."""

    parts: Mapping[str, Json]
    shown: ContactIds


class ChangeItem(NamedTuple):
    """One message, or whatever else happened.

    `parts` is what `json` is made of, `type` which of them says most; `address` is the business'
    number.
    """

    value: ChangeValue
    name: str
    json: Json
    parts: Mapping[str, Json]
    type: str
    address: Address
    shown: ContactIds
    card: ContactEntry

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Whose it is, as it says itself and by the entry of `contacts`."""
        return identities(self.shown, self.card.shown)

    @property
    def sent_at(self) -> datetime:
        """Its own time."""
        return as_datetime(self.parts.get("timestamp"), self.value.arrived_at)

    @property
    def payload(self) -> Mapping[str, Any]:
        """A delivery that holds this item and nothing else."""
        alone = {
            "messaging_product": "whatsapp",
            "metadata": self.value.parts.get("metadata"),
            "contacts": [self.card.parts],
            self.name: [self.json],
        }
        change = {"field": self.value.field, "value": alone}
        return {"object": OBJECT, "entry": [{"id": self.value.account_id, "changes": [change]}]}


NO_CARD = ContactEntry({}, ContactIds())


class _People:
    """The entries of `contacts`, by both of their ids, for their order means nothing."""

    def __init__(
        self, cards: Iterable[Mapping[str, Json]], everybody: Sequence[ContactIds]
    ) -> None:
        known = [ContactEntry(parts, contact_ids(parts)) for parts in cards]
        self._by_phone: dict[str, ContactEntry] = {}
        self._by_user: dict[str, ContactEntry] = {}
        for card in reversed(known):
            self._by_phone[card.shown.phone] = card
            self._by_user[card.shown.user] = card
        # A single one is also theirs where no id agrees (`from` and `wa_id` need not), unless the
        # items are of several people.
        is_theirs = len(known) == 1 and len({(ids.phone, ids.user) for ids in everybody}) == 1
        self._only = known[0] if is_theirs else NO_CARD

    def find(self, shown: ContactIds) -> ContactEntry:
        """Find the person's entry; empty where there is none."""
        phone, user, _ = shown
        return (
            (phone and (self._by_phone.get(phone) or self._by_user.get(phone)))
            or (user and self._by_user.get(user))
            or self._only
        )


def ignored_event(reason: Literal["ignored", "unknown"], name: str) -> IgnoredItem:
    """Note what happened and was passed over."""
    return IgnoredItem(reason, Channel.WHATSAPP, "event", name)


def ignore_reason(item: ChangeItem) -> str:
    """Name what was said to a group, or is no saying at all; empty for everything else."""
    message = item.parts
    if message.get("group_id"):
        return "group"
    match item.type:
        case "request_welcome" if "referral" not in message:
            return "request_welcome"
        case "interactive":
            reply = as_dict(message.get("interactive"))
            if "call_permission_reply" in {*reply, as_id_text(reply.get("type"))}:
                return "call_permission_reply"
        case "unsupported" | "unknown":
            kind = as_id_text(as_dict(message.get("unsupported")).get("type"))
            return f"unsupported: {kind}" if kind in ACTIONS else ""
    return ""
