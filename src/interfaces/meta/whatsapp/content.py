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
    is_shallow,
    present,
    raw,
    texts,
)
from interfaces.meta.json_values import (
    LONGEST_ID,
    Json,
    NotJson,
    flag,
    listed,
    mapping,
    parse,
    text,
    written,
)
from interfaces.meta.parsed import Said

WordsAndContent: TypeAlias = tuple[str, Content]

QUANTITY = re.compile(r"(\d{1,9})(?:\.0+)?", re.ASCII)
PRICE = re.compile(r"\d{1,12}(?:\.\d{1,20})?", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}")
LARGEST_TOTAL = Decimal(10) ** 18


def said(message: Mapping[str, Json]) -> Said:
    """Read any message, also one of tomorrow's type: never raises, and takes what can be taken."""
    kind = text(message.get("type")) or ("text" if "text" in message else "unknown")
    words, content = TYPES.get(kind, _of_tomorrow)(message.get(kind))
    return Said(kind=kind[:LONGEST_ID], words=words, content=content | _beside(message))


def _written(part: Json) -> WordsAndContent:
    return written(mapping(part).get("body")), {}


def _media(part: Json) -> WordsAndContent:
    file = mapping(part)
    media = texts(file, "id", "mime_type", "sha256", "filename", "url")
    media |= {
        name: file[name] for name in ("voice", "animated") if isinstance(file.get(name), bool)
    }
    return text(file.get("caption")), present(media=media)


def _location(part: Json) -> WordsAndContent:
    place = mapping(part)
    location = present(
        latitude=_coordinate(place.get("latitude"), 90),
        longitude=_coordinate(place.get("longitude"), 180),
        **texts(place, "name", "address", "url"),
    )
    return "", present(location=location)


def _contacts(part: Json) -> WordsAndContent:
    cards = [_card(mapping(card)) for card in listed(part)]
    return "", present(contacts=[card for card in cards if card])


def _card(card: Mapping[str, Json]) -> Content:
    name = mapping(card.get("name"))
    parts = (text(name.get(part)) for part in ("first_name", "middle_name", "last_name"))
    full_name = text(name.get("formatted_name")) or " ".join(filter(None, parts))
    return present(
        name=full_name[:LONGEST_TEXT],
        phones=_each(card.get("phones"), "phone", "wa_id", "type"),
        emails=_each(card.get("emails"), "email", "type"),
        org=texts(mapping(card.get("org")), "company", "department", "title"),
        urls=_each(card.get("urls"), "url", "type"),
        addresses=_each(
            card.get("addresses"),
            *("street", "city", "state", "zip", "country", "country_code", "type"),
        ),
        **texts(card, "birthday", "vcard", "origin"),
    )


def _button(part: Json) -> WordsAndContent:
    """Read a tap on a template's quick reply."""
    button = mapping(part)
    title = text(button.get("text"))
    choice = present(title=title[:LONGEST_TEXT], **texts(button, "payload"))
    return title, {"choice": {"type": "button", **choice}} if choice else {}


def _interactive(part: Json) -> WordsAndContent:
    """Read an answer to a message with buttons, a list or a form."""
    interactive = mapping(part)
    for kind in ("button_reply", "list_reply"):
        if choice := texts(mapping(interactive.get(kind)), "id", "title", "description"):
            title = text(mapping(interactive[kind]).get("title"))
            return title, {"choice": {"type": kind, **choice}}
    if flow := _flow(mapping(interactive.get("nfm_reply"))):
        return "", {"flow": flow}
    return _of_tomorrow(part)


def _flow(reply: Mapping[str, Json]) -> Content:
    """Read a form. Its `body` is Meta's word, always "Sent"; the answers are JSON in a string."""
    given = reply.get("response_json")
    answers = given
    if isinstance(given, str):
        try:
            answers = parse(given.encode(errors="replace"))
        except (NotJson, RecursionError):
            answers = None
    name = texts(reply, "name")
    if isinstance(answers, dict | list) and is_shallow(answers):
        return name | present(answers=answers)
    return name | present(raw=text(given)[:LARGEST_RAW])


def _order(part: Json) -> WordsAndContent:
    order = mapping(part)
    items = [mapping(item) for item in listed(order.get("product_items"))]
    quantities = [_quantity(item.get("quantity")) for item in items]
    counted = [quantity for quantity in quantities if quantity is not None]
    is_counted = 0 < len(items) == len(counted)
    words = text(order.get("text"))
    content = present(
        **texts(order, "catalog_id"),
        items=list(filter(None, map(_ordered, items))),
        count=sum(counted) if is_counted else None,
        total=_total(items, counted) if is_counted else None,
        text=words,
    )
    return words, present(order=content)


def _ordered(item: Mapping[str, Json]) -> Content:
    return present(
        **texts(item, "product_retailer_id", "currency"),
        quantity=_scalar(item.get("quantity")),
        item_price=_scalar(item.get("item_price")),
    )


def _total(items: list[Mapping[str, Json]], quantities: list[int]) -> Content | None:
    """Add up, where every price can be read and all are in one currency."""
    prices = [str(_scalar(item.get("item_price"))) for item in items]
    currencies = {text(item.get("currency")).upper() for item in items}
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


def _of_tomorrow(part: Json) -> WordsAndContent:
    """Keep a small part of whatever shape for those who will know what it means."""
    return "", present(raw=raw(part))


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


def _beside(message: Mapping[str, Json]) -> Content:
    """What any message may have beside its own part."""
    if BESIDE.isdisjoint(message):
        return {}
    context = mapping(message.get("context"))
    product = texts(mapping(context.get("referred_product")), "catalog_id", "product_retailer_id")
    reply = present(
        message_id=text(context.get("id"))[:LONGEST_ID],
        **{"from": (text(context.get("from")) or text(context.get("from_user_id")))[:LONGEST_ID]},
    )
    return present(
        # Of a product's page `context.id` names no message that anybody could find.
        reply=None if product else reply,
        forwarded=flag(context.get("forwarded")) or None,
        frequently_forwarded=flag(context.get("frequently_forwarded")) or None,
        referred_product=product,
        referral=_referral(mapping(message.get("referral"))),
        errors=list(filter(None, map(_error, map(mapping, listed(message.get("errors")))))),
        unsupported=texts(mapping(message.get("unsupported")), "type"),
    )


def _referral(referral: Mapping[str, Json]) -> Content:
    """Read the ad or post that led here."""
    images = map(referral.get, ("image_url", "video_url", "thumbnail_url"))
    return present(
        **texts(referral, "source_type", "source_id", "headline", "body", "media_type"),
        click_id=text(referral.get("ctwa_clid"))[:LONGEST_TEXT],
        url=text(referral.get("source_url"))[:LONGEST_TEXT],
        media_url=next(filter(None, map(text, images)), "")[:LONGEST_TEXT],
    )


def _error(error: Mapping[str, Json]) -> Content:
    details = mapping(error.get("error_data")).get("details") or error.get("details")
    return present(
        code=_scalar(error.get("code")),
        **texts(error, "title", "message"),
        details=text(details)[:LONGEST_TEXT],
    )


def _each(part: Json, *names: str) -> list[Content]:
    return [found for item in listed(part) if (found := texts(mapping(item), *names))]


def _scalar(value: Json) -> str | int | float | None:
    """The number, or the string; Meta writes quantities, prices and codes as either."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return text(value)[:LONGEST_TEXT] or None


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
