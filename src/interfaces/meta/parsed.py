"""The items that a delivery is parsed into: messages, changes, and ignored items."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from domain.change import IncomingChange
from domain.inbound import Inbound

Verdict: TypeAlias = Literal["ignored", "unknown"]
ItemPart: TypeAlias = Literal["field", "event", "type", "attachment"]


class IgnoredItem(NamedTuple):
    """The name of an item that is neither stored nor applied, for logs and metrics.

    - `verdict`: `ignored` for an item that Leadport ignores by design, `unknown` for one that this
      version does not know: Meta has added it, or the delivery is malformed.
    - `channel`: `whatsapp` or `instagram`; for a delivery of another product, its `object`.
    - `part`: the part of the delivery that has the name, for example `field`.
    - `name`: the name that Meta gives the item. It never holds content of a message.

    In a `ParsedDelivery`, `channel` and `name` are printable and at most 64 characters long.
    """

    verdict: Verdict
    channel: str
    part: ItemPart
    name: str


ParsedItem: TypeAlias = Inbound | IncomingChange | IgnoredItem


@dataclass(frozen=True, slots=True)
class MessageContent:
    """The content of one message.

    - `kind`: Meta's name of the message's type.
    - `text`: what the sender wrote or chose; "" where there is none. The body is then a
      placeholder (see `placeholders`).
    - `content`: everything else that the message carries, by the keys in `docs/MESSAGES.md`.
    """

    kind: str
    text: str
    content: Mapping[str, Any] = field(default_factory=dict)
