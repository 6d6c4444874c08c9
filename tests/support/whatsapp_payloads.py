"""Builds the items of WhatsApp deliveries: messages of every type, changes, echoes."""

from typing import Any

from domain.contact import Identity
from interfaces.meta.parsed import IgnoredItem
from tests.support.builders import phone_identity
from tests.support.payloads import (
    ANA,
    HOLA,
    METADATA,
    SENT_AT_SECONDS,
    Json,
    Object,
    whatsapp_change,
    without,
)

ANA_IDENTITIES = (phone_identity(ANA), phone_identity("541155550001"))
NEW_NUMBER = "5491155550002"
NEW_NUMBER_IDENTITIES = (phone_identity(NEW_NUMBER), phone_identity("541155550002"))
BSUID = "AR.13490000000000001"
NEW_BSUID = "AR.13490000000000002"
SHOP_NUMBER = METADATA["display_phone_number"]

AD: Object = {
    "source_type": "ad",
    "source_id": "1202000000000001",
    "source_url": "https://fb.example/ad",
    "headline": "Rebajas de verano",
    "body": "Todo a mitad de precio",
    "media_type": "video",
    "video_url": "https://cdn.example/v",
    "thumbnail_url": "https://cdn.example/t",
    "ctwa_clid": "Afc-1",
    "welcome_message": {"text": "¿En qué te ayudamos?"},
}
MEDIA: Object = {"id": "90", "mime_type": "image/jpeg", "sha256": "kq=", "url": "https://m.example"}
QUOTED_MESSAGE: Object = {"from": "5491100000001", "id": "wamid.question"}
STATUS: Object = {"id": "wamid.ours", "recipient_id": ANA, "timestamp": str(SENT_AT_SECONDS)}
UNSUPPORTED_TYPES = ("unsupported", "unknown")
UNSUPPORTED_ERRORS: Object = {"errors": [{"code": 131051, "title": "Message type unknown"}]}

ODD_PARTS: list[Json] = [None, "x", "", 7, 1.5, True, [], ["x"], [[]], [None], {}]
"""Values of a shape that no part of a message has."""


def contact_entry(name: str, **ids: Json) -> Object:
    """An entry of `contacts`."""
    return {"profile": {"name": name}, **ids}


def message_from_ana(**parts: Json) -> Object:
    """A message of Ana's without type and content but these parts."""
    return without(HOLA, "type", "text") | parts


def message_of_type(type: str, part: Json, **other_parts: Json) -> Object:
    """A message of Ana's with the part that is named after its type, and other parts beside it."""
    return message_from_ana(**({"type": type, type: part} | other_parts))


def text_message(**other_parts: Json) -> Object:
    return HOLA | other_parts


def typed_part(type: str, **members: Json) -> Object:
    """The type of a message, and the part that is named after it."""
    return {"type": type, type: members}


def unsupported_part(kind: str, type: str = "unsupported") -> Object:
    return {"type": type, **UNSUPPORTED_ERRORS, "unsupported": {"type": kind}}


def order_line(quantity: Json, price: Json, currency: Json = "ARS") -> Object:
    return {
        "product_retailer_id": "zap-1",
        "quantity": quantity,
        "item_price": price,
        "currency": currency,
    }


def system_part(kind: str, **parts: Json) -> Object:
    return {"type": "system", "system": {"type": kind, "body": "Ana cambió", **parts}}


def item_from_ana(type: str, **parts: Json) -> Object:
    """An item of Ana's that is no message."""
    return without(HOLA, "text") | {"id": "wamid.new", "type": type, **parts}


def edit_item(**message: Json) -> Object:
    return item_from_ana("edit", edit={"original_message_id": "wamid.hola", "message": message})


def reaction_item(**part: Json) -> Object:
    return item_from_ana("reaction", reaction={"message_id": "wamid.hola", **part})


def system_item(type: str, **parts: Json) -> Object:
    return item_from_ana(**system_part(type, **parts))


EDIT = edit_item(type="text", text={"body": "adiós"})
REVOKE = item_from_ana("revoke", revoke={"original_message_id": "wamid.hola"})
REACTION = reaction_item(emoji="👍")
ECHO: Object = HOLA | {"from": SHOP_NUMBER, "to": ANA, "id": "wamid.ours"}
USER_ID_UPDATE: Object = {
    "wa_id": ANA,
    "user_id": {"previous": BSUID, "current": NEW_BSUID},
    "timestamp": str(SENT_AT_SECONDS),
}
STOP: Object = {
    "wa_id": ANA,
    "category": "marketing_messages",
    "value": "stop",
    "detail": "User requested to stop marketing messages",
    "timestamp": SENT_AT_SECONDS,
}


def user_id_update_change(*items: Json, **value: Json) -> Object:
    return whatsapp_change(field="user_id_update", user_id_update=list(items), **value)


def preference_change(*items: Json, **value: Json) -> Object:
    return whatsapp_change(field="user_preferences", user_preferences=list(items), **value)


def echo_change(*items: Json, field: str = "smb_message_echoes", **value: Json) -> Object:
    base: Object = {"message_echoes": list(items), "contacts": None}
    return whatsapp_change(field=field, **(base | value))


def count_unknown_event(name: str) -> dict[IgnoredItem, int]:
    """The count of ignored items where one event of this name is unknown."""
    return {IgnoredItem("unknown", "whatsapp", "event", name): 1}


def identity_content(*identities: Identity) -> dict[str, Any]:
    """The content of a change to these identities."""
    return {"identities": [list(identity) for identity in identities]}
