"""Items of WhatsApp for tests of the whole service, and their deliveries in the spool."""

import json
from typing import Any

from application.ports.delivery import Spool
from tests.support.builders import SHOP_NUMBER
from tests.support.payloads import (
    ANA,
    HOLA,
    Json,
    Object,
    encode,
    whatsapp_change,
    whatsapp_delivery,
    without,
)

ITEM_WITHOUT_SENDER = without(HOLA, "from") | {"text": {"body": "secret words"}}

STATUS: Object = {
    "id": "wamid.out",
    "status": "delivered",
    "timestamp": HOLA["timestamp"],
    "recipient_id": "1",
}

REVOKE: Object = {
    **without(HOLA, "text"),
    "id": "wamid.revoke",
    "type": "revoke",
    "revoke": {"original_message_id": "wamid.hola"},
}
"""The unsend of HOLA."""

EDIT: Object = {
    **without(HOLA, "text"),
    "id": "wamid.edit",
    "type": "edit",
    "edit": {
        "original_message_id": "wamid.hola",
        "message": {"type": "text", "text": {"body": "poison"}},
    },
}
"""An edit of HOLA."""


def make_text_item(body: str, *, by: str = ANA, id_: str | None = None) -> dict[str, Any]:
    """Make an item with a text. By default its id is made of the text."""
    return {**HOLA, "from": by, "id": id_ or f"wamid.{body}", "text": {"body": body}}


def encode_items(*items: Json, to: str = SHOP_NUMBER, **value: Json) -> bytes:
    """Encode items as the body of one delivery; further keywords are parts of its value."""
    return encode(whatsapp_delivery(whatsapp_change(*items, to=to, **value)))


async def list_spooled_texts(spool: Spool) -> list[str]:
    """Return the texts, or else types, of the items in each spooled delivery."""
    deliveries = await spool.read_oldest(999, 0)
    values = [json.loads(each.body)["entry"][0]["changes"][0]["value"] for each in deliveries]
    return [
        " ".join(item.get("text", {}).get("body", item["type"]) for item in value["messages"])
        for value in values
    ]
