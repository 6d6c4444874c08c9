"""Mutates parts of Meta's deliveries, and encodes bodies that no JSON writer would write."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple, TypeAlias

from hypothesis import strategies as st

from interfaces.meta.instagram.parser import INSTAGRAM_OBJECT as INSTAGRAM
from interfaces.meta.whatsapp.items import WHATSAPP_OBJECT as WHATSAPP
from tests.deliveries.examples import EXAMPLES

Json: TypeAlias = Any
Object: TypeAlias = dict[str, Any]

NUMBER, ACCOUNT = "106500000000001", "17841400000000001"
SECONDS = 1795347000
INTACT_TEXT = "¿me leen?"

SERIAL = "@serial@"
"""Stands in ids, because each delivery must be a new one."""

DUPLICATE = "@duplicate@"
"""A prefix of keys: the object then has the key a second time."""


def write_raw(text: str) -> str:
    """Stand for a text that goes into the body as it is, because Python could not write it."""
    return f"@raw {text.encode().hex()}@"


def nest(levels: int, opening: str = "[", closing: str = "]", innermost: str = "") -> str:
    """Write a value of so many levels."""
    return opening * levels + innermost + closing * levels


def encode_body(delivery: Json) -> bytes:
    """Encode the delivery, with its raw texts and duplicate keys."""
    body = json.dumps(delivery).replace(f'"{DUPLICATE}', '"')
    return re.sub(
        '"@raw ([0-9a-f]+)@"', lambda match: bytes.fromhex(match[1]).decode(), body
    ).encode()


JUNK = [
    *("null", "true", "false", "0", "-1", "1.5", "7", "[]", "{}", "[[]]", "[null]", '{"":null}'),
    *('""', '" "', '"x"', '"true"', '"NaN"', '"-0"', '"١٢٣"', '"1e9"', r'"\u202e\u2028"', r'"\n"'),
    *(r'"\u0000"', r'"a\u0000b"', r'"\ud800"', r'"a\udfffb"', r'"\ud83d\ude00"', r'"\udc00\ud800"'),
    *("1e400", "-1e400", "1e-400", "1e308", "NaN", "Infinity", "-Infinity", "9007199254740993"),
    *("9" * 30, "-" + "9" * 400, "9" * 5000, "0." + "3" * 400, f'"{"9" * 400}"', f'"{"x" * 513}"'),
    *(f'"{SECONDS}"', f'"{SECONDS}000"', f"{SECONDS}", f"{SECONDS}000", f"{SECONDS}000000"),
    *('"2026-11-22T11:30:00Z"', f'"{SECONDS}.5"', f"-{SECONDS}", '"253402300800"', "1e12"),
    *('{"id":{}}', '{"id":null}', '[{"id":1}]', '{"type":"text"}', '[["id","1"]]', '"wamid.x"'),
    *(nest(200), nest(200, '{"a":', "}", "0"), f'"{"ñ" * 100_000}"', r'{"\u0000":"\ud800"}'),
]
KEYS = [
    *("type", "text", "id", "mid", "from", "sender", "is_echo", "group_id", "referral", "errors"),
    *("message", "messages", "statuses", "field", "value", "object", "context", "\x00", ""),
]


def make_intact_message() -> Object:
    """Make a message of WhatsApp with INTACT_TEXT."""
    return {
        "from": f"1555010{SERIAL}",
        "id": f"intact.{SERIAL}",
        "timestamp": str(SECONDS),
        "type": "text",
        "text": {"body": INTACT_TEXT},
    }


def make_intact_direct_message() -> Object:
    """Make a message of Instagram with INTACT_TEXT."""
    return {
        "sender": {"id": f"96{SERIAL}"},
        "recipient": {"id": ACCOUNT},
        "timestamp": SECONDS * 1000,
        "message": {"mid": f"intact.{SERIAL}", "text": INTACT_TEXT},
    }


def make_change(*messages: Json, **value: Json) -> Object:
    """Make a change of WhatsApp with these messages."""
    base = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}}
    return {"field": "messages", "value": base | value | {"messages": list(messages)}}


def make_entry(*changes: Json) -> Object:
    """Make an entry of WhatsApp with these changes."""
    return {"id": "102200000000007", "changes": list(changes)}


def make_whatsapp_delivery(*entries: Json) -> Object:
    """Make a delivery of WhatsApp with these entries."""
    return {"object": WHATSAPP, "entry": list(entries)}


def make_account_entry(*items: Json) -> Object:
    """Make an entry of Instagram with these items."""
    return {"id": ACCOUNT, "time": SECONDS * 1000, "messaging": list(items)}


def make_instagram_delivery(*entries: Json) -> Object:
    """Make a delivery of Instagram with these entries."""
    return {"object": INSTAGRAM, "entry": list(entries)}


class MutablePart(NamedTuple):
    """A part of an example, something intact of the same rank, and what makes them a delivery."""

    part: Json
    intact: Json
    make_delivery: Callable[..., Json]


def list_parts(example: Json) -> Iterator[MutablePart]:
    """Take the example apart, into parts of every rank."""
    for part in example if isinstance(example, list) else [example]:
        intact = make_whatsapp_delivery(make_entry(make_change(make_intact_message())))
        yield MutablePart(part, intact, lambda *deliveries: list(deliveries))
        for entry in part.get("entry", ()):
            if part.get("object") == INSTAGRAM:
                intact_entry = make_account_entry(make_intact_direct_message())
                yield MutablePart(entry, intact_entry, make_instagram_delivery)
                for item in (*entry.get("messaging", ()), *entry.get("standby", ())):
                    yield MutablePart(
                        item,
                        make_intact_direct_message(),
                        lambda *items: make_instagram_delivery(make_account_entry(*items)),
                    )
            elif part.get("object") == WHATSAPP:
                intact_entry = make_entry(make_change(make_intact_message()))
                yield MutablePart(entry, intact_entry, make_whatsapp_delivery)
                yield from _list_change_parts(entry)


def _list_change_parts(entry: Object) -> Iterator[MutablePart]:
    for change in entry["changes"]:
        yield MutablePart(
            change,
            make_change(make_intact_message()),
            lambda *changes: make_whatsapp_delivery(make_entry(*changes)),
        )
        value = change["value"]
        if change["field"] == "messages" and "messages" in value:
            other_parts = {name: part for name, part in value.items() if name != "messages"}

            def make_delivery(*messages: Json, other_parts: Object = other_parts) -> Object:
                return make_whatsapp_delivery(make_entry(make_change(*messages, **other_parts)))

            for message in value["messages"]:
                yield MutablePart(message, make_intact_message(), make_delivery)


PARTS = [part for example in EXAMPLES.values() for part in list_parts(example.delivery)]


def list_slots(part: Json, container: Json, key: Any) -> Iterator[tuple[Json, Any]]:
    """Return container and key of everything in the part, from outside to inside."""
    yield container, key
    children: Iterable[tuple[Any, Json]] = ()
    if isinstance(part, dict):
        children = part.items()
    elif isinstance(part, list):
        children = enumerate(part)
    for child_key, child in children:
        yield from list_slots(child, part, child_key)


def mutate(part: Json, draw: st.DrawFn) -> Json:
    """Change one thing anywhere in the part."""
    root = [part]
    container, key = draw(st.sampled_from([*list_slots(part, root, 0)]))
    junk = write_raw(draw(st.sampled_from(JUNK)))
    match draw(st.sampled_from(["junk", "drop", "wrap", "duplicate", "add", "copy"])):
        case "drop" if container is not root:
            del container[key]
        case "wrap":
            old = container[key]
            wrapped = [[old], [[old, old]], {"0": old}, [old, None]]
            wrapped += [[*map(list, old.items())]] if isinstance(old, dict) else []
            container[key] = draw(st.sampled_from(wrapped))
        case "duplicate" if isinstance(container, dict):
            container[f"{DUPLICATE}{key}"] = junk
        case "add" if isinstance(container[key], dict):
            container[key][draw(st.sampled_from(KEYS))] = junk
        case "add" if isinstance(container[key], list):
            container[key].append(junk)
        case "copy":
            source, source_key = draw(st.sampled_from([*list_slots(part, root, 0)]))
            container[key] = deepcopy(source[source_key])
        case _:
            container[key] = junk
    return root[0]


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    """Generate the body of a delivery with a mutated part and an intact one."""
    part, intact, make_delivery = draw(st.sampled_from(PARTS))
    mutated = deepcopy(part)
    for _ in range(draw(st.integers(1, 4))):
        mutated = mutate(mutated, draw)
    return encode_body(make_delivery(*draw(st.permutations([mutated, intact]))))
