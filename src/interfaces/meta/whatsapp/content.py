"""Reads the content of a WhatsApp message: its kind, the sender's text, and everything else.

`docs/MESSAGES.md` lists the result for every type. Only what the person wrote or chose is text. The
headline of an ad, the name of a file or a place, and the description of a list's row are `content`.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from babel.numbers import get_currency_precision

from interfaces.meta.content_fields import (
    MAX_TEXT_CHARACTERS,
    Content,
    drop_empty,
    is_shallow,
    keep_small_object,
    pick_texts,
)
from interfaces.meta.json_values import (
    MAX_ID_CHARACTERS,
    Json,
    NotJson,
    as_bool,
    as_dict,
    as_list,
    as_message_text,
    as_stripped_text,
    parse_json,
)
from interfaces.meta.parsed import MessageContent

TextAndContent: TypeAlias = tuple[str, Content]

MAX_RAW_ANSWERS_CHARACTERS = 8000
"""The maximum length of a form's answers that cannot be read. Longer answers are cut here."""

QUANTITY_PATTERN = re.compile(r"(\d{1,9})(?:\.0+)?", re.ASCII)
PRICE_PATTERN = re.compile(r"\d{1,12}(?:\.\d{1,20})?", re.ASCII)
CURRENCY_PATTERN = re.compile(r"[A-Z]{3}")
MAX_TOTAL_AMOUNT = Decimal(10) ** 18
"""An order has no total from this amount on."""

MAX_LATITUDE_DEGREES = 90
MAX_LONGITUDE_DEGREES = 180


def parse_content(message: Mapping[str, Json]) -> MessageContent:
    """Read the content of a message of any type, also of one that this version does not know.

    The function never raises: it omits a part of another shape than expected.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages, read 2026-11.
    """
    kind = as_stripped_text(message.get("type")) or ("text" if "text" in message else "unknown")
    text, content = READERS_BY_TYPE.get(kind, _read_unknown_type)(message.get(kind))
    return MessageContent(
        kind=kind[:MAX_ID_CHARACTERS], text=text, content=content | _read_common_parts(message)
    )


def _read_text(part: Json) -> TextAndContent:
    """Read a text.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text, read 2026-11.
    """
    return as_message_text(as_dict(part).get("body")), {}


def _read_media(part: Json) -> TextAndContent:
    """Read an image, video, document, audio or sticker; the caption is the text.

    `voice` is a type of older deliveries; newer ones have `audio` with `voice: true`.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/image
    and its siblings /video, /document, /audio and /sticker, read 2026-11.
    """
    file = as_dict(part)
    media = pick_texts(file, "id", "mime_type", "sha256", "filename", "url")
    media |= {
        name: file[name] for name in ("voice", "animated") if isinstance(file.get(name), bool)
    }
    return as_stripped_text(file.get("caption")), drop_empty(media=media)


def _read_location(part: Json) -> TextAndContent:
    """Read a location.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/location, read 2026-11.
    """
    place = as_dict(part)
    location = drop_empty(
        latitude=_as_degrees(place.get("latitude"), MAX_LATITUDE_DEGREES),
        longitude=_as_degrees(place.get("longitude"), MAX_LONGITUDE_DEGREES),
        **pick_texts(place, "name", "address", "url"),
    )
    return "", drop_empty(location=location)


def _read_contacts(part: Json) -> TextAndContent:
    """Read the contact cards that a person sent.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/contacts, read 2026-11.
    """
    cards = [_read_contact_card(as_dict(card)) for card in as_list(part)]
    return "", drop_empty(contacts=[card for card in cards if card])


def _read_contact_card(card: Mapping[str, Json]) -> Content:
    """Read one card; {} for a card without any known part."""
    name = as_dict(card.get("name"))
    name_parts = (
        as_stripped_text(name.get(part)) for part in ("first_name", "middle_name", "last_name")
    )
    full_name = as_stripped_text(name.get("formatted_name")) or " ".join(filter(None, name_parts))
    return drop_empty(
        name=full_name[:MAX_TEXT_CHARACTERS],
        phones=_pick_texts_of_each(card.get("phones"), "phone", "wa_id", "type"),
        emails=_pick_texts_of_each(card.get("emails"), "email", "type"),
        org=pick_texts(as_dict(card.get("org")), "company", "department", "title"),
        urls=_pick_texts_of_each(card.get("urls"), "url", "type"),
        addresses=_pick_texts_of_each(
            card.get("addresses"),
            "street",
            "city",
            "state",
            "zip",
            "country",
            "country_code",
            "type",
        ),
        **pick_texts(card, "birthday", "vcard", "origin"),
    )


def _read_button(part: Json) -> TextAndContent:
    """Read a tap on a quick reply of a template.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/button, read 2026-11.
    """
    button = as_dict(part)
    title = as_stripped_text(button.get("text"))
    choice = drop_empty(title=title[:MAX_TEXT_CHARACTERS], **pick_texts(button, "payload"))
    return title, {"choice": {"type": "button", **choice}} if choice else {}


def _read_interactive(part: Json) -> TextAndContent:
    """Read an answer to a message with buttons, a list or a form, or a product of the catalogue.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/interactive, read 2026-11.
    """
    interactive = as_dict(part)
    for reply_type in ("button_reply", "list_reply"):
        reply = as_dict(interactive.get(reply_type))
        if choice := pick_texts(reply, "id", "title", "description"):
            return as_stripped_text(reply.get("title")), {"choice": {"type": reply_type, **choice}}
    if flow := _read_flow_reply(as_dict(interactive.get("nfm_reply"))):
        return "", {"flow": flow}
    if products := _read_products(interactive):
        return as_message_text(as_dict(interactive.get("body")).get("text")), products
    return _read_unknown_type(part)


def _read_products(interactive: Mapping[str, Json]) -> Content:
    """Read the product of an interactive message as `referred_product`, several as `order`.

    They stand in `product` or, as in messages of the business, in `action`; several stand in the
    `product_items` of its `sections`. Returns {} where there is none.

    Sources, read 2026-11:
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/interactive
    developers.facebook.com/documentation/business-messaging/whatsapp/catalogs/single-product-messages
    """
    names = (as_stripped_text(interactive.get("type")), "product", "action")
    parts = [*(as_dict(interactive.get(name)) for name in names), interactive]
    for part in parts:
        product = pick_texts(part, "catalog_id", "product_retailer_id")
        if "product_retailer_id" in product:
            return {"referred_product": product}
    for part in parts:
        groups = [part, *map(as_dict, as_list(part.get("sections")))]
        items = [item for group in groups for item in as_list(group.get("product_items"))]
        order = _read_order({"catalog_id": part.get("catalog_id"), "product_items": items})[1]
        if "items" in order.get("order", {}):
            return order
    return {}


def _read_flow_reply(reply: Mapping[str, Json]) -> Content:
    """Read a form that a person filled in. The answers are JSON inside a string.

    The form's `body` is not the person's text: Meta always writes "Sent". Answers that cannot be
    read, or are nested too deep, are kept as text.

    Source: developers.facebook.com/docs/whatsapp/flows/reference/responsemsgwebhook, read 2026-11.
    """
    response = reply.get("response_json")
    answers = response
    if isinstance(response, str):
        try:
            answers = parse_json(response.encode(errors="replace"))
        except (NotJson, RecursionError):
            answers = None
    name = pick_texts(reply, "name")
    if isinstance(answers, dict | list) and is_shallow(answers):
        return name | drop_empty(answers=answers)
    return name | drop_empty(raw=as_stripped_text(response)[:MAX_RAW_ANSWERS_CHARACTERS])


def _read_order(part: Json) -> TextAndContent:
    """Read an order of products; the text is what the person wrote beside it.

    `count` is there where every quantity can be read, `total` where every price can be read too and
    all are in one currency.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/order, read 2026-11.
    """
    order = as_dict(part)
    items = [as_dict(item) for item in as_list(order.get("product_items"))]
    quantities = [_as_quantity(item.get("quantity")) for item in items]
    known_quantities = [quantity for quantity in quantities if quantity is not None]
    is_countable = 0 < len(items) == len(known_quantities)
    text = as_stripped_text(order.get("text"))
    content = drop_empty(
        **pick_texts(order, "catalog_id"),
        items=list(filter(None, map(_read_product_item, items))),
        count=sum(known_quantities) if is_countable else None,
        total=_compute_total(items, known_quantities) if is_countable else None,
        text=text,
    )
    return text, drop_empty(order=content)


def _read_product_item(item: Mapping[str, Json]) -> Content:
    """Read one item of an order, with quantity and price as Meta wrote them."""
    return drop_empty(
        **pick_texts(item, "product_retailer_id", "currency"),
        quantity=_as_number_or_text(item.get("quantity")),
        item_price=_as_number_or_text(item.get("item_price")),
    )


def _compute_total(items: list[Mapping[str, Json]], quantities: list[int]) -> Content | None:
    """Return amount and currency of all items; None unless all prices are in one currency."""
    prices = [str(_as_number_or_text(item.get("item_price"))) for item in items]
    currencies = {as_stripped_text(item.get("currency")).upper() for item in items}
    currency = currencies.pop()
    if (
        currencies
        or not CURRENCY_PATTERN.fullmatch(currency)
        or not all(map(PRICE_PATTERN.fullmatch, prices))
    ):
        return None
    lines = zip(prices, quantities, strict=True)
    total = sum((Decimal(price) * quantity for price, quantity in lines), Decimal())
    if total >= MAX_TOTAL_AMOUNT:
        return None
    return {"amount": f"{total:.{get_currency_precision(currency)}f}", "currency": currency}


def _read_content_without_own_part(_: Json) -> TextAndContent:
    """Read a type whose content stands beside its own part: see `_read_common_parts`.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/unsupported, read 2026-11.
    The type `errors` is not documented; it is in the type unions of SDKs.
    """
    return "", {}


def _read_unknown_type(part: Json) -> TextAndContent:
    """Keep the part of a type that this version does not know as Meta sent it, if it is small."""
    return "", drop_empty(raw=keep_small_object(part))


READERS_BY_TYPE: Mapping[str, Callable[[Json], TextAndContent]] = {
    "audio": _read_media,
    "button": _read_button,
    "contacts": _read_contacts,
    "document": _read_media,
    "errors": _read_content_without_own_part,
    "image": _read_media,
    "interactive": _read_interactive,
    "location": _read_location,
    "order": _read_order,
    "request_welcome": _read_content_without_own_part,
    "sticker": _read_media,
    "text": _read_text,
    "unknown": _read_content_without_own_part,
    "unsupported": _read_content_without_own_part,
    "video": _read_media,
    "voice": _read_media,
}
"""The reader of the part that has the same name as the message's type."""

COMMON_PARTS = {
    "context",
    "errors",
    "referral",
    "unsupported",
}


def _read_common_parts(message: Mapping[str, Json]) -> Content:
    """Read COMMON_PARTS, which a message of any type may have beside its own part.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text, read 2026-11.
    """
    if COMMON_PARTS.isdisjoint(message):
        return {}
    context = as_dict(message.get("context"))
    product = pick_texts(
        as_dict(context.get("referred_product")), "catalog_id", "product_retailer_id"
    )
    author = as_stripped_text(context.get("from")) or as_stripped_text(context.get("from_user_id"))
    reply = drop_empty(
        message_id=as_stripped_text(context.get("id"))[:MAX_ID_CHARACTERS],
        **{"from": author[:MAX_ID_CHARACTERS]},
    )
    return drop_empty(
        # Beside a product, `context.id` is not the id of a message.
        reply=None if product else reply,
        forwarded=as_bool(context.get("forwarded")) or None,
        frequently_forwarded=as_bool(context.get("frequently_forwarded")) or None,
        referred_product=product,
        referral=_read_referral(as_dict(message.get("referral"))),
        errors=list(filter(None, map(_read_error, map(as_dict, as_list(message.get("errors")))))),
        unsupported=pick_texts(as_dict(message.get("unsupported")), "type"),
    )


def _read_referral(referral: Mapping[str, Json]) -> Content:
    """Read the ad or post that a person came from.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text, read 2026-11.
    """
    media_urls = map(referral.get, ("image_url", "video_url", "thumbnail_url"))
    return drop_empty(
        **pick_texts(referral, "source_type", "source_id", "headline", "body", "media_type"),
        click_id=as_stripped_text(referral.get("ctwa_clid"))[:MAX_TEXT_CHARACTERS],
        url=as_stripped_text(referral.get("source_url"))[:MAX_TEXT_CHARACTERS],
        media_url=next(filter(None, map(as_stripped_text, media_urls)), "")[:MAX_TEXT_CHARACTERS],
    )


def _read_error(error: Mapping[str, Json]) -> Content:
    """Read one error that Meta reports about a message.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/unsupported, read 2026-11.
    """
    details = as_dict(error.get("error_data")).get("details") or error.get("details")
    return drop_empty(
        code=_as_number_or_text(error.get("code")),
        **pick_texts(error, "title", "message"),
        details=as_stripped_text(details)[:MAX_TEXT_CHARACTERS],
    )


def _pick_texts_of_each(items: Json, *names: str) -> list[Content]:
    """Return the named texts of each object of a list, without the objects that have none."""
    return [texts for item in as_list(items) if (texts := pick_texts(as_dict(item), *names))]


def _as_number_or_text(value: Json) -> str | int | float | None:
    """Return a number, or a string cut at 4,096 characters; None for other types.

    Meta writes quantities, prices and error codes as either.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return as_stripped_text(value)[:MAX_TEXT_CHARACTERS] or None


def _as_quantity(value: Json) -> int | None:
    """Return a whole number of up to nine digits; None for everything else."""
    match = QUANTITY_PATTERN.fullmatch(str(_as_number_or_text(value)))
    return int(match[1]) if match else None


def _as_degrees(value: Json, max_degrees: int) -> float | None:
    """Return a number between plus and minus `max_degrees`; None for everything else."""
    number = _as_number_or_text(value)
    try:
        degrees = float("" if number is None else number)
    except (ValueError, OverflowError):
        return None
    return degrees if -max_degrees <= degrees <= max_degrees else None
