"""Reads the content of an Instagram message: its kind, the sender's text, and everything else.

Only what the person wrote or tapped is text. Other people wrote the caption of a shared post, the
title of a product and the headline of an ad: these are `content`.
"""

from collections.abc import Iterator, Mapping

from domain.connection import Channel
from interfaces.meta.content_fields import (
    MAX_TEXT_CHARACTERS,
    Content,
    drop_empty,
    keep_small_object,
    pick_texts,
)
from interfaces.meta.json_values import (
    MAX_ID_CHARACTERS,
    Json,
    as_bool,
    as_dict,
    as_list,
    as_message_text,
    as_stripped_text,
)
from interfaces.meta.parsed import IgnoredItem, ItemPart, MessageContent, Verdict

KNOWN_ATTACHMENT_TYPES = {
    "audio",
    "ephemeral",
    "file",
    "ig_post",
    "ig_reel",
    "ig_story",
    "image",
    "like_heart",
    "reel",
    "share",
    "story",
    "story_mention",
    "template",
    "unsupported_type",
    "video",
}

KNOWN_MESSAGE_PARTS = {
    "attachments",
    "is_deleted",
    "is_echo",
    "is_self",
    "is_unsupported",
    "mid",
    "quick_reply",
    "referral",
    "reply_to",
    "text",
}

ATTACHMENT_ID_NAMES = ("sticker_id", "reel_video_id", "ig_post_media_id", "story_media_id")
"""The members of a payload that may hold an attachment's id. The first one present is its id."""

STORY_ID_NAMES = ("story_media_id", "id")


def parse_content(item: Mapping[str, Json]) -> MessageContent:
    """Read the content of an item with a `message`, or with a `postback`.

    The function never raises: it omits a part of another shape than expected.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11.
    """
    message = item.get("message")
    if not isinstance(message, dict):
        return _read_postback(item)
    kind, text = _read_kind_and_text(message)
    attachments = _list_attachments(message)
    mentions = (
        _read_payload(attachment)
        for attachment in attachments
        if _read_type(attachment) == "story_mention"
    )
    reply, payload = as_dict(message.get("reply_to")), _read_quick_reply(message)
    content = drop_empty(
        attachments=[*filter(None, map(_read_attachment, attachments))],
        story=_read_story(next(mentions, {})),
        choice=_make_choice("quick_reply", as_stripped_text(message.get("text")), payload)
        if payload
        else None,
        reply=drop_empty(
            message_id=_pick_first_text(reply, "mid"),
            story=_read_story(as_dict(reply.get("story"))),
        ),
        raw=_keep_unknown(message, kind),
        **_read_referral(message, item),
    )
    return MessageContent(kind, text, content)


def make_ignored_item(verdict: Verdict, part: ItemPart, name: str) -> IgnoredItem:
    """Return the ignored item of Instagram with this name, or with the name `none` for ""."""
    return IgnoredItem(verdict, Channel.INSTAGRAM, part, name or "none")


def list_unknown_parts(item: Mapping[str, Json]) -> Iterator[IgnoredItem]:
    """Yield an ignored item for each attachment type and part of a message that is not known."""
    message = item.get("message")
    if not isinstance(message, dict):
        return
    for attachment_type in map(_read_type, _list_attachments(message)):
        if attachment_type not in KNOWN_ATTACHMENT_TYPES:
            yield make_ignored_item("unknown", "attachment", attachment_type)
    kind, _ = _read_kind_and_text(message)
    if kind == "unknown":
        for name in _pick_unknown_parts(message):
            yield make_ignored_item("unknown", "type", name)


def _read_kind_and_text(message: Mapping[str, Json]) -> tuple[str, str]:
    """Return the kind and the person's text; the text is "" where there is none."""
    if text := as_message_text(message.get("text")):
        return "text", text
    if attachments := _list_attachments(message):
        return _read_type(attachments[0]) or "attachment", ""
    # A quick reply usually has the button's title as its text, beside the payload.
    if payload := _read_quick_reply(message):
        return "text", payload
    return "unsupported" if as_bool(message.get("is_unsupported")) else "unknown", ""


def _read_postback(item: Mapping[str, Json]) -> MessageContent:
    """Read a tap on a button or an ice breaker.

    Source: developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/messaging_postbacks, read 2026-11.
    """
    postback = as_dict(item.get("postback"))
    title, payload = (
        as_stripped_text(postback.get("title")),
        as_stripped_text(postback.get("payload")),
    )
    choice = _make_choice("postback", title, payload)
    return MessageContent(
        "postback", title or payload, {"choice": choice, **_read_referral(postback, item)}
    )


def _make_choice(choice_type: str, title: str, payload: str) -> Content:
    """Return the button that was tapped: its title, and the payload that the business gave it."""
    return drop_empty(
        type=choice_type,
        title=title[:MAX_TEXT_CHARACTERS],
        payload=payload[:MAX_TEXT_CHARACTERS],
    )


def _read_quick_reply(message: Mapping[str, Json]) -> str:
    """Return the payload of a tapped quick reply; "" where there is none."""
    return as_stripped_text(as_dict(message.get("quick_reply")).get("payload"))


def _list_attachments(message: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return [as_dict(attachment) for attachment in as_list(message.get("attachments"))]


def _read_type(attachment: Mapping[str, Json]) -> str:
    """Return the type of an attachment, cut at 512 characters; "" where it has none."""
    return as_stripped_text(attachment.get("type"))[:MAX_ID_CHARACTERS]


def _read_payload(attachment: Mapping[str, Json]) -> Mapping[str, Json]:
    return as_dict(attachment.get("payload"))


def _read_attachment(attachment: Mapping[str, Json]) -> Content:
    """Read one item of `content.attachments`; {} for a story mention, which is `content.story`.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11. The types
    `story` and `ig_story` are not documented; their `story_media_id` was seen in other projects.
    """
    attachment_type, payload = _read_type(attachment), _read_payload(attachment)
    if attachment_type == "story_mention":
        return {}
    elements = (
        _read_element(as_dict(element))
        for template in ("product", "generic")
        for element in as_list(as_dict(payload.get(template)).get("elements"))
    )
    return drop_empty(
        type=attachment_type,
        **pick_texts(payload, "url", "title"),
        id=_pick_first_text(payload, *ATTACHMENT_ID_NAMES),
        elements=[*filter(None, elements)],
    )


def _read_element(element: Mapping[str, Json]) -> Content:
    """Read an element of a template: a product, or one panel of a carousel."""
    names = ("id", "retailer_id", "title", "subtitle")
    return drop_empty(**pick_texts(element, *names), url=_pick_first_text(element, "image_url"))


def _read_story(story: Mapping[str, Json]) -> Content:
    """Read the id and address of a story; {} where it has neither."""
    return drop_empty(
        id=_pick_first_text(story, *STORY_ID_NAMES), url=_pick_first_text(story, "url")
    )


def _read_referral(part: Mapping[str, Json], item: Mapping[str, Json]) -> Content:
    """Read the ad, link or product that a person came from.

    It stands inside the message or postback (`part`), or beside it.

    Source: developers.facebook.com/docs/instagram-messaging/webhooks, read 2026-11.
    """
    referral = as_dict(part.get("referral")) or as_dict(item.get("referral"))
    if not referral:
        return {}
    ad = as_dict(referral.get("ads_context_data"))
    photo, video = _pick_first_text(ad, "photo_url"), _pick_first_text(ad, "video_url")
    source = _pick_first_text(referral, "source") or ("ADS" if referral.get("ad_id") else "")
    return drop_empty(
        referred_product=pick_texts(as_dict(referral.get("product")), "id"),
        referral=drop_empty(
            source_type="ad" if source == "ADS" else source or _pick_first_text(referral, "type"),
            source_id=_pick_first_text(referral, "ad_id"),
            **pick_texts(referral, "ref"),
            headline=_pick_first_text(ad, "ad_title"),
            media_type="image" if photo else "video" if video else "",
            media_url=photo or video,
            **pick_texts(ad, "post_id", "product_id"),
        ),
    )


def _pick_unknown_parts(message: Mapping[str, Json]) -> Content:
    """Return the parts of a message that are not in KNOWN_MESSAGE_PARTS."""
    return {name: part for name, part in message.items() if name not in KNOWN_MESSAGE_PARTS}


def _keep_unknown(message: Mapping[str, Json], kind: str) -> Mapping[str, Json] | None:
    """Return the unknown parts of a message as Meta sent them, if they are small.

    That is the payload of the first unknown attachment; of a message without any known content,
    its unknown parts. Returns None where there is neither.
    """
    if kind == "unknown":
        unknown_parts = _pick_unknown_parts(message)
        return keep_small_object(unknown_parts) if unknown_parts else None
    for attachment in _list_attachments(message):
        if _read_type(attachment) not in KNOWN_ATTACHMENT_TYPES:
            payload = _read_payload(attachment)
            return keep_small_object(payload) if payload else None
    return None


def _pick_first_text(part: Mapping[str, Json], *names: str) -> str:
    """Return the first of the named texts that is there, cut at 4,096 characters; else ""."""
    texts = [as_stripped_text(part.get(name)) for name in names]
    return next(filter(None, texts), "")[:MAX_TEXT_CHARACTERS]
