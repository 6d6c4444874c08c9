"""Reads changes of messages and contacts: edits, unsends, reactions, echoes, consent, new ids."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from domain.change import ChangeKind, IncomingChange
from domain.contact import Identity, Sender
from domain.message import Direction
from interfaces.meta.content_fields import MAX_EMOJI_CHARACTERS
from interfaces.meta.json_values import (
    MAX_ID_CHARACTERS,
    as_dict,
    as_stripped_text,
    read_or_derive_id,
)
from interfaces.meta.parsed import IgnoredItem
from interfaces.meta.whatsapp.content import parse_content
from interfaces.meta.whatsapp.items import (
    USER_ID_PATTERN,
    ChangeItem,
    ContactIds,
    list_identities,
    make_ignored_item,
    read_contact_ids,
)
from interfaces.meta.whatsapp.phone_numbers import extract_digits

MESSAGE_CHANGE_TYPES = {
    "edit",
    "reaction",
    "revoke",
}
"""The types of items that change another message, which they name."""

CONSENT_BY_VALUE = {"stop": False, "resume": True}

OLD_AND_NEW_ID_PATTERN = re.compile(r" from (\S+) to \S+$")
"""Matches the end of the English text of a system message; group 1 is the old id.

The name of the contact stands before it, so only the end of the text can be trusted.
"""


def read_message_change(item: ChangeItem, by: Direction) -> IncomingChange | IgnoredItem:
    """Read an item of MESSAGE_CHANGE_TYPES; `by` is the side that changed the message.

    Sources, read 2026-11:
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/edit
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/revoke
    developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/reaction
    """
    part = as_dict(item.parts.get(item.type))
    if item.type == "reaction":
        # A reaction that is taken back has no emoji, or an empty one.
        emoji = as_stripped_text(part.get("emoji"))[:MAX_EMOJI_CHARACTERS] or None
        content = {"emoji": emoji, "by": by}
        message_id = as_stripped_text(part.get("message_id"))
        return _make_change(item, ChangeKind.REACTION, content, message_id=message_id)
    message_id = as_stripped_text(part.get("original_message_id"))
    if item.type == "revoke":
        return _make_change(item, ChangeKind.UNSEND, {"body": ""}, message_id=message_id)
    message = as_dict(part.get("message"))
    if not message:
        return make_ignored_item("unknown", "event", "edit without text")
    edited = parse_content(message)
    kind_of_placeholder = {} if edited.text else {"kind": edited.kind}
    content = {"body": edited.text, **kind_of_placeholder}
    return _make_change(item, ChangeKind.EDIT, content, message_id=message_id)


def read_echo(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read a message that the business itself sent, in WhatsApp's app or over the API.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes, read 2026-11.
    """
    if not isinstance(item.json, dict) or item.type == "system":
        return make_ignored_item("unknown", "event", "echo without message")
    message = parse_content(item.parts)
    content = {"kind": message.kind, "body": message.text, "content": message.content}
    return _make_change(item, ChangeKind.ECHO, content, identities=item.identities)


def read_consent(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read that a contact stopped or resumed marketing messages.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/user_preferences, read 2026-11.
    """
    value, category = (
        as_stripped_text(item.parts.get("value")),
        as_stripped_text(item.parts.get("category")),
    )
    if category not in {"", "marketing_messages"} or value not in CONSENT_BY_VALUE:
        return make_ignored_item(
            "unknown", "event", f"{item.list_name}: {category} {value}".strip()
        )
    content = {"marketing": CONSENT_BY_VALUE[value]}
    return _make_change(item, ChangeKind.CONSENT, content, identities=item.identities)


def read_system_message(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read that a contact has another phone number or user id.

    The old ids stand in `from` and `from_user_id`, in `customer` (older deliveries), in
    `previous_user_id` and `previous_parent_user_id` (since August 2026), or in the English text
    only; the new ids in `wa_id` (older deliveries: `new_wa_id`), `user_id` and `parent_user_id`.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system, read 2026-11.
    """
    system = as_dict(item.parts.get("system"))
    match as_stripped_text(system.get("type")):
        case "user_changed_number" | "customer_changed_number" | "user_changed_user_id":
            new_phone = as_stripped_text(system.get("wa_id")) or as_stripped_text(
                system.get("new_wa_id")
            )
            new = list_identities(read_contact_ids(system)._replace(phone=new_phone))
            old = [
                item.identities,
                list_identities(
                    ContactIds.read(
                        system, "customer", "previous_user_id", "previous_parent_user_id"
                    )
                ),
                list_identities(
                    ContactIds(phone=_find_old_id(as_stripped_text(system.get("body"))))
                ),
            ]
            old_identities = [identity for identities in old for identity in identities]
            return _make_identity_change(item, new, old_identities)
        case "customer_identity_changed":
            return make_ignored_item("ignored", "event", "customer_identity_changed")
        case system_type:
            return make_ignored_item("unknown", "event", f"system: {system_type or 'none'}")


def _find_old_id(body: str) -> str:
    """Return the old phone number or user id in a system message's text; "" if there is none."""
    match = OLD_AND_NEW_ID_PATTERN.search(body)
    if match and (USER_ID_PATTERN.fullmatch(match[1]) or extract_digits(match[1])):
        return match[1]
    return ""


def read_user_id_update(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read that a contact has another user id, from the field `user_id_update`.

    Meta's changelog of 2026-08-11 says that apps cannot subscribe to this field: the change comes
    as a system message.

    Source: developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids, read 2026-11.
    """
    user = as_dict(item.parts.get("user_id"))
    parent = as_dict(item.parts.get("parent_user_id"))

    def read_ids(name: str) -> ContactIds:
        return ContactIds(
            user=as_stripped_text(user.get(name)), parent=as_stripped_text(parent.get(name))
        )

    old = list_identities(item.ids, read_ids("previous"), item.contact.ids)
    return _make_identity_change(item, list_identities(read_ids("current")), old)


def _make_identity_change(
    item: ChangeItem, new: tuple[Identity, ...], old: Iterable[Identity]
) -> IncomingChange | IgnoredItem:
    """Return the change from the old identities of a contact to the new ones.

    Identities that are both old and new identify the contact only where nothing else does.
    """
    known = tuple(dict.fromkeys(old))
    replaced = tuple(identity for identity in known if identity not in new) or known
    if not new:
        return make_ignored_item("unknown", "event", f"{ChangeKind.IDENTITY} without a new one")
    content = {"identities": [list(identity) for identity in new]}
    return _make_change(item, ChangeKind.IDENTITY, content, identities=replaced)


def _make_change(
    item: ChangeItem,
    kind: ChangeKind,
    content: Mapping[str, Any],
    *,
    message_id: str | None = None,
    identities: tuple[Identity, ...] = (),
) -> IncomingChange | IgnoredItem:
    """Return the change of the message with `message_id`, or of the contact with `identities`.

    A change that names neither is ignored as unknown, and so is one with an id of more than 512
    characters.
    """
    if not (message_id or identities):
        target = "person" if message_id is None else "message"
        return make_ignored_item("unknown", "event", f"{kind} without {target}")
    # Changes of contacts have no id of Meta's. One derived from the whole item identifies a repeat.
    external_id = as_stripped_text(item.parts.get("id")) or (
        f"{kind}:{read_or_derive_id(None, item.address.external_id, item.json)}"
    )
    ids = [external_id, message_id or "", *(value for _, value in identities)]
    ids += [value for _, value in content.get("identities", ())]
    if max(map(len, ids)) > MAX_ID_CHARACTERS:
        return make_ignored_item("unknown", "event", f"{kind} with an id too long")
    return IncomingChange(
        address=item.address,
        external_id=external_id,
        kind=kind,
        sent_at=item.sent_at,
        message_id=message_id,
        person=Sender(identities=identities) if identities else None,
        content=content,
        payload=item.payload,
    )
