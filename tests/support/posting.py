"""Posts bodies to the webhook endpoint, and checks that each of their messages was kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from domain.connection import Address, Channel
from domain.failed_message import FailedMessage
from domain.message import Message
from domain.organization import OrgId
from tests.deliveries.examples import EXAMPLES
from tests.deliveries.harness import WebhookHarness
from tests.support.mutations import ACCOUNT, NUMBER, SERIAL

READ_ERRORS = {
    "an id is longer than 512 characters",
    "the item of `messages` is not an object",
    "`from` and `from_user_id` are missing",
    "`message` is not an object",
    "`postback` is not an object",
    "`sender.id` is missing",
}
"""The only reasons for which a message may fail."""


@dataclass
class PostingHarness:
    """The webhook endpoint, and an organisation that has connected all numbers and accounts."""

    webhook: WebhookHarness
    org_id: OrgId
    serials: Iterator[int] = field(default_factory=lambda: count(1))
    failures: int = 0

    def post(self, template: bytes) -> "PostedDelivery":
        """Post a body with new ids, and check the answer, the counters and the failures."""
        serial = str(next(self.serials)).encode()
        body = template.replace(SERIAL.encode(), serial)
        for id_ in (b"wamid.", b"aWdfZAG1"):
            body = body.replace(id_, id_ + serial)

        answer = self.webhook.post(body)

        assert answer.status_code == 200
        counters = answer.json()
        parts = ("ingested", "skipped", "failed")
        assert counters["received"] == sum(counters[part] for part in parts)
        failed = self.webhook.list_failures(self.org_id)[self.failures :]
        self.failures += len(failed)
        assert len(failed) <= counters["failed"]  # the same failure is stored once
        assert {failure.error for failure in failed} <= READ_ERRORS
        assert all(failure.payload["entry"] for failure in failed)
        assert self.webhook.client.get("/metrics").status_code == 200
        return PostedDelivery(self, serial.decode(), counters, failed)


@dataclass(frozen=True)
class PostedDelivery:
    """The counters of a posted delivery, and what is stored of it."""

    harness: PostingHarness
    serial: str
    counters: dict[str, int]
    failed: Sequence[FailedMessage]

    def find_message(self, id_: str, channel: Channel = Channel.WHATSAPP) -> Message | None:
        """Return the stored message with this id, or None."""
        id_ = id_.replace(SERIAL, self.serial)
        return self.harness.webhook.find_message(self.harness.org_id, channel, id_)

    @property
    def intact_text(self) -> str | None:
        """The stored text of the intact message, or None."""
        messages = (self.find_message(f"intact.{SERIAL}", channel) for channel in Channel)
        return next((message.body for message in messages if message), None)


def connect_all_numbers(webhook: WebhookHarness) -> PostingHarness:
    """Empty the storage, and connect the numbers and accounts of all examples."""
    webhook.clear_storage()
    addresses = {Address(Channel.WHATSAPP, NUMBER), Address(Channel.INSTAGRAM, ACCOUNT)}
    of_examples = (example.addresses for example in EXAMPLES.values())
    return PostingHarness(webhook, webhook.connect(*addresses.union(*of_examples)))
