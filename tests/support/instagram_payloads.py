"""Builds the items of Instagram deliveries: direct messages, changes, actions of the account."""

from domain.contact import Identity, IdentityKind, Sender
from interfaces.meta.instagram.parser import parse_items
from interfaces.meta.parsed import ParsedItem
from tests.support.builders import NOON
from tests.support.payloads import (
    ACCOUNT_ID,
    IVO,
    MID,
    Json,
    Object,
    bare_sample,
    delivery_with_change,
    delivery_with_field,
    direct_message,
    instagram_item,
)

PHOTO_URL = "https://lookaside.example/1"
TEXT_ITEM = direct_message(text="hola")
POSTBACK_WITHOUT_ID = instagram_item(postback={"title": "Ver precios", "payload": "PRICES"})
AD: Object = {
    "ref": "verano",
    "ad_id": "1202000000000001",
    "source": "ADS",
    "type": "OPEN_THREAD",
    "ads_context_data": {
        "ad_title": "Rebajas de verano",
        "photo_url": "https://cdn.example/ad",
        "post_id": "1790000000000001",
        "product_id": "5550001",
    },
}
AD_REFERRAL: Object = {
    "source_type": "ad",
    "source_id": "1202000000000001",
    "ref": "verano",
    "headline": "Rebajas de verano",
    "media_type": "image",
    "media_url": "https://cdn.example/ad",
    "post_id": "1790000000000001",
    "product_id": "5550001",
}
"""What is stored of AD."""

SHOE: Object = {
    "id": "5550001",
    "retailer_id": "zapato-40",
    "title": "Zapato",
    "subtitle": "Cuero",
    "image_url": "https://cdn.example/shoe",
}


def ivo_sender(id: str = IVO) -> Sender:
    return Sender(identities=(Identity(IdentityKind.INSTAGRAM_USER, id),))


def with_attachments(*types: str, **payload: Json) -> Object:
    """The part of a message with an attachment of each type; all have the same payload."""
    return {"attachments": [{"type": name, "payload": payload} for name in types]}


def account_item(**event: Json) -> Object:
    """An item of something that the account did to Ivo."""
    return instagram_item(**event) | {"sender": {"id": ACCOUNT_ID}, "recipient": {"id": IVO}}


def edit_item(text: Json = "adiós", num_edit: Json = 1, mid: Json = MID) -> Object:
    return instagram_item(message_edit={"mid": mid, "text": text, "num_edit": num_edit})


def reaction_item(**parts: Json) -> Object:
    reaction = {"mid": MID, "action": "react", "reaction": "love", "emoji": "❤️"}
    return instagram_item(reaction=reaction | parts)


PHOTO_PART: Object = {
    "attachments": [{"type": "image", "payload": {"url": "https://cdn.example/1"}}]
}
UNSEND = direct_message(is_deleted=True)
ECHO = account_item(message={"mid": MID, "text": "¡hola, Ivo!", "is_echo": True})
CHANGES = {
    "edit": edit_item(),
    "unsend": UNSEND,
    "unsent echo": account_item(message={"mid": MID, "is_echo": True, "is_deleted": True}),
    "reaction": reaction_item(),
    "reaction taken back": reaction_item(action="unreact"),
    "our reaction": account_item(reaction={"mid": MID, "action": "react", "emoji": "👍"}),
    "echo": ECHO,
    "echo of a story mention": account_item(
        message={"mid": MID, "is_echo": True, "attachments": [{"type": "story_mention"}]}
    ),
}
"""An item of each kind of change."""


OTHER_ENVELOPES = [delivery_with_change, delivery_with_field, bare_sample]
"""Builders of the envelopes in which an item may come besides `messaging` and `standby`."""


def stored_attachment(**attachment: Json) -> Object:
    """The content of a message with one attachment."""
    return {"attachments": [attachment]}


def parse_all_items(delivery: Json) -> list[ParsedItem]:
    """Parse the entries of a delivery without its envelope."""
    entries = delivery.get("entry", [delivery])
    return [item for entry in entries for item in parse_items(entry, NOON)]
