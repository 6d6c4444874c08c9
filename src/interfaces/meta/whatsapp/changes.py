"""What WhatsApp tells besides messages: edits, deletions, reactions, echoes, consent, new ids."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from domain.change import Change, ChangeKind
from domain.contact import Identity, Sender
from domain.message import Direction
from interfaces.meta.content_fields import LONGEST_EMOJI
from interfaces.meta.json_values import LONGEST_ID, mapping, message_id, text
from interfaces.meta.parsed import Note
from interfaces.meta.whatsapp.content import said
from interfaces.meta.whatsapp.items import USER_ID, Item, Shown, event, holder, identities
from interfaces.meta.whatsapp.phone_numbers import digits_of

ABOUT_MESSAGES = {"edit", "revoke", "reaction"}
"""The types that name another message."""

CONSENT = {"stop": False, "resume": True}

FROM_OLD_TO_NEW = re.compile(r" from (\S+) to \S+$")
"""The end of a system message's English text: what stands before it is the person's name."""


def about_message(item: Item, by: Direction) -> Change | Note:
    """Read who changed what (Meta: messages/edit, messages/revoke, messages/reaction)."""
    part = mapping(item.parts.get(item.type))
    if item.type == "reaction":
        emoji = text(part.get("emoji"))[:LONGEST_EMOJI] or None
        content = {"emoji": emoji, "by": by}
        return _change(item, ChangeKind.REACTION, content, about=text(part.get("message_id")))
    original = text(part.get("original_message_id"))
    if item.type == "revoke":
        return _change(item, ChangeKind.UNSEND, {"body": ""}, about=original)
    message = mapping(part.get("message"))
    if not message:
        return event("unknown", "edit without text")
    what = said(message)
    without_words = {} if what.words else {"kind": what.kind}
    return _change(item, ChangeKind.EDIT, {"body": what.words, **without_words}, about=original)


def echo(item: Item) -> Change | Note:
    """Read what the business itself wrote to somebody (Meta: smb_message_echoes)."""
    if not isinstance(item.json, dict) or item.type == "system":
        return event("unknown", "echo without message")
    what = said(item.parts)
    content = {"kind": what.kind, "body": what.words, "content": what.content}
    return _change(item, ChangeKind.ECHO, content, person=item.identities)


def consent(item: Item) -> Change | Note:
    """Read whether somebody wants marketing messages (Meta: user_preferences)."""
    wish, category = text(item.parts.get("value")), text(item.parts.get("category"))
    if category not in {"", "marketing_messages"} or wish not in CONSENT:
        return event("unknown", f"{item.name}: {category} {wish}".strip())
    content = {"marketing": CONSENT[wish]}
    return _change(item, ChangeKind.CONSENT, content, person=item.identities)


def from_system(item: Item) -> Change | Note:
    """Read that somebody has another number or user id (Meta: messages/system)."""
    system = mapping(item.parts.get("system"))
    match text(system.get("type")):
        case "user_changed_number" | "customer_changed_number" | "user_changed_user_id":
            new_number = text(system.get("wa_id")) or text(system.get("new_wa_id"))
            new = identities(holder(system)._replace(phone=new_number))
            old = [
                item.identities,
                identities(
                    Shown(text(system.get("customer")), text(system.get("previous_user_id")))
                ),
                identities(Shown(phone=_old_id(text(system.get("body"))))),
            ]
            return _known_by(item, new, [identity for ids in old for identity in ids])
        case "customer_identity_changed":
            return event("ignored", "customer_identity_changed")
        case kind:
            return event("unknown", f"system: {kind or 'none'}")


def _old_id(body: str) -> str:
    """Find the old id, which the user id's change has nowhere else."""
    found = FROM_OLD_TO_NEW.search(body)
    return found[1] if found and (USER_ID.fullmatch(found[1]) or digits_of(found[1])) else ""


def user_id_update(item: Item) -> Change | Note:
    """Read that somebody has another user id (Meta: user_id_update)."""
    user, parent = mapping(item.parts.get("user_id")), mapping(item.parts.get("parent_user_id"))

    def ids(name: str) -> Shown:
        return Shown(user=text(user.get(name)), parent=text(parent.get(name)))

    old = identities(item.shown, ids("previous"), item.card.shown)
    return _known_by(item, identities(ids("current")), old)


def _known_by(item: Item, new: tuple[Identity, ...], old: Iterable[Identity]) -> Change | Note:
    """Tell by which ids somebody is known from now on, and by which they were until now."""
    ids = tuple(dict.fromkeys(old))
    person = tuple(identity for identity in ids if identity not in new) or ids
    content = {"identities": [list(identity) for identity in new]}
    if not new:
        return event("unknown", f"{ChangeKind.IDENTITY} without a new one")
    return _change(item, ChangeKind.IDENTITY, content, person=person)


def _change(
    item: Item,
    kind: ChangeKind,
    content: Mapping[str, Any],
    *,
    about: str | None = None,
    person: tuple[Identity, ...] = (),
) -> Change | Note:
    """Tell of a message, or of a person; of neither there is nothing to tell."""
    if not (about or person):
        return event("unknown", f"{kind} without {'person' if about is None else 'message'}")
    # Meta gives no id for what happens to people, so a repeat is known by all it says.
    external_id = text(item.parts.get("id")) or (
        f"{kind}:{message_id(None, item.address.external_id, item.json)}"
    )
    ids = [external_id, about or "", *(value for _, value in person)]
    ids += [value for _, value in content.get("identities", ())]
    if max(map(len, ids)) > LONGEST_ID:
        return event("unknown", f"{kind} with an id too long")
    return Change(
        address=item.address,
        external_id=external_id,
        kind=kind,
        sent_at=item.sent_at,
        message_id=about,
        person=Sender(identities=person) if person else None,
        content=content,
        payload=item.payload,
    )
