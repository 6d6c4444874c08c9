"""What an Instagram message says: the person's own words, and everything else it carries.

A shared post's caption, a product's title and an ad's headline were written by others: they are
content, never words.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from domain.connection import Channel
from interfaces.meta.content_fields import LONGEST_TEXT, Content, drop_empty, pick_texts, raw
from interfaces.meta.json_values import (
    LONGEST_ID,
    Json,
    as_bool,
    as_dict,
    as_id_text,
    as_list,
    as_message_text,
)
from interfaces.meta.parsed import IgnoredItem, MessageContent

ATTACHMENTS = {
    *("image", "video", "audio", "file", "like_heart", "ephemeral", "unsupported_type"),
    *("share", "ig_post", "ig_reel", "reel", "story", "ig_story", "story_mention", "template"),
}
"""The types Meta is known to send."""

MESSAGE_PARTS = {
    *("mid", "text", "attachments", "quick_reply", "reply_to", "referral"),
    *("is_echo", "is_deleted", "is_self", "is_unsupported"),
}
"""What is known to stand in a message."""

ATTACHMENT_IDS = ("sticker_id", "reel_video_id", "ig_post_media_id", "story_media_id")
STORY_IDS = ("story_media_id", "id")


def parse_content(event: Mapping[str, Json]) -> MessageContent:
    """Read an item that has a `message`, or a `postback`: somebody tapped a button."""
    message = event.get("message")
    if not isinstance(message, dict):
        return _tapped(event)
    kind, words = _kind_and_words(message)
    attachments = _attachments(message)
    mentions = (_payload(a) for a in attachments if _type(a) == "story_mention")
    reply, payload = as_dict(message.get("reply_to")), _quick_reply(message)
    content = drop_empty(
        attachments=[*filter(None, map(_attachment, attachments))],
        story=_story(next(mentions, {})),
        choice=_choice("quick_reply", as_id_text(message.get("text")), payload)
        if payload
        else None,
        reply=drop_empty(
            message_id=_first(reply, "mid"), story=_story(as_dict(reply.get("story")))
        ),
        raw=_raw(message, kind),
        **_origin(message, event),
    )
    return MessageContent(kind, words, content)


def unknown(part: Literal["field", "event", "type", "attachment"], name: str) -> IgnoredItem:
    """What Meta has added since, or nonsense."""
    return IgnoredItem("unknown", Channel.INSTAGRAM, part, name or "none")


def unknown_parts(event: Mapping[str, Json]) -> Iterator[IgnoredItem]:
    """What the item's message consists of, where nobody knows it."""
    message = event.get("message")
    if not isinstance(message, dict):
        return
    for kind in map(_type, _attachments(message)):
        if kind not in ATTACHMENTS:
            yield unknown("attachment", kind)
    if _kind_and_words(message)[0] == "unknown":
        for name in _unknown_parts(message):
            yield unknown("type", name)


def _kind_and_words(message: Mapping[str, Json]) -> tuple[str, str]:
    if words := as_message_text(message.get("text")):
        return "text", words
    if attachments := _attachments(message):
        return _type(attachments[0]) or "attachment", ""
    # Normally the text is the button's title, beside the payload.
    if payload := _quick_reply(message):
        return "text", payload
    return "unsupported" if as_bool(message.get("is_unsupported")) else "unknown", ""


def _tapped(event: Mapping[str, Json]) -> MessageContent:
    postback = as_dict(event.get("postback"))
    title, payload = as_id_text(postback.get("title")), as_id_text(postback.get("payload"))
    choice = _choice("postback", title, payload)
    return MessageContent(
        "postback", title or payload, {"choice": choice, **_origin(postback, event)}
    )


def _choice(kind: str, title: str, payload: str) -> Content:
    """What the button says, and what it stands for."""
    return drop_empty(type=kind, title=title[:LONGEST_TEXT], payload=payload[:LONGEST_TEXT])


def _quick_reply(message: Mapping[str, Json]) -> str:
    return as_id_text(as_dict(message.get("quick_reply")).get("payload"))


def _attachments(message: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return [as_dict(attachment) for attachment in as_list(message.get("attachments"))]


def _type(attachment: Mapping[str, Json]) -> str:
    return as_id_text(attachment.get("type"))[:LONGEST_ID]


def _payload(attachment: Mapping[str, Json]) -> Mapping[str, Json]:
    return as_dict(attachment.get("payload"))


def _attachment(attachment: Mapping[str, Json]) -> Content:
    """One of `content.attachments`; empty for a story mention, which is `content.story`."""
    kind, payload = _type(attachment), _payload(attachment)
    if kind == "story_mention":
        return {}
    elements = (
        _element(as_dict(element))
        for template in ("product", "generic")
        for element in as_list(as_dict(payload.get(template)).get("elements"))
    )
    return drop_empty(
        type=kind,
        **pick_texts(payload, "url", "title"),
        id=_first(payload, *ATTACHMENT_IDS),
        elements=[*filter(None, elements)],
    )


def _element(element: Mapping[str, Json]) -> Content:
    """A product, or one card of a carousel."""
    names = ("id", "retailer_id", "title", "subtitle")
    return drop_empty(**pick_texts(element, *names), url=_first(element, "image_url"))


def _story(story: Mapping[str, Json]) -> Content:
    return drop_empty(id=_first(story, *STORY_IDS), url=_first(story, "url"))


def _origin(part: Mapping[str, Json], event: Mapping[str, Json]) -> Content:
    """The ad, link or product that made them write; it may also stand beside the message."""
    referral = as_dict(part.get("referral")) or as_dict(event.get("referral"))
    if not referral:
        return {}
    ad = as_dict(referral.get("ads_context_data"))
    photo, video = _first(ad, "photo_url"), _first(ad, "video_url")
    source = _first(referral, "source") or ("ADS" if referral.get("ad_id") else "")
    return drop_empty(
        referred_product=pick_texts(as_dict(referral.get("product")), "id"),
        referral=drop_empty(
            source_type="ad" if source == "ADS" else source or _first(referral, "type"),
            source_id=_first(referral, "ad_id"),
            **pick_texts(referral, "ref"),
            headline=_first(ad, "ad_title"),
            media_type="image" if photo else "video" if video else "",
            media_url=photo or video,
            **pick_texts(ad, "post_id", "product_id"),
        ),
    )


def _unknown_parts(message: Mapping[str, Json]) -> Content:
    return {name: part for name, part in message.items() if name not in MESSAGE_PARTS}


def _raw(message: Mapping[str, Json], kind: str) -> Mapping[str, Json] | None:
    """As it came, where nobody knows what it is, unless it is large."""
    found = next((_payload(a) for a in _attachments(message) if _type(a) not in ATTACHMENTS), {})
    if kind == "unknown":
        found = _unknown_parts(message)
    return raw(found) if found else None


def _first(part: Mapping[str, Json], *names: str) -> str:
    """The first that is there, or nothing."""
    return next(filter(None, [as_id_text(part.get(name)) for name in names]), "")[:LONGEST_TEXT]
