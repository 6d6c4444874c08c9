"""Builds deliveries in Meta's shape, with made-up people and shops, and parses them."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any, TypeAlias

from domain.change import IncomingChange
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from interfaces.meta.delivery import MetaDeliveryParser, ParsedDelivery
from interfaces.meta.parsed import IgnoredItem
from tests.support.builders import NOON

Json: TypeAlias = Any
Object: TypeAlias = dict[str, Any]

SENT_AT = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
SENT_AT_SECONDS = 1795347000
"""SENT_AT as a timestamp of Meta's."""

WABA_ID = "102200000000007"
PHONE_NUMBER_ID = "106500000000001"
METADATA: Object = {
    "display_phone_number": "5491100000001",
    "phone_number_id": PHONE_NUMBER_ID,
}

ANA = "5491155550001"
"""Ana's phone number."""

ANA_CONTACT: Object = {"profile": {"name": "Ana"}, "wa_id": ANA}
"""Ana's entry of `contacts`."""

HOLA: Object = {
    "from": ANA,
    "id": "wamid.hola",
    "timestamp": str(SENT_AT_SECONDS),
    "type": "text",
    "text": {"body": "hola"},
}
"""A text that Ana sends on WhatsApp."""

ACCOUNT_ID = "17841400000000001"
IVO = "960000000000001"
"""Ivo's user id on Instagram."""

MID = "aWdfZAG1" + "9a" * 78
"""A message id of Instagram's, with 164 characters like Meta's own."""


def without(part: Object, *names: str) -> Object:
    return {name: value for name, value in part.items() if name not in names}


def whatsapp_change(
    *messages: Json, field: str = "messages", to: str = PHONE_NUMBER_ID, **value: Json
) -> Object:
    """A change of an entry; its `contacts` hold Ana's entry unless `value` has others."""
    base = {
        "messaging_product": "whatsapp",
        "metadata": METADATA | {"phone_number_id": to},
        "contacts": [ANA_CONTACT],
    }
    items = {"messages": list(messages)} if messages else {}
    return {"field": field, "value": base | items | value}


def whatsapp_delivery(*changes: Json) -> Object:
    entry = {"id": WABA_ID, "changes": list(changes)}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def message_delivery(*messages: Json, **value: Any) -> Object:
    """A WhatsApp delivery with one change: see `whatsapp_change`."""
    return whatsapp_delivery(whatsapp_change(*messages, **value))


def instagram_item(**event: Json) -> Object:
    """An item of `messaging`: Ivo did something."""
    return {
        "sender": {"id": IVO},
        "recipient": {"id": ACCOUNT_ID},
        "timestamp": SENT_AT_SECONDS * 1000,
        **event,
    }


def direct_message(**message: Json) -> Object:
    return instagram_item(message={"mid": MID, **message})


def instagram_delivery(*items: Json, under: str = "messaging", **entry: Json) -> Object:
    base = {"id": ACCOUNT_ID, "time": SENT_AT_SECONDS * 1000 + 900, under: list(items)}
    return {"object": "instagram", "entry": [base | entry]}


def delivery_with_change(field: str, value: Json) -> Object:
    """An Instagram delivery as the App Dashboard's Test button sends it."""
    change = {"field": field, "value": value}
    return instagram_delivery(change, under="changes", time=SENT_AT_SECONDS)


def delivery_with_field(field: str, value: Json) -> Object:
    """An Instagram delivery as Meta documents it for apps with Instagram login."""
    entry = {"id": ACCOUNT_ID, "time": SENT_AT_SECONDS, "field": field, "value": value}
    return {"object": "instagram", "entry": [entry]}


def bare_sample(field: str, value: Json) -> Object:
    """A sample as the App Dashboard shows it, without an envelope."""
    return {"field": field, "value": value}


def encode(delivery: Json) -> bytes:
    return json.dumps(delivery).encode()


def parse(delivery: Json) -> ParsedDelivery:
    return MetaDeliveryParser().parse(encode(delivery), NOON)


def parse_messages(delivery: Json) -> list[Inbound]:
    return parse(delivery).messages


def parse_changes(delivery: Json) -> list[IncomingChange]:
    return parse(delivery).changes


def parse_change(delivery: Json) -> IncomingChange:
    """The only change of the delivery."""
    (change,) = parse_changes(delivery)
    return change


def count_ignored_items(delivery: Json) -> Counter[IgnoredItem]:
    return parse(delivery).ignored_items


def parse_readable_messages(delivery: Json) -> list[InboundMessage]:
    messages = parse_messages(delivery)
    return [message for message in messages if isinstance(message, InboundMessage)]


def parse_message(delivery: Json) -> InboundMessage:
    """The only message of the delivery, which can be read."""
    (message,) = parse_messages(delivery)
    assert isinstance(message, InboundMessage)
    return message


def parse_broken_message(delivery: Json) -> BrokenMessage:
    """The only message of the delivery, which cannot be read."""
    (message,) = parse_messages(delivery)
    assert isinstance(message, BrokenMessage)
    return message
