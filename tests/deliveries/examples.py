"""The golden deliveries: one JSON file each, with a delivery and its expected outcome."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from domain.connection import Address, Channel

EXAMPLE_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Example:
    """A delivery of Meta's, and what is expected where all its numbers are connected.

    - `delivery`: the body as JSON.
    - `counters`: the answer of the webhook.
    - `messages`: the stored messages, in the order in which they were sent.
    - `events`: how often each type of event is logged.
    - `passed_over`: how often each item is ignored, by reason, channel, part and name.
    """

    delivery: Any
    counters: Mapping[str, int]
    messages: Sequence[Mapping[str, Any]]
    events: Mapping[str, int]
    passed_over: Mapping[str, int]

    @property
    def body(self) -> bytes:
        """The body as Meta posts it."""
        return json.dumps(self.delivery).encode()

    @property
    def addresses(self) -> set[Address]:
        """The numbers and accounts that the delivery names."""
        return {*_list_numbers(self.delivery), *_list_accounts(self.delivery)}


def _list_numbers(part: Any) -> Iterator[Address]:
    if isinstance(part, dict):
        if "phone_number_id" in part:
            yield Address(Channel.WHATSAPP, part["phone_number_id"])
        part = list(part.values())
    if isinstance(part, list):
        for member in part:
            yield from _list_numbers(member)


def _list_accounts(delivery: Any) -> Iterator[Address]:
    for envelope in delivery if isinstance(delivery, list) else [delivery]:
        if envelope.get("object") == "instagram":
            yield from (Address(Channel.INSTAGRAM, entry["id"]) for entry in envelope["entry"])
        elif "recipient" in envelope.get("value", {}):
            yield Address(Channel.INSTAGRAM, envelope["value"]["recipient"]["id"])


def load_examples(folder: Path) -> dict[str, Example]:
    """Read every example of a folder, by the name of its file without `.json`."""
    return {
        file.stem: Example(**json.loads(file.read_text(encoding="utf-8")))
        for file in sorted(folder.glob("*.json"))
    }


def write_example(folder: Path, name: str, example: Example) -> None:
    """Write the example's file, in the form that all of them have."""
    text = json.dumps(asdict(example), ensure_ascii=False, indent=2) + "\n"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


EXAMPLES = load_examples(EXAMPLE_FOLDER)
