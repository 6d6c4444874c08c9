"""A body becomes leaves: every message that counts, every change, and what was passed over."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.change import Change, ChangeKind
from domain.inbound import Inbound, InboundMessage
from interfaces.meta.instagram import parser as instagram
from interfaces.meta.json_values import Json, NotJson, listed, mapping, parse, text
from interfaces.meta.parsed import Leaf, Note
from interfaces.meta.placeholders import Wording
from interfaces.meta.whatsapp import parser as whatsapp
from interfaces.meta.whatsapp.items import OBJECT as WHATSAPP

IN_ENGLISH = Wording()

PRODUCTS = {WHATSAPP, instagram.OBJECT}
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Delivery:
    """All that one body holds, whatever stands beside it. `notes` says what was passed over."""

    messages: list[Inbound] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notes: Counter[Note] = field(default_factory=Counter)


def decode(body: bytes, arrived_at: datetime, wording: Wording = IN_ENGLISH) -> Delivery:
    """Read every leaf; `wording` stands for messages without words. Raises NotJson."""
    delivery = Delivery()
    notes: dict[Note, int] = {}
    try:
        for part in listed(parse(body)):
            for leaf in _leaves(part, arrived_at):
                match leaf:
                    case Note():
                        notes[leaf] = notes.get(leaf, 0) + 1
                    case Change():
                        delivery.changes.append(_with_words(leaf, wording))
                    case InboundMessage(body=""):
                        words = wording(leaf.kind, leaf.content)
                        delivery.messages.append(replace(leaf, body=words))
                    case _:
                        delivery.messages.append(leaf)
    except RecursionError as error:
        raise NotJson("nested too deep") from error
    for note, count in notes.items():
        delivery.notes[_short(note)] += count
    return delivery


@dataclass(frozen=True, slots=True)
class Reader:
    """`decode` in one language, for what was kept."""

    wording: Wording

    def __call__(self, body: bytes, arrived_at: datetime) -> Delivery:
        """Raises NotJson, which is a ValueError."""
        return decode(body, arrived_at, self.wording)


def _leaves(delivery: Json, arrived_at: datetime) -> Iterator[Leaf]:
    envelope = mapping(delivery)
    product = text(envelope.get("object"))
    # A dashboard sample has no envelope at all: {"field": …, "value": …}.
    is_sample = not product and bool({"entry", "field"} & envelope.keys())
    if product not in PRODUCTS and not is_sample:
        yield Note("unknown", product or "none", "field", "object")
    entries = listed(envelope.get("entry")) if "entry" in envelope else [envelope]
    for entry in map(mapping, entries):
        changes = [mapping(change) for change in listed(entry.get("changes")) or [entry]]
        if product == WHATSAPP or (not product and any(map(whatsapp.is_change, changes))):
            for change in changes:
                yield from whatsapp.leaves(change, text(entry.get("id")), arrived_at)
        elif product in {instagram.OBJECT, ""}:
            yield from instagram.leaves(entry, arrived_at)


def _with_words(change: Change, wording: Wording) -> Change:
    """Fill in what a text that is no text has for a body."""
    content = change.content
    match change.kind:
        case ChangeKind.EDIT:
            body = content["body"] or wording(content["kind"], {})
            return replace(change, content={"body": body})
        case ChangeKind.UNSEND:
            return replace(change, content={"body": wording("deleted", {})})
        case ChangeKind.ECHO:
            body = content["body"] or wording(content["kind"], content["content"])
            return replace(change, content={**content, "body": body})
    return change


def _short(note: Note) -> Note:
    return Note(note.verdict, _name(note.channel), note.part, _name(note.name))


def _name(given: str) -> str:
    """Cut what Meta may have put there to what is fit for a log and a metric."""
    name = given[:LONGEST_NAME]
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else "?" for letter in name)
