"""What WhatsApp tells besides messages: edits, deletions, reactions, echoes, consent, new ids."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from domain.change import ChangeKind, IncomingChange
from domain.contact import Identity, Sender
from domain.message import Direction
from interfaces.meta.content_fields import LONGEST_EMOJI
from interfaces.meta.json_values import LONGEST_ID, as_dict, as_id_text, message_id
from interfaces.meta.parsed import IgnoredItem
from interfaces.meta.whatsapp.content import parse_content
from interfaces.meta.whatsapp.items import (
    USER_ID,
    ChangeItem,
    ContactIds,
    contact_ids,
    identities,
    ignored_event,
)
from interfaces.meta.whatsapp.phone_numbers import digits_of

ABOUT_MESSAGES = {"edit", "revoke", "reaction"}
"""The types that name another message."""

CONSENT = {"stop": False, "resume": True}

FROM_OLD_TO_NEW = re.compile(r" from (\S+) to \S+$")
"""The end of a system message's English text: what stands before it is the person's name."""


def about_message(item: ChangeItem, by: Direction) -> IncomingChange | IgnoredItem:
    """Read who changed what (Meta: messages/edit, messages/revoke, messages/reaction)."""
    part = as_dict(item.parts.get(item.type))
    if item.type == "reaction":
        emoji = as_id_text(part.get("emoji"))[:LONGEST_EMOJI] or None
        content = {"emoji": emoji, "by": by}
        return _change(item, ChangeKind.REACTION, content, about=as_id_text(part.get("message_id")))
    original = as_id_text(part.get("original_message_id"))
    if item.type == "revoke":
        return _change(item, ChangeKind.UNSEND, {"body": ""}, about=original)
    message = as_dict(part.get("message"))
    if not message:
        return ignored_event("unknown", "edit without text")
    what = parse_content(message)
    without_words = {} if what.text else {"kind": what.kind}
    return _change(item, ChangeKind.EDIT, {"body": what.text, **without_words}, about=original)


def echo(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read what the business itself wrote to somebody (Meta: smb_message_echoes)."""
    if not isinstance(item.json, dict) or item.type == "system":
        return ignored_event("unknown", "echo without message")
    what = parse_content(item.parts)
    content = {"kind": what.kind, "body": what.text, "content": what.content}
    return _change(item, ChangeKind.ECHO, content, person=item.identities)


def consent(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read whether somebody wants marketing messages (Meta: user_preferences)."""
    wish, category = as_id_text(item.parts.get("value")), as_id_text(item.parts.get("category"))
    if category not in {"", "marketing_messages"} or wish not in CONSENT:
        return ignored_event("unknown", f"{item.name}: {category} {wish}".strip())
    content = {"marketing": CONSENT[wish]}
    return _change(item, ChangeKind.CONSENT, content, person=item.identities)


def from_system(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read that somebody has another number or user id (Meta: messages/system)."""
    system = as_dict(item.parts.get("system"))
    match as_id_text(system.get("type")):
        case "user_changed_number" | "customer_changed_number" | "user_changed_user_id":
            new_number = as_id_text(system.get("wa_id")) or as_id_text(system.get("new_wa_id"))
            new = identities(contact_ids(system)._replace(phone=new_number))
            old = [
                item.identities,
                identities(
                    ContactIds(
                        as_id_text(system.get("customer")),
                        as_id_text(system.get("previous_user_id")),
                    )
                ),
                identities(ContactIds(phone=_old_id(as_id_text(system.get("body"))))),
            ]
            return _known_by(item, new, [identity for ids in old for identity in ids])
        case "customer_identity_changed":
            return ignored_event("ignored", "customer_identity_changed")
        case kind:
            return ignored_event("unknown", f"system: {kind or 'none'}")


def _old_id(body: str) -> str:
    """Find the old id, which the user id's change has nowhere else."""
    found = FROM_OLD_TO_NEW.search(body)
    return found[1] if found and (USER_ID.fullmatch(found[1]) or digits_of(found[1])) else ""


def user_id_update(item: ChangeItem) -> IncomingChange | IgnoredItem:
    """Read that somebody has another user id (Meta: user_id_update)."""
    user, parent = as_dict(item.parts.get("user_id")), as_dict(item.parts.get("parent_user_id"))

    def ids(name: str) -> ContactIds:
        return ContactIds(user=as_id_text(user.get(name)), parent=as_id_text(parent.get(name)))

    old = identities(item.shown, ids("previous"), item.card.shown)
    return _known_by(item, identities(ids("current")), old)


def _known_by(
    item: ChangeItem, new: tuple[Identity, ...], old: Iterable[Identity]
) -> IncomingChange | IgnoredItem:
    """Tell by which ids somebody is known from now on, and by which they were until now."""
    ids = tuple(dict.fromkeys(old))
    person = tuple(identity for identity in ids if identity not in new) or ids
    content = {"identities": [list(identity) for identity in new]}
    if not new:
        return ignored_event("unknown", f"{ChangeKind.IDENTITY} without a new one")
    return _change(item, ChangeKind.IDENTITY, content, person=person)


def _change(
    item: ChangeItem,
    kind: ChangeKind,
    content: Mapping[str, Any],
    *,
    about: str | None = None,
    person: tuple[Identity, ...] = (),
) -> IncomingChange | IgnoredItem:
    """Tell of a message, or of a person; of neither there is nothing to tell."""
    if not (about or person):
        return ignored_event(
            "unknown", f"{kind} without {'person' if about is None else 'message'}"
        )
    # Meta gives no id for what happens to people, so a repeat is known by all it says.
    external_id = as_id_text(item.parts.get("id")) or (
        f"{kind}:{message_id(None, item.address.external_id, item.json)}"
    )
    ids = [external_id, about or "", *(value for _, value in person)]
    ids += [value for _, value in content.get("identities", ())]
    if max(map(len, ids)) > LONGEST_ID:
        return ignored_event("unknown", f"{kind} with an id too long")
    return IncomingChange(
        address=item.address,
        external_id=external_id,
        kind=kind,
        sent_at=item.sent_at,
        message_id=about,
        person=Sender(identities=person) if person else None,
        content=content,
        payload=item.payload,
    )
