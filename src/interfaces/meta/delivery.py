"""A body becomes messages: every leaf of it that counts, in any of the envelopes Meta uses."""

from collections.abc import Iterator
from datetime import datetime

from domain.inbound import Inbound
from interfaces.meta import instagram, whatsapp
from interfaces.meta.reading import Json, NotJson, listed, mapping, parse, text


def decode(body: bytes, arrived_at: datetime) -> list[Inbound]:
    """Read each message that counts, whatever stands beside it. Raises NotJson."""
    try:
        return [message for part in listed(parse(body)) for message in _messages(part, arrived_at)]
    except RecursionError as error:
        raise NotJson("nested too deep") from error


def _messages(delivery: Json, arrived_at: datetime) -> Iterator[Inbound]:
    envelope = mapping(delivery)
    product = text(envelope.get("object"))
    # A dashboard sample has no envelope at all: {"field": …, "value": …}.
    entries = listed(envelope.get("entry")) if "entry" in envelope else [envelope]
    for entry in map(mapping, entries):
        for change in map(mapping, listed(entry.get("changes")) or [entry]):
            if product == whatsapp.OBJECT or (not product and whatsapp.is_change(change)):
                yield from whatsapp.messages(change, text(entry.get("id")), arrived_at)
        if product == instagram.OBJECT or (not product and not whatsapp.is_change(entry)):
            yield from instagram.messages(entry, arrived_at)
