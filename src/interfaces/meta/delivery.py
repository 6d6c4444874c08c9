"""Parses the body of a Meta delivery into messages that count (D52), changes, ignored items."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.change import ChangeKind, IncomingChange
from domain.inbound import Inbound, InboundMessage
from interfaces.meta.instagram import parser as instagram
from interfaces.meta.instagram.parser import INSTAGRAM_OBJECT
from interfaces.meta.json_values import (
    Json,
    NotJson,
    as_dict,
    as_list,
    as_stripped_text,
    parse_json,
)
from interfaces.meta.parsed import IgnoredItem, ParsedItem
from interfaces.meta.placeholders import PlaceholderText
from interfaces.meta.whatsapp import parser as whatsapp
from interfaces.meta.whatsapp.items import WHATSAPP_OBJECT

SUPPORTED_OBJECTS = {WHATSAPP_OBJECT, INSTAGRAM_OBJECT}

MAX_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class ParsedDelivery:
    """Everything that one body holds. `ignored_items` counts how often each name occurs."""

    messages: list[Inbound] = field(default_factory=list)
    changes: list[IncomingChange] = field(default_factory=list)
    ignored_items: Counter[IgnoredItem] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class MetaDeliveryParser:
    """Parses deliveries; `placeholder_text` makes the body of messages without text."""

    placeholder_text: PlaceholderText = field(default_factory=PlaceholderText)

    def parse(self, body: bytes, arrived_at: datetime) -> ParsedDelivery:
        """Parse every item of a body; an item that cannot be parsed does not affect the others.

        A body is one envelope, or a list of them: the examples on Meta's Instagram page
        (developers.facebook.com/documentation/instagram-platform/webhooks/examples) are lists.
        Raises NotJson, a ValueError, for a body that is not JSON or is nested too deep.
        """
        delivery = ParsedDelivery()
        counts: dict[IgnoredItem, int] = {}
        try:
            for envelope in as_list(parse_json(body)):
                for item in _parse_envelope(envelope, arrived_at):
                    match item:
                        case IgnoredItem():
                            counts[item] = counts.get(item, 0) + 1
                        case IncomingChange():
                            delivery.changes.append(self._fill_body(item))
                        case InboundMessage(body=""):
                            placeholder = self.placeholder_text.compose(item.kind, item.content)
                            delivery.messages.append(replace(item, body=placeholder))
                        case _:
                            delivery.messages.append(item)
        except RecursionError as error:
            raise NotJson("nested too deep") from error
        for ignored_item, count in counts.items():
            delivery.ignored_items[_make_presentable(ignored_item)] += count
        return delivery

    def _fill_body(self, change: IncomingChange) -> IncomingChange:
        """Return the change; its empty body is filled with a placeholder where its kind has a body."""
        content = change.content
        match change.kind:
            case ChangeKind.EDIT:
                body = content["body"] or self.placeholder_text.compose(content["kind"], {})
                return replace(change, content={"body": body})
            case ChangeKind.UNSEND:
                return replace(
                    change, content={"body": self.placeholder_text.compose("deleted", {})}
                )
            case ChangeKind.ECHO:
                body = content["body"] or self.placeholder_text.compose(
                    content["kind"], content["content"]
                )
                return replace(change, content={**content, "body": body})
        return change


def _parse_envelope(envelope_json: Json, arrived_at: datetime) -> Iterator[ParsedItem]:
    """Yield the items of one envelope: `{"object": …, "entry": […]}`.

    Samples of the App Dashboard have no envelope: `{"field": …, "value": …}`. They are parsed too.

    Source: developers.facebook.com/docs/graph-api/webhooks/getting-started#event-notifications, read 2026-11.
    """
    envelope = as_dict(envelope_json)
    object_name = as_stripped_text(envelope.get("object"))
    is_sample = not object_name and bool({"entry", "field"} & envelope.keys())
    if object_name not in SUPPORTED_OBJECTS and not is_sample:
        yield IgnoredItem("unknown", object_name or "none", "field", "object")
    entries = as_list(envelope.get("entry")) if "entry" in envelope else [envelope]
    for entry in map(as_dict, entries):
        changes = [as_dict(change) for change in as_list(entry.get("changes")) or [entry]]
        if object_name == WHATSAPP_OBJECT or (
            not object_name and any(map(whatsapp.is_whatsapp_change, changes))
        ):
            for change in changes:
                yield from whatsapp.parse_items(
                    change, as_stripped_text(entry.get("id")), arrived_at
                )
        elif object_name in {INSTAGRAM_OBJECT, ""}:
            yield from instagram.parse_items(entry, arrived_at)


def _make_presentable(item: IgnoredItem) -> IgnoredItem:
    """Return the item with a channel and a name that fit into a log line and a metric's label."""
    return IgnoredItem(item.verdict, _clean_name(item.channel), item.part, _clean_name(item.name))


def _clean_name(name: str) -> str:
    """Cut the name at 64 characters, and replace characters that cannot be printed with `?`."""
    cut_name = name[:MAX_NAME_CHARACTERS]
    if cut_name.isprintable():
        return cut_name
    return "".join(character if character.isprintable() else "?" for character in cut_name)
