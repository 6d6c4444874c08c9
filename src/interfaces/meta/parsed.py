"""What a delivery consists of, when it is taken apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from domain.change import IncomingChange
from domain.inbound import Inbound


class IgnoredItem(NamedTuple):
    """Something that was passed over, by name: for an operator to count, never with any content.

    It is `ignored` on purpose, or `unknown`: then Meta has added something, or sent nonsense.
    `name` is at most 64 characters.
    """

    reason: Literal["ignored", "unknown"]
    channel: str
    part: Literal["field", "event", "type", "attachment"]
    name: str


ParsedItem: TypeAlias = Inbound | IncomingChange | IgnoredItem


@dataclass(frozen=True, slots=True)
class MessageContent:
    """What a message says: its kind, the person's own words, and all else it carries.

    Without words (`""`) its body is made from kind and content: see `wording`.
    """

    kind: str
    text: str
    content: Mapping[str, Any] = field(default_factory=dict)
