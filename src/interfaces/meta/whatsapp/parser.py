"""Parses WhatsApp changes: the field of a change selects the reader of its items."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from domain.contact import Identity, Sender
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from domain.message import Direction
from interfaces.meta.json_values import (
    MAX_ID_CHARACTERS,
    Json,
    as_dict,
    as_list,
    as_stripped_text,
    read_or_derive_id,
)
from interfaces.meta.parsed import IgnoredItem, ParsedItem
from interfaces.meta.whatsapp.changes import (
    MESSAGE_CHANGE_TYPES,
    read_consent,
    read_echo,
    read_message_change,
    read_system_message,
    read_user_id_update,
)
from interfaces.meta.whatsapp.content import READERS_BY_TYPE, parse_content
from interfaces.meta.whatsapp.items import (
    ChangeItem,
    ChangeValue,
    ContactIds,
    ContactIdsReader,
    ItemPartsReader,
    find_ignored_name,
    list_phone_identities,
    make_ignored_item,
    read_contact_ids,
    read_echo_parts,
    read_recipient_ids,
    read_sender_ids,
)
from interfaces.meta.whatsapp.phone_numbers import extract_digits, list_number_forms

IGNORED_FIELDS = {
    "account_alerts",
    "account_review_update",
    "account_update",
    "automatic_events",
    "business_capability_update",
    "business_username_update",
    "business_username_updates",
    "calls",
    "flows",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "history",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "messaging_handovers",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "template_category_update",
}
"""Fields about the business's account, and imported history.

The items of history look like messages: only the field tells them apart.
"""

IGNORED_PARTS = {
    "conversation_context",
    "errors",
    "statuses",
    "user_actions",
}
"""Parts of a value that are ignored, whatever its field."""

ENVELOPE_PARTS = {
    "contacts",
    "messaging_product",
    "metadata",
}
"""Parts of a value that are read together with its items."""

KNOWN_TYPES = {*READERS_BY_TYPE, *MESSAGE_CHANGE_TYPES, "system"}

INTERNATIONAL_NUMBER_PATTERN = re.compile(r"[1-9][0-9]{6,14}")


def is_whatsapp_change(change: Mapping[str, Json]) -> bool:
    """Return whether a change without an envelope is WhatsApp's, by the shape of its value."""
    value = as_dict(change.get("value"))
    return value.get("messaging_product") == "whatsapp" or "metadata" in value


def parse_items(
    change: Mapping[str, Json], account_id: str, arrived_at: datetime
) -> Iterator[ParsedItem]:
    """Yield the messages, changes and ignored items of one change of an entry.

    `account_id` is `entry[].id`.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview, read 2026-11.
    """
    field = as_stripped_text(change.get("field"))
    value = ChangeValue(account_id, field, as_dict(change.get("value")), arrived_at)
    if readers := READERS_BY_FIELD.get(field):
        for part in value.split_standby():
            yield from _parse_value(part, STANDBY_READERS if part.is_standby else readers)
    elif field in IGNORED_FIELDS:
        yield make_ignored_item("ignored", "field", field)
    else:
        yield make_ignored_item("unknown", "field", field)


def _parse_value(value: ChangeValue, readers: Sequence["_ListReader"]) -> Iterator[ParsedItem]:
    """Yield the items of the readers' lists, and an ignored item for each other part."""
    ids_of_items: list[ContactIds] = []
    for reader in readers:
        items = value.read_items(reader.list_name, reader.read_parts, reader.read_ids, ids_of_items)
        ids_of_items += [item.ids for item in items]
        for item in items:
            yield reader.read(item)
            if item.type and item.type not in KNOWN_TYPES:
                yield make_ignored_item("unknown", "type", item.type)
    yield from _ignore_other_parts(value, {reader.list_name for reader in readers})


def _ignore_other_parts(value: ChangeValue, list_names: Set[str]) -> Iterator[IgnoredItem]:
    """Yield an ignored item for each part of the value beside its lists of items."""
    for name, part in value.parts.items():
        if name in IGNORED_PARTS:
            yield from [make_ignored_item("ignored", "event", name)] * len(as_list(part))
        elif name not in list_names and name not in ENVELOPE_PARTS and as_list(part):
            yield make_ignored_item("unknown", "event", name)


def _read_from_contact(item: ChangeItem) -> ParsedItem:
    """Read an item that a contact caused: a message, or a change."""
    if name := find_ignored_name(item):
        return make_ignored_item("ignored", "event", name)
    if item.type == "system":
        return read_system_message(item)
    if item.type in MESSAGE_CHANGE_TYPES:
        return read_message_change(item, Direction.INBOUND)
    return _read_message(item)


def _read_from_business(item: ChangeItem) -> ParsedItem:
    """Read an item that the business caused, in WhatsApp's app or over the API: always a change."""
    if name := find_ignored_name(item):
        return make_ignored_item("ignored", "event", name)
    if item.type in MESSAGE_CHANGE_TYPES:
        return read_message_change(item, Direction.OUTBOUND)
    return read_echo(item)


def _read_message(item: ChangeItem) -> Inbound:
    """Read a message of a contact; a BrokenMessage names what it lacks.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages, read 2026-11.
    """
    address, identities, payload = item.address, item.identities, item.payload
    number_id = address.external_id
    if not isinstance(item.json, dict):
        reason = "the item of `messages` is not an object"
        return BrokenMessage(address=address, reason=reason, payload=payload)
    external_id = read_or_derive_id(item.parts.get("id"), number_id, identities[:1], item.json)
    if not identities:
        reason = "`from` and `from_user_id` are missing"
        return BrokenMessage(address=address, reason=reason, payload=payload)
    if max(map(len, [external_id, *[value for _, value in identities]])) > MAX_ID_CHARACTERS:
        reason = f"an id is longer than {MAX_ID_CHARACTERS} characters"
        return BrokenMessage(address=address, reason=reason, payload=payload)
    message = parse_content(item.parts)
    requested = (each for each in _read_requested_number(item) if each not in identities)
    return InboundMessage(
        address=address,
        external_id=external_id,
        sender=Sender(
            identities=(*identities, *requested),
            name=as_stripped_text(as_dict(item.contact.parts.get("profile")).get("name")),
        ),
        kind=message.kind,
        body=message.text,
        content=message.content,
        sent_at=item.sent_at,
        thread_external_id=f"wa:{number_id}:{identities[0].value}",
        payload=payload,
    )


def _read_requested_number(item: ChangeItem) -> tuple[Identity, ...]:
    """Return the number that the sender gave because the business asked for it.

    The business asks with the button REQUEST_CONTACT_INFO; the answer is a contact card with
    `origin: contact_request`. Returns () where there is no such card, or the cards hold several
    numbers: every other card, and any of several numbers, may be another person's.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/contacts, read 2026-11.
    """
    if item.type != "contacts":
        return ()
    phones = [
        as_dict(phone)
        for card in map(as_dict, as_list(item.parts.get("contacts")))
        if as_stripped_text(card.get("origin")) == "contact_request"
        for phone in as_list(card.get("phones"))
    ]
    digits = [
        extract_digits(as_stripped_text(phone.get("wa_id")))
        or extract_digits(as_stripped_text(phone.get("phone")))
        for phone in phones
    ]
    numbers = [number for number in digits if INTERNATIONAL_NUMBER_PATTERN.fullmatch(number)]
    people = {frozenset(list_number_forms(number)) for number in numbers}
    return list_phone_identities(numbers[0]) if len(people) == 1 else ()


class _ListReader(NamedTuple):
    """The name of a list of items, and the readers of an item's members, of its ids, and of it."""

    list_name: str
    read_parts: ItemPartsReader
    read_ids: ContactIdsReader
    read: Callable[[ChangeItem], ParsedItem]


MESSAGE_READER = _ListReader("messages", as_dict, read_sender_ids, _read_from_contact)

ECHO_READER = _ListReader(
    "message_echoes", read_echo_parts, read_recipient_ids, _read_from_business
)

STANDBY_READERS = (MESSAGE_READER, ECHO_READER)
"""The readers of the part `standby`.

Its messages count: another app or Meta's Business Agent answers, but the person wrote to the
business.
"""

READERS_BY_FIELD: Mapping[str, Sequence[_ListReader]] = {
    "message_echoes": (ECHO_READER,),
    "messages": (MESSAGE_READER,),
    "smb_message_echoes": (ECHO_READER,),
    "standby": STANDBY_READERS,
    "user_id_update": (
        _ListReader("user_id_update", as_dict, read_contact_ids, read_user_id_update),
    ),
    "user_preferences": (_ListReader("user_preferences", as_dict, read_contact_ids, read_consent),),
}
"""The readers of a field's lists, in their order in the value.

Entries of `contacts` belong first to the items of the first list.
"""
