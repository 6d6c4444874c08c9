"""A body becomes leaves: every message that counts, every change, and what was passed over."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.change import ChangeKind, IncomingChange
from domain.inbound import Inbound, InboundMessage
from interfaces.meta.instagram import parser as instagram
from interfaces.meta.json_values import Json, NotJson, as_dict, as_id_text, as_list, parse_json
from interfaces.meta.parsed import IgnoredItem, ParsedItem
from interfaces.meta.placeholders import PlaceholderText
from interfaces.meta.whatsapp import parser as whatsapp
from interfaces.meta.whatsapp.items import OBJECT as WHATSAPP

IN_ENGLISH = PlaceholderText()

PRODUCTS = {WHATSAPP, instagram.OBJECT}
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Delivery:
    """All that one body holds, whatever stands beside it. `notes` says what was passed over."""

    messages: list[Inbound] = field(default_factory=list)
    changes: list[IncomingChange] = field(default_factory=list)
    notes: Counter[IgnoredItem] = field(default_factory=Counter)


def parse_delivery(
    body: bytes, arrived_at: datetime, placeholder_text: PlaceholderText = IN_ENGLISH
) -> Delivery:
    """Read every leaf; `wording` stands for messages without words. Raises NotJson."""
    delivery = Delivery()
    notes: dict[IgnoredItem, int] = {}
    try:
        for part in as_list(parse_json(body)):
            for leaf in _leaves(part, arrived_at):
                match leaf:
                    case IgnoredItem():
                        notes[leaf] = notes.get(leaf, 0) + 1
                    case IncomingChange():
                        delivery.changes.append(_with_words(leaf, placeholder_text))
                    case InboundMessage(body=""):
                        words = placeholder_text(leaf.kind, leaf.content)
                        delivery.messages.append(replace(leaf, body=words))
                    case _:
                        delivery.messages.append(leaf)
    except RecursionError as error:
        raise NotJson("nested too deep") from error
    for note, count in notes.items():
        delivery.notes[_short(note)] += count
    return delivery


@dataclass(frozen=True, slots=True)
class MetaDeliveryParser:
    """`decode` in one language, for what was kept."""

    placeholder_text: PlaceholderText

    def parse(self, body: bytes, arrived_at: datetime) -> Delivery:
        """Raises NotJson, which is a ValueError."""
        return parse_delivery(body, arrived_at, self.placeholder_text)

    __call__ = parse


def _leaves(delivery: Json, arrived_at: datetime) -> Iterator[ParsedItem]:
    envelope = as_dict(delivery)
    product = as_id_text(envelope.get("object"))
    # A dashboard sample has no envelope at all: {"field": …, "value": …}.
    is_sample = not product and bool({"entry", "field"} & envelope.keys())
    if product not in PRODUCTS and not is_sample:
        yield IgnoredItem("unknown", product or "none", "field", "object")
    entries = as_list(envelope.get("entry")) if "entry" in envelope else [envelope]
    for entry in map(as_dict, entries):
        changes = [as_dict(change) for change in as_list(entry.get("changes")) or [entry]]
        if product == WHATSAPP or (not product and any(map(whatsapp.is_change, changes))):
            for change in changes:
                yield from whatsapp.parse_items(change, as_id_text(entry.get("id")), arrived_at)
        elif product in {instagram.OBJECT, ""}:
            yield from instagram.parse_items(entry, arrived_at)


def _with_words(change: IncomingChange, placeholder_text: PlaceholderText) -> IncomingChange:
    """Fill in what a text that is no text has for a body."""
    content = change.content
    match change.kind:
        case ChangeKind.EDIT:
            body = content["body"] or placeholder_text(content["kind"], {})
            return replace(change, content={"body": body})
        case ChangeKind.UNSEND:
            return replace(change, content={"body": placeholder_text("deleted", {})})
        case ChangeKind.ECHO:
            body = content["body"] or placeholder_text(content["kind"], content["content"])
            return replace(change, content={**content, "body": body})
    return change


def _short(note: IgnoredItem) -> IgnoredItem:
    return IgnoredItem(note.reason, _name(note.channel), note.part, _name(note.name))


def _name(given: str) -> str:
    """Cut what Meta may have put there to what is fit for a log and a metric."""
    name = given[:LONGEST_NAME]
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else "?" for letter in name)
