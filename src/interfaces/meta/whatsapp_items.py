"""What all of WhatsApp's deliveries have in common: items in a value, and whose ids they show."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self, TypeAlias

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind
from interfaces.meta.leaves import Note
from interfaces.meta.numbers import forms
from interfaces.meta.reading import Json, listed, mapping, moment, text

OBJECT = "whatsapp_business_account"

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
    def under(cls, part: Mapping[str, Json], *names: str) -> Self:
        """Read the three by their names."""
        return cls(*(text(part.get(name)) for name in names))


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
    given = [
        *(Identity(IdentityKind.WHATSAPP_USER, ids.user) for ids in shown),
        *(Identity(IdentityKind.WHATSAPP_PARENT_USER, ids.parent) for ids in shown),
        *(Identity(_kind_of(ids.phone), ids.phone) for ids in shown),
    ]
    first: dict[IdentityKind, str] = {}
    for kind, value in given:
        if value:
            first.setdefault(kind, value)
    users = (IdentityKind.WHATSAPP_USER, IdentityKind.WHATSAPP_PARENT_USER)
    return (
        *phones(first.get(IdentityKind.WHATSAPP_PHONE, "")),
        *(Identity(kind, first[kind]) for kind in users if kind in first),
    )


def phones(number: str) -> tuple[Identity, ...]:
    """A number in all its forms; none where there is no number."""
    return tuple(Identity(IdentityKind.WHATSAPP_PHONE, form) for form in forms(number) if form)


def _kind_of(phone: str) -> IdentityKind:
    """Tell a phone from the other ids that were seen in its place."""
    if user_id := USER_ID.fullmatch(phone):
        is_parent = user_id[1] is not None
        return IdentityKind.WHATSAPP_PARENT_USER if is_parent else IdentityKind.WHATSAPP_USER
    return IdentityKind.WHATSAPP_PHONE


@dataclass(frozen=True, slots=True)
class Value:
    """What one change holds, under the field that alone says what its items are."""

    account_id: str
    field: str
    parts: Mapping[str, Json]
    arrived_at: datetime

    def items(self, name: str, shows: Shows) -> "Iterator[Item]":
        """Take apart what stands under the name."""
        items = listed(self.parts.get(name))
        cards = [mapping(card) for card in listed(self.parts.get("contacts"))]
        everybody = [shows(mapping(item)) for item in items]
        people = _People(cards, everybody)
        for item, shown in zip(items, everybody, strict=True):
            yield Item(self, name, item, shown, people.find(shown))


@dataclass(frozen=True, slots=True)
class Item:
    """One message, or whatever else happened; `card` is the person's entry of `contacts`."""

    value: Value
    name: str
    json: Json
    shown: Shown
    card: Mapping[str, Json]

    @property
    def parts(self) -> Mapping[str, Json]:
        """What it is made of."""
        return mapping(self.json)

    @property
    def type(self) -> str:
        """Which of its parts says most."""
        return text(self.parts.get("type"))

    @property
    def number_id(self) -> str:
        """The business' number."""
        return text(mapping(self.value.parts.get("metadata")).get("phone_number_id"))

    @property
    def address(self) -> Address:
        """The same, for all channels."""
        return Address(Channel.WHATSAPP, self.number_id)

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Whose it is, as it says itself and by the entry of `contacts`."""
        return identities(self.shown, holder(self.card))

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
            "contacts": [self.card],
            self.name: [self.json],
        }
        change = {"field": self.value.field, "value": alone}
        return {"object": OBJECT, "entry": [{"id": self.value.account_id, "changes": [change]}]}


class _People:
    """The entries of `contacts`, by both of their ids, for their order means nothing."""

    def __init__(self, cards: Sequence[Mapping[str, Json]], everybody: Sequence[Shown]) -> None:
        self._by_phone = {holder(card).phone: card for card in reversed(cards)}
        self._by_user = {holder(card).user: card for card in reversed(cards)}
        # A single one is also theirs where no id agrees (`from` and `wa_id` need not), unless the
        # items are of several people.
        several = len({(ids.phone, ids.user) for ids in everybody}) > 1
        self._only = cards[0] if len(cards) == 1 and not several else {}

    def find(self, shown: Shown) -> Mapping[str, Json]:
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


def passed_over(message: Mapping[str, Json]) -> str:
    """Name what was said to a group, or is no saying at all; empty for everything else."""
    if message.get("group_id"):
        return "group"
    match text(message.get("type")):
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
