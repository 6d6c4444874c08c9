"""What a WhatsApp message says and carries, for every type of Meta's reference "messages".

`docs/MESSAGES.md` lists the outcome. An ad's headline, a file's name, a place's name and a list's
description are content: only what the person wrote or chose are their words.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from babel.numbers import get_currency_precision

from interfaces.meta.content_fields import (
    LARGEST_RAW,
    LONGEST_TEXT,
    Content,
    drop_empty,
    is_shallow,
    pick_texts,
    raw,
)
from interfaces.meta.json_values import (
    LONGEST_ID,
    Json,
    NotJson,
    as_bool,
    as_dict,
    as_id_text,
    as_list,
    as_message_text,
    parse_json,
)
from interfaces.meta.parsed import MessageContent

WordsAndContent: TypeAlias = tuple[str, Content]

QUANTITY = re.compile(r"(\d{1,9})(?:\.0+)?", re.ASCII)
PRICE = re.compile(r"\d{1,12}(?:\.\d{1,20})?", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}")
LARGEST_TOTAL = Decimal(10) ** 18


def parse_content(message: Mapping[str, Json]) -> MessageContent:
    """Read any message, also one of tomorrow's type: never raises, and takes what can be taken."""
    kind = as_id_text(message.get("type")) or ("text" if "text" in message else "unknown")
    words, content = TYPES.get(kind, _unknown_type)(message.get(kind))
    return MessageContent(
        kind=kind[:LONGEST_ID], text=words, content=content | _common_parts(message)
    )


def _written(part: Json) -> WordsAndContent:
    return as_message_text(as_dict(part).get("body")), {}


def _media(part: Json) -> WordsAndContent:
    file = as_dict(part)
    media = pick_texts(file, "id", "mime_type", "sha256", "filename", "url")
    media |= {
        name: file[name] for name in ("voice", "animated") if isinstance(file.get(name), bool)
    }
    return as_id_text(file.get("caption")), drop_empty(media=media)


def _location(part: Json) -> WordsAndContent:
    place = as_dict(part)
    location = drop_empty(
        latitude=_coordinate(place.get("latitude"), 90),
        longitude=_coordinate(place.get("longitude"), 180),
        **pick_texts(place, "name", "address", "url"),
    )
    return "", drop_empty(location=location)


def _contacts(part: Json) -> WordsAndContent:
    cards = [_card(as_dict(card)) for card in as_list(part)]
    return "", drop_empty(contacts=[card for card in cards if card])


def _card(card: Mapping[str, Json]) -> Content:
    name = as_dict(card.get("name"))
    parts = (as_id_text(name.get(part)) for part in ("first_name", "middle_name", "last_name"))
    full_name = as_id_text(name.get("formatted_name")) or " ".join(filter(None, parts))
    return drop_empty(
        name=full_name[:LONGEST_TEXT],
        phones=_each(card.get("phones"), "phone", "wa_id", "type"),
        emails=_each(card.get("emails"), "email", "type"),
        org=pick_texts(as_dict(card.get("org")), "company", "department", "title"),
        urls=_each(card.get("urls"), "url", "type"),
        addresses=_each(
            card.get("addresses"),
            *("street", "city", "state", "zip", "country", "country_code", "type"),
        ),
        **pick_texts(card, "birthday", "vcard", "origin"),
    )


def _button(part: Json) -> WordsAndContent:
    """Read a tap on a template's quick reply."""
    button = as_dict(part)
    title = as_id_text(button.get("text"))
    choice = drop_empty(title=title[:LONGEST_TEXT], **pick_texts(button, "payload"))
    return title, {"choice": {"type": "button", **choice}} if choice else {}


def _interactive(part: Json) -> WordsAndContent:
    """Read an answer to a message with buttons, a list or a form."""
    interactive = as_dict(part)
    for kind in ("button_reply", "list_reply"):
        if choice := pick_texts(as_dict(interactive.get(kind)), "id", "title", "description"):
            title = as_id_text(as_dict(interactive[kind]).get("title"))
            return title, {"choice": {"type": kind, **choice}}
    if flow := _flow(as_dict(interactive.get("nfm_reply"))):
        return "", {"flow": flow}
    return _unknown_type(part)


def _flow(reply: Mapping[str, Json]) -> Content:
    """Read a form. Its `body` is Meta's word, always "Sent"; the answers are JSON in a string."""
    given = reply.get("response_json")
    answers = given
    if isinstance(given, str):
        try:
            answers = parse_json(given.encode(errors="replace"))
        except (NotJson, RecursionError):
            answers = None
    name = pick_texts(reply, "name")
    if isinstance(answers, dict | list) and is_shallow(answers):
        return name | drop_empty(answers=answers)
    return name | drop_empty(raw=as_id_text(given)[:LARGEST_RAW])


def _order(part: Json) -> WordsAndContent:
    order = as_dict(part)
    items = [as_dict(item) for item in as_list(order.get("product_items"))]
    quantities = [_quantity(item.get("quantity")) for item in items]
    counted = [quantity for quantity in quantities if quantity is not None]
    is_counted = 0 < len(items) == len(counted)
    words = as_id_text(order.get("text"))
    content = drop_empty(
        **pick_texts(order, "catalog_id"),
        items=list(filter(None, map(_ordered, items))),
        count=sum(counted) if is_counted else None,
        total=_total(items, counted) if is_counted else None,
        text=words,
    )
    return words, drop_empty(order=content)


def _ordered(item: Mapping[str, Json]) -> Content:
    return drop_empty(
        **pick_texts(item, "product_retailer_id", "currency"),
        quantity=_scalar(item.get("quantity")),
        item_price=_scalar(item.get("item_price")),
    )


def _total(items: list[Mapping[str, Json]], quantities: list[int]) -> Content | None:
    """Add up, where every price can be read and all are in one currency."""
    prices = [str(_scalar(item.get("item_price"))) for item in items]
    currencies = {as_id_text(item.get("currency")).upper() for item in items}
    currency = currencies.pop()
    if currencies or not CURRENCY.fullmatch(currency) or not all(map(PRICE.fullmatch, prices)):
        return None
    lines = zip(prices, quantities, strict=True)
    total = sum((Decimal(price) * quantity for price, quantity in lines), Decimal())
    if total >= LARGEST_TOTAL:
        return None
    return {"amount": f"{total:.{get_currency_precision(currency)}f}", "currency": currency}


def _without_part(_: Json) -> WordsAndContent:
    return "", {}


def _unknown_type(part: Json) -> WordsAndContent:
    """Keep a small part of whatever shape for those who will know what it means."""
    return "", drop_empty(raw=raw(part))


TYPES: Mapping[str, Callable[[Json], WordsAndContent]] = {
    "text": _written,
    **dict.fromkeys(("image", "video", "document", "audio", "voice", "sticker"), _media),
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "order": _order,
    # What these have stands beside the part that is named after the type: see `_beside`.
    **dict.fromkeys(("unsupported", "unknown", "errors", "request_welcome"), _without_part),
}
"""How the part named after the type is read."""


BESIDE = {"context", "referral", "errors", "unsupported"}


def _common_parts(message: Mapping[str, Json]) -> Content:
    """What any message may have beside its own part."""
    if BESIDE.isdisjoint(message):
        return {}
    context = as_dict(message.get("context"))
    product = pick_texts(
        as_dict(context.get("referred_product")), "catalog_id", "product_retailer_id"
    )
    reply = drop_empty(
        message_id=as_id_text(context.get("id"))[:LONGEST_ID],
        **{
            "from": (as_id_text(context.get("from")) or as_id_text(context.get("from_user_id")))[
                :LONGEST_ID
            ]
        },
    )
    return drop_empty(
        # Of a product's page `context.id` names no message that anybody could find.
        reply=None if product else reply,
        forwarded=as_bool(context.get("forwarded")) or None,
        frequently_forwarded=as_bool(context.get("frequently_forwarded")) or None,
        referred_product=product,
        referral=_referral(as_dict(message.get("referral"))),
        errors=list(filter(None, map(_error, map(as_dict, as_list(message.get("errors")))))),
        unsupported=pick_texts(as_dict(message.get("unsupported")), "type"),
    )


def _referral(referral: Mapping[str, Json]) -> Content:
    """Read the ad or post that led here."""
    images = map(referral.get, ("image_url", "video_url", "thumbnail_url"))
    return drop_empty(
        **pick_texts(referral, "source_type", "source_id", "headline", "body", "media_type"),
        click_id=as_id_text(referral.get("ctwa_clid"))[:LONGEST_TEXT],
        url=as_id_text(referral.get("source_url"))[:LONGEST_TEXT],
        media_url=next(filter(None, map(as_id_text, images)), "")[:LONGEST_TEXT],
    )


def _error(error: Mapping[str, Json]) -> Content:
    details = as_dict(error.get("error_data")).get("details") or error.get("details")
    return drop_empty(
        code=_scalar(error.get("code")),
        **pick_texts(error, "title", "message"),
        details=as_id_text(details)[:LONGEST_TEXT],
    )


def _each(part: Json, *names: str) -> list[Content]:
    return [found for item in as_list(part) if (found := pick_texts(as_dict(item), *names))]


def _scalar(value: Json) -> str | int | float | None:
    """The number, or the string; Meta writes quantities, prices and codes as either."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return as_id_text(value)[:LONGEST_TEXT] or None


def _quantity(value: Json) -> int | None:
    found = QUANTITY.fullmatch(str(_scalar(value)))
    return int(found[1]) if found else None


def _coordinate(value: Json, largest: int) -> float | None:
    scalar = _scalar(value)
    try:
        degrees = float("" if scalar is None else scalar)
    except (ValueError, OverflowError):
        return None
    return degrees if -largest <= degrees <= largest else None
