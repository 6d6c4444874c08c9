"""Reads the parts common to all WhatsApp items: address, time, ids of the contact, payload."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self, TypeAlias

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind
from interfaces.meta.json_values import (
    MAX_ID_CHARACTERS,
    Json,
    as_datetime,
    as_dict,
    as_list,
    as_stripped_text,
)
from interfaces.meta.parsed import IgnoredItem, ItemPart, Verdict
from interfaces.meta.whatsapp.phone_numbers import list_number_forms

WHATSAPP_OBJECT = "whatsapp_business_account"

MAX_CACHED_PHONE_NUMBERS = 4096
"""The number of phone numbers whose forms a process caches.

The cache saves time because a person usually sends several messages.
"""

USER_ID_PATTERN = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]+", re.ASCII)
"""Matches a business-scoped user id (BSUID); group 1 marks that of a parent portfolio.

Meta's page says that a phone number which is hidden is omitted. In some deliveries a user id
stands in its place.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids, read 2026-11.
"""

UNSUPPORTED_ACTIONS = {
    "edit",
    "keep_in_chat",
    "pin",
    "poll_update",
    "reaction",
}
"""Subtypes of `unsupported` that are actions on a message, not messages. They are ignored."""


class ContactIds(NamedTuple):
    """The ids of one person in one part of a delivery; "" for an id that is absent."""

    phone: str = ""
    user: str = ""
    parent: str = ""

    @classmethod
    def read(cls, part: Mapping[str, Json], phone: str, user: str, parent: str) -> Self:
        """Read the ids from the members of `part` that have these three names."""
        return cls(
            as_stripped_text(part.get(phone)),
            as_stripped_text(part.get(user)),
            as_stripped_text(part.get(parent)),
        )


ContactIdsReader: TypeAlias = Callable[[Mapping[str, Json]], ContactIds]
"""Reads from an item the ids of the contact that it concerns."""

ItemPartsReader: TypeAlias = Callable[[Json], Mapping[str, Json]]
"""Reads the members of an item: `as_dict`, or `read_echo_parts`."""


def read_sender_ids(message: Mapping[str, Json]) -> ContactIds:
    """Read the ids of the person who sent a message.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids, read 2026-11.
    """
    return ContactIds.read(message, "from", "from_user_id", "from_parent_user_id")


def read_recipient_ids(echo: Mapping[str, Json]) -> ContactIds:
    """Read the ids of the person to whom the business sent a message.

    Echoes of the field `standby` have the user id in `recipient`.

    Sources, read 2026-11:
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/standby
    """
    ids = ContactIds.read(echo, "to", "to_user_id", "to_parent_user_id")
    recipient = as_stripped_text(echo.get("recipient"))
    match = USER_ID_PATTERN.fullmatch(recipient)
    if not match:
        return ids
    name = "parent" if match[1] else "user"
    return ids if getattr(ids, name) else ids._replace(**{name: recipient})


def read_echo_parts(echo: Json) -> Mapping[str, Json]:
    """Return the members of an echo, and beside them those of its part `message`.

    Echoes of the field `standby` have recipient, type and content in that part, one level deeper
    than other echoes. Returns {} for an echo that is not an object.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/standby, read 2026-11.
    """
    parts = as_dict(echo)
    message = as_dict(parts.get("message"))
    if not message:
        return parts
    own = {name: part for name, part in parts.items() if name != "message" and part is not None}
    return {**message, **own}


def read_contact_ids(part: Mapping[str, Json]) -> ContactIds:
    """Read the ids of an entry of `contacts`, or of an item that names its contact the same way.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids, read 2026-11.
    """
    return ContactIds.read(part, "wa_id", "user_id", "parent_user_id")


def list_identities(*sources: ContactIds) -> tuple[Identity, ...]:
    """Return the identities of one person: all forms of the phone, the user id, the parent's id.

    Each id is taken from the first source that has it. Returns () where no source has any.
    """
    phone = user = parent = ""
    for ids in sources:
        user = user or ids.user
        parent = parent or ids.parent
    for ids in sources:
        # The place of the phone may hold a user id: see USER_ID_PATTERN.
        if not (user_id := USER_ID_PATTERN.fullmatch(ids.phone)):
            phone = phone or ids.phone
        elif user_id[1]:
            parent = parent or ids.phone
        else:
            user = user or ids.phone
    users = [Identity(IdentityKind.WHATSAPP_USER, user)] if user else []
    parents = [Identity(IdentityKind.WHATSAPP_PARENT_USER, parent)] if parent else []
    return (*list_phone_identities(phone), *users, *parents)


def list_phone_identities(number: str) -> tuple[Identity, ...]:
    """Return one identity for each form of the number, the given form first; () for ""."""
    # Every reader refuses a number that is too long for an id; it would waste the cache's memory.
    if len(number) > MAX_ID_CHARACTERS:
        return _list_phone_identities.__wrapped__(number)
    return _list_phone_identities(number)


@lru_cache(MAX_CACHED_PHONE_NUMBERS)
def _list_phone_identities(number: str) -> tuple[Identity, ...]:
    kind = IdentityKind.WHATSAPP_PHONE
    return tuple(Identity(kind, form) for form in list_number_forms(number) if form)


class ContactEntry(NamedTuple):
    """An entry of `contacts`: the profile of a person, and their ids."""

    parts: Mapping[str, Json]
    ids: ContactIds


NO_CONTACT_ENTRY = ContactEntry({}, ContactIds())


class ChangeValue(NamedTuple):
    """The `value` of one element of Meta's list `changes[]`, with the context of its envelope.

    This class is not a change of Leadport's domain, which is `IncomingChange`. `account_id` is
    `entry[].id`. Only `field` identifies the kind of the value's items: those of imported
    history, for example, have the shape of messages. `is_standby` is True for the value made of
    the part `standby`.
    """

    account_id: str
    field: str
    parts: Mapping[str, Json]
    arrived_at: datetime
    is_standby: bool = False

    @property
    def address(self) -> Address:
        """The business's phone number, by its id; "" where the value has no metadata."""
        number_id = as_stripped_text(as_dict(self.parts.get("metadata")).get("phone_number_id"))
        return Address(Channel.WHATSAPP, number_id)

    def split_standby(self) -> "list[ChangeValue]":
        """Return the value without its part `standby`, then that part as a value of its own.

        Where another app or Meta's Business Agent answers, the items are in that part. `metadata`
        and `contacts` stand beside it or inside it; the contacts of both places are taken.

        Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/standby, read 2026-11.
        """
        if "standby" not in self.parts:
            return [self]
        outer = {name: part for name, part in self.parts.items() if name != "standby"}
        values = [self._replace(parts=outer)]
        for inner in map(as_dict, as_list(self.parts["standby"])):
            contacts, outer_contacts = (as_list(part.get("contacts")) for part in (inner, outer))
            if contacts != outer_contacts:
                contacts = [*contacts, *outer_contacts]
            metadata = as_dict(inner.get("metadata")) or outer.get("metadata")
            parts = {**inner, "metadata": metadata, "contacts": contacts}
            values.append(self._replace(parts=parts, is_standby=True))
        return values

    def read_items(
        self,
        list_name: str,
        read_parts: ItemPartsReader,
        read_ids: ContactIdsReader,
        ids_of_other_items: Sequence[ContactIds] = (),
    ) -> "list[ChangeItem]":
        """Return the items of the list with this name, each with its entry of `contacts`.

        `ids_of_other_items` are the ids of items in other lists to which `contacts` belong too.
        """
        items = as_list(self.parts.get(list_name))
        if not items:
            return []
        address = self.address
        parts_of_items = [read_parts(item) for item in items]
        ids_of_items = [read_ids(parts) for parts in parts_of_items]
        entries = map(as_dict, as_list(self.parts.get("contacts")))
        contacts = _ContactIndex(entries, [*ids_of_other_items, *ids_of_items])
        return [
            ChangeItem(
                value=self,
                list_name=list_name,
                json=item,
                parts=parts,
                type=as_stripped_text(parts.get("type")),
                address=address,
                ids=ids,
                contact=contacts.find(ids),
            )
            for item, parts, ids in zip(items, parts_of_items, ids_of_items, strict=True)
        ]


class ChangeItem(NamedTuple):
    """One message, or one event of another kind, in the `value` of an element of `changes[]`.

    - `json`: the item as Meta sent it; `parts`: its members, {} where it is not an object, and
      of an echo those of its part `message` too.
    - `type`: its `type`, which for a message is also the name of the part with the content.
    - `address`: the business's number.
    - `ids`: the ids of the contact that the item itself holds.
    - `contact`: the matching entry of `contacts`, or NO_CONTACT_ENTRY.
    """

    value: ChangeValue
    list_name: str
    json: Json
    parts: Mapping[str, Json]
    type: str
    address: Address
    ids: ContactIds
    contact: ContactEntry

    @property
    def identities(self) -> tuple[Identity, ...]:
        """The identities of the contact: of the item itself, then of the entry of `contacts`."""
        return list_identities(self.ids, self.contact.ids)

    @property
    def sent_at(self) -> datetime:
        """The item's own time; that of arrival where it has none."""
        return as_datetime(self.parts.get("timestamp"), self.value.arrived_at)

    @property
    def payload(self) -> Mapping[str, Any]:
        """A delivery in Meta's form that holds only this item, in the same field and part."""
        items: Mapping[str, Any] = {self.list_name: [self.json]}
        value = {
            "messaging_product": "whatsapp",
            "metadata": self.value.parts.get("metadata"),
            "contacts": [self.contact.parts],
            **({"standby": items} if self.value.is_standby else items),
        }
        change = {"field": self.value.field, "value": value}
        entry = {"id": self.value.account_id, "changes": [change]}
        return {"object": WHATSAPP_OBJECT, "entry": [entry]}


class _ContactIndex:
    """The entries of `contacts` by phone and by user id: their order means nothing."""

    def __init__(
        self, entries: Iterable[Mapping[str, Json]], ids_of_items: Sequence[ContactIds]
    ) -> None:
        contacts = [ContactEntry(parts, read_contact_ids(parts)) for parts in entries]
        self._by_phone: dict[str, ContactEntry] = {}
        self._by_user: dict[str, ContactEntry] = {}
        for contact in reversed(contacts):
            self._by_phone[contact.ids.phone] = contact
            self._by_user[contact.ids.user] = contact
        # `from` and `wa_id` of one person may differ. A single entry therefore belongs to the
        # items even where no id agrees, unless the items are of several people.
        is_for_all = (
            len(contacts) == 1 and len({(ids.phone, ids.user) for ids in ids_of_items}) == 1
        )
        self._default = contacts[0] if is_for_all else NO_CONTACT_ENTRY

    def find(self, ids: ContactIds) -> ContactEntry:
        """Return the person's entry; NO_CONTACT_ENTRY where there is none."""
        phone, user, _ = ids
        return (
            (phone and (self._by_phone.get(phone) or self._by_user.get(phone)))
            or (user and self._by_user.get(user))
            or self._default
        )


def make_ignored_item(verdict: Verdict, part: ItemPart, name: str) -> IgnoredItem:
    """Return the ignored item of WhatsApp with this name, or with the name `none` for ""."""
    return IgnoredItem(verdict, Channel.WHATSAPP, part, name or "none")


def find_ignored_name(item: ChangeItem) -> str:
    """Return the name under which an item of `messages` is ignored; "" for all others.

    Messages to a group are ignored, and items that are no messages.

    Sources, read 2026-11:
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/group
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/unsupported
    developers.facebook.com/documentation/business-messaging/whatsapp/calling/user-call-permissions
    developers.facebook.com/docs/whatsapp/cloud-api/phone-numbers/conversational-components;
    fazer-ai/chatwoot#314 shows a `request_welcome` with a referral.
    """
    message = item.parts
    if message.get("group_id") or message.get("recipient_type") == "group":
        return "group"
    match item.type:
        case "request_welcome" if "referral" not in message:
            return "request_welcome"
        case "interactive":
            reply = as_dict(message.get("interactive"))
            if "call_permission_reply" in {*reply, as_stripped_text(reply.get("type"))}:
                return "call_permission_reply"
        case "unsupported" | "unknown":
            subtype = as_stripped_text(as_dict(message.get("unsupported")).get("type"))
            return f"unsupported: {subtype}" if subtype in UNSUPPORTED_ACTIONS else ""
    return ""
