"""Parses WhatsApp changes: an entry of `entry[].changes[]` has a field and a value."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from domain.connection import Channel
from domain.contact import Identity, Sender
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from domain.message import Direction
from interfaces.meta.json_values import LONGEST_ID, Json, as_dict, as_id_text, as_list, message_id
from interfaces.meta.parsed import IgnoredItem, ParsedItem
from interfaces.meta.whatsapp import changes as whatsapp_changes
from interfaces.meta.whatsapp.content import TYPES, parse_content
from interfaces.meta.whatsapp.items import (
    ChangeItem,
    ChangeValue,
    ContactIdsReader,
    contact_ids,
    ignore_reason,
    ignored_event,
    phones,
    recipient_ids,
    sender_ids,
)
from interfaces.meta.whatsapp.phone_numbers import digits_of, number_forms

IGNORED_FIELDS = {
    *("history", "smb_app_state_sync", "calls", "automatic_events", "flows", "standby"),
    *("business_username_update", "business_username_updates", "messaging_handovers"),
    *("group_lifecycle_update", "group_participants_update", "group_settings_update"),
    *("group_status_update", "account_update", "account_alerts", "account_review_update"),
    *("business_capability_update", "phone_number_name_update", "phone_number_quality_update"),
    *("security", "payment_configuration_update", "partner_solutions"),
    *("message_template_status_update", "message_template_quality_update"),
    *("message_template_components_update", "template_category_update"),
}
"""What happens to the business' account, and imported history: it looks like messages, and only
the field tells."""

IGNORED_PARTS = {"statuses", "errors", "user_actions"}

ENVELOPE = {"messaging_product", "metadata", "contacts"}

KNOWN_TYPES = {*TYPES, *whatsapp_changes.ABOUT_MESSAGES, "system"}

INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")


def is_change(change: Mapping[str, Json]) -> bool:
    """Whether this is WhatsApp's, where no envelope says so."""
    value = as_dict(change.get("value"))
    return value.get("messaging_product") == "whatsapp" or "metadata" in value


def parse_items(
    change: Mapping[str, Json], account_id: str, arrived_at: datetime
) -> Iterator[ParsedItem]:
    """What people wrote and did, what the business wrote elsewhere, and what is passed over."""
    field = as_id_text(change.get("field"))
    value = ChangeValue(account_id, field, as_dict(change.get("value")), arrived_at)
    if reader := READERS.get(field):
        for item in value.items(reader.name, reader.shows):
            yield reader.read(item)
            if item.type and item.type not in KNOWN_TYPES:
                yield IgnoredItem("unknown", Channel.WHATSAPP, "type", item.type)
        yield from _beside(value, reader.name)
    elif field in IGNORED_FIELDS:
        yield IgnoredItem("ignored", Channel.WHATSAPP, "field", field)
    else:
        yield IgnoredItem("unknown", Channel.WHATSAPP, "field", field or "none")


def _beside(value: ChangeValue, name: str) -> Iterator[IgnoredItem]:
    for other, part in value.parts.items():
        if other in IGNORED_PARTS:
            yield from [ignored_event("ignored", other)] * len(as_list(part))
        elif other != name and other not in ENVELOPE and as_list(part):
            yield ignored_event("unknown", other)


def _from_person(item: ChangeItem) -> ParsedItem:
    if skipped := ignore_reason(item):
        return ignored_event("ignored", skipped)
    if item.type == "system":
        return whatsapp_changes.from_system(item)
    if item.type in whatsapp_changes.ABOUT_MESSAGES:
        return whatsapp_changes.about_message(item, Direction.INBOUND)
    return _message(item)


def _from_business(item: ChangeItem) -> ParsedItem:
    """Read what was written in WhatsApp's own app, or over the API."""
    if skipped := ignore_reason(item):
        return ignored_event("ignored", skipped)
    if item.type in whatsapp_changes.ABOUT_MESSAGES:
        return whatsapp_changes.about_message(item, Direction.OUTBOUND)
    return whatsapp_changes.echo(item)


def _message(item: ChangeItem) -> Inbound:
    address, identities, payload = item.address, item.identities, item.payload
    number_id = address.external_id
    if not isinstance(item.json, dict):
        return BrokenMessage(address=address, reason="it is no message", payload=payload)
    external_id = message_id(item.parts.get("id"), number_id, identities[:1], item.json)
    if not identities:
        return BrokenMessage(address=address, reason="it names no sender", payload=payload)
    if max(map(len, [external_id, *[value for _, value in identities]])) > LONGEST_ID:
        return BrokenMessage(address=address, reason="an id is too long", payload=payload)
    what = parse_content(item.parts)
    return InboundMessage(
        address=address,
        external_id=external_id,
        sender=Sender(
            identities=(*identities, *(new for new in _asked_for(item) if new not in identities)),
            name=as_id_text(as_dict(item.card.parts.get("profile")).get("name")),
        ),
        kind=what.kind,
        body=what.text,
        content=what.content,
        sent_at=item.sent_at,
        thread_external_id=f"wa:{number_id}:{identities[0].value}",
        payload=payload,
    )


def _asked_for(item: ChangeItem) -> tuple[Identity, ...]:
    """The number that somebody sent because the business asked for it (`REQUEST_CONTACT_INFO`).

    Any other card may be somebody else's, and so may one of several numbers.
    """
    if item.type != "contacts":
        return ()
    numbers = [
        number
        for card in map(as_dict, as_list(item.parts.get("contacts")))
        if as_id_text(card.get("origin")) == "contact_request"
        for phone in map(as_dict, as_list(card.get("phones")))
        for number in [
            digits_of(as_id_text(phone.get("wa_id"))) or digits_of(as_id_text(phone.get("phone")))
        ]
        if INTERNATIONAL.fullmatch(number)
    ]
    return phones(numbers[0]) if len({frozenset(number_forms(n)) for n in numbers}) == 1 else ()


class _Reader(NamedTuple):
    """Where a field has its items, whose they are, and what each becomes."""

    name: str
    shows: ContactIdsReader
    read: Callable[[ChangeItem], ParsedItem]


READERS: Mapping[str, _Reader] = {
    "messages": _Reader("messages", sender_ids, _from_person),
    "smb_message_echoes": _Reader("message_echoes", recipient_ids, _from_business),
    "message_echoes": _Reader("message_echoes", recipient_ids, _from_business),
    "user_preferences": _Reader("user_preferences", contact_ids, whatsapp_changes.consent),
    "user_id_update": _Reader("user_id_update", contact_ids, whatsapp_changes.user_id_update),
}
