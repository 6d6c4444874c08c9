"""What all of WhatsApp's deliveries have in common: items in a value, and whose ids they show."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self, TypeAlias

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind
from interfaces.meta.json_values import LONGEST_ID, Json, listed, mapping, moment, text
from interfaces.meta.parsed import Note
from interfaces.meta.whatsapp.phone_numbers import forms

OBJECT = "whatsapp_business_account"

REMEMBERED = 4096
"""So many people's numbers are taken apart only once: who writes, writes several times."""

USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]+", re.ASCII)
"""A business-scoped user id (BSUID), or with ENT a parent's. Meta's page says that none stands
where a phone should; some captures have it there."""

ACTIONS = {"edit", "pin", "keep_in_chat", "poll_update", "reaction"}
"""What Meta cannot show, and is nothing said."""


class Shown(NamedTuple):
    """The ids that a part of a delivery shows of one person."""

    phone: str = ""
    user: str = ""
    parent: str = ""

    @classmethod
    def under(cls, part: Mapping[str, Json], phone: str, user: str, parent: str) -> Self:
        """Read the three by their names."""
        return cls(text(part.get(phone)), text(part.get(user)), text(part.get(parent)))


Shows: TypeAlias = Callable[[Mapping[str, Json]], Shown]
"""Reads whose an item is."""


def sender(message: Mapping[str, Json]) -> Shown:
    """Who wrote a message."""
    return Shown.under(message, "from", "from_user_id", "from_parent_user_id")


def receiver(echo: Mapping[str, Json]) -> Shown:
    """Whom the business wrote to."""
    return Shown.under(echo, "to", "to_user_id", "to_parent_user_id")


def holder(card: Mapping[str, Json]) -> Shown:
    """Whom an entry of `contacts` is about."""
    return Shown.under(card, "wa_id", "user_id", "parent_user_id")


def identities(*shown: Shown) -> tuple[Identity, ...]:
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
    return tuple(Identity(kind, form) for form in forms(number) if form)


class Value(NamedTuple):
    """What one change holds, under the field that alone says what its items are."""

    account_id: str
    field: str
    parts: Mapping[str, Json]
    arrived_at: datetime

    @property
    def address(self) -> Address:
        """The business' number."""
        number_id = text(mapping(self.parts.get("metadata")).get("phone_number_id"))
        return Address(Channel.WHATSAPP, number_id)

    def items(self, name: str, shows: Shows) -> "Iterator[Item]":
        """Take apart what stands under the name."""
        items = listed(self.parts.get(name))
        if not items:
            return
        address = self.address
        inside = [mapping(item) for item in items]
        everybody = [shows(parts) for parts in inside]
        people = _People(map(mapping, listed(self.parts.get("contacts"))), everybody)
        for item, parts, shown in zip(items, inside, everybody, strict=True):
            type_ = text(parts.get("type"))
            yield Item(self, name, item, parts, type_, address, shown, people.find(shown))


class Card(NamedTuple):
    """A person's entry of `contacts`."""

    parts: Mapping[str, Json]
    shown: Shown


class Item(NamedTuple):
    """One message, or whatever else happened.

    `parts` is what `json` is made of, `type` which of them says most; `address` is the business'
    number.
    """

    value: Value
    name: str
    json: Json
    parts: Mapping[str, Json]
    type: str
    address: Address
    shown: Shown
    card: Card

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Whose it is, as it says itself and by the entry of `contacts`."""
        return identities(self.shown, self.card.shown)

    @property
    def sent_at(self) -> datetime:
        """Its own time."""
        return moment(self.parts.get("timestamp"), self.value.arrived_at)

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


NO_CARD = Card({}, Shown())


class _People:
    """The entries of `contacts`, by both of their ids, for their order means nothing."""

    def __init__(self, cards: Iterable[Mapping[str, Json]], everybody: Sequence[Shown]) -> None:
        known = [Card(parts, holder(parts)) for parts in cards]
        self._by_phone: dict[str, Card] = {}
        self._by_user: dict[str, Card] = {}
        for card in reversed(known):
            self._by_phone[card.shown.phone] = card
            self._by_user[card.shown.user] = card
        # A single one is also theirs where no id agrees (`from` and `wa_id` need not), unless the
        # items are of several people.
        is_theirs = len(known) == 1 and len({(ids.phone, ids.user) for ids in everybody}) == 1
        self._only = known[0] if is_theirs else NO_CARD

    def find(self, shown: Shown) -> Card:
        """Find the person's entry; empty where there is none."""
        phone, user, _ = shown
        return (
            (phone and (self._by_phone.get(phone) or self._by_user.get(phone)))
            or (user and self._by_user.get(user))
            or self._only
        )


def event(verdict: Literal["ignored", "unknown"], name: str) -> Note:
    """Note what happened and was passed over."""
    return Note(verdict, Channel.WHATSAPP, "event", name)


def passed_over(item: Item) -> str:
    """Name what was said to a group, or is no saying at all; empty for everything else."""
    message = item.parts
    if message.get("group_id"):
        return "group"
    match item.type:
        case "request_welcome" if "referral" not in message:
            return "request_welcome"
        case "interactive":
            reply = mapping(message.get("interactive"))
            if "call_permission_reply" in {*reply, text(reply.get("type"))}:
                return "call_permission_reply"
        case "unsupported" | "unknown":
            kind = text(mapping(message.get("unsupported")).get("type"))
            return f"unsupported: {kind}" if kind in ACTIONS else ""
    return ""
