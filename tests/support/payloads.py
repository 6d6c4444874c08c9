"""Deliveries in the shapes Meta sends, with made-up people and shops in them."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any, TypeAlias

from domain.change import IncomingChange
from domain.inbound import BrokenMessage, Inbound, InboundMessage
from interfaces.meta.delivery import MetaDeliveryParser
from interfaces.meta.parsed import IgnoredItem
from tests.support.builders import NOON

Json: TypeAlias = Any
Object: TypeAlias = dict[str, Any]

SENT_AT = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
SECONDS = 1795347000
"""SENT_AT, as Meta writes it."""

WABA = "102200000000007"
NUMBER = "106500000000001"
METADATA: Object = {"display_phone_number": "5491100000001", "phone_number_id": NUMBER}

ANA = "5491155550001"
ANA_CARD: Object = {"profile": {"name": "Ana"}, "wa_id": ANA}
HOLA: Object = {
    "from": ANA,
    "id": "wamid.hola",
    "timestamp": str(SECONDS),
    "type": "text",
    "text": {"body": "hola"},
}

ACCOUNT = "17841400000000001"
IVO = "960000000000001"
MID = "aWdfZAG1" + "9a" * 78
"""As long as Meta's: 164 characters."""


def without(part: Object, *names: str) -> Object:
    return {name: value for name, value in part.items() if name not in names}


def change(*items: Json, field: str = "messages", to: str = NUMBER, **value: Json) -> Object:
    """One change of WhatsApp's; `contacts` names Ana unless told otherwise."""
    base = {
        "messaging_product": "whatsapp",
        "metadata": METADATA | {"phone_number_id": to},
        "contacts": [ANA_CARD],
    }
    messages = {"messages": list(items)} if items else {}
    return {"field": field, "value": base | messages | value}


def whatsapp(*changes: Json) -> Object:
    entry = {"id": WABA, "changes": list(changes)}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def item(**event: Json) -> Object:
    """Something Ivo did on Instagram."""
    return {
        "sender": {"id": IVO},
        "recipient": {"id": ACCOUNT},
        "timestamp": SECONDS * 1000,
        **event,
    }


def dm(**message: Json) -> Object:
    return item(message={"mid": MID, **message})


def instagram(*items: Json, under: str = "messaging", **entry: Json) -> Object:
    base = {"id": ACCOUNT, "time": SECONDS * 1000 + 900, under: list(items)}
    return {"object": "instagram", "entry": [base | entry]}


def changed(field: str, value: Json) -> Object:
    """As the dashboard's Test button sends it."""
    return instagram({"field": field, "value": value}, under="changes", time=SECONDS)


def flat(field: str, value: Json) -> Object:
    """As login through Instagram documents it."""
    entry = {"id": ACCOUNT, "time": SECONDS, "field": field, "value": value}
    return {"object": "instagram", "entry": [entry]}


def bare(field: str, value: Json) -> Object:
    """As the dashboard shows a sample."""
    return {"field": field, "value": value}


def encoded(delivery: Json) -> bytes:
    return json.dumps(delivery).encode()


def decoded(delivery: Json) -> list[Inbound]:
    """The messages."""
    return MetaDeliveryParser().parse(encoded(delivery), NOON).messages


def changes_in(delivery: Json) -> list[IncomingChange]:
    return MetaDeliveryParser().parse(encoded(delivery), NOON).changes


def change_in(delivery: Json) -> IncomingChange:
    """The only one."""
    (change,) = changes_in(delivery)
    return change


def notes_in(delivery: Json) -> Counter[IgnoredItem]:
    return MetaDeliveryParser().parse(encoded(delivery), NOON).ignored_items


def messages_in(delivery: Json) -> list[InboundMessage]:
    """Those that can be read."""
    return [message for message in decoded(delivery) if isinstance(message, InboundMessage)]


def message_in(delivery: Json) -> InboundMessage:
    """The only one, and it can be read."""
    (message,) = decoded(delivery)
    assert isinstance(message, InboundMessage)
    return message


def broken_in(delivery: Json) -> BrokenMessage:
    """The only one, and it cannot be read."""
    (message,) = decoded(delivery)
    assert isinstance(message, BrokenMessage)
    return message
