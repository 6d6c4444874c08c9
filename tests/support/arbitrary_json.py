"""Hypothesis strategies for JSON that resembles a delivery, and replacement of any part of it."""

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st

from tests.support.payloads import Json

KNOWN_NAMES = [
    "attachments",
    "body",
    "button_reply",
    "caption",
    "changes",
    "contacts",
    "edit",
    "emoji",
    "entry",
    "field",
    "from",
    "from_user_id",
    "group_id",
    "id",
    "image",
    "instagram",
    "interactive",
    "is_echo",
    "message",
    "message_echoes",
    "message_id",
    "messages",
    "messaging",
    "messaging_product",
    "metadata",
    "mid",
    "name",
    "object",
    "original_message_id",
    "payload",
    "phone_number_id",
    "postback",
    "profile",
    "quick_reply",
    "reaction",
    "recipient",
    "referral",
    "revoke",
    "sender",
    "smb_message_echoes",
    "standby",
    "stop",
    "system",
    "text",
    "time",
    "timestamp",
    "title",
    "to",
    "type",
    "unsupported",
    "user_id",
    "user_id_update",
    "user_preferences",
    "value",
    "wa_id",
    "whatsapp",
    "whatsapp_business_account",
]
"""Names and values that Meta uses: a strategy that knows them reaches more of the readers."""

STRINGS = st.text(st.characters(), max_size=5) | st.sampled_from(KNOWN_NAMES)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)

THOROUGH = settings(deadline=None, max_examples=300)


def list_paths(tree: Json, *above: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the path to every part of the tree, also to the tree itself."""
    yield above
    steps = range(len(tree)) if isinstance(tree, list) else tree if isinstance(tree, dict) else ()
    for step in steps:
        yield from list_paths(tree[step], *above, step)


def replace_at(tree: Json, path: tuple[str | int, ...], part: Json) -> Json:
    """Return a copy of the tree with another part at the path."""
    if not path:
        return part
    copy = tree.copy()
    copy[path[0]] = replace_at(tree[path[0]], path[1:], part)
    return copy
