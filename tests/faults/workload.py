"""The fault tests' workload: sends deliveries as Meta does and records how each was answered."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import httpx

from domain.connection import Channel
from interfaces.meta.samples import Sample, make_delivery
from interfaces.meta.signature import sign
from tests.faults.servers import APP_SECRET, Postgres
from tests.support.builders import new_id

Json = dict[str, Any]

WEBHOOK_PATH = "/api/webhooks/meta"
MAX_PENDING_DELIVERIES = 400
"""With this many unanswered deliveries no new ones are sent."""

UNSENT_BODY = "[deleted]"
"""The stored text of a message that its sender has deleted."""

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.3, 3.0
"""First and longest pause before a delivery is sent again that was not answered with 200."""


@dataclass(frozen=True, slots=True)
class ConnectedNumber:
    """The address of a connection, and the organisation that it belongs to."""

    org_id: UUID
    channel: Channel
    external_id: str


@dataclass(slots=True)
class SentMessage:
    """A message, and how the service answered its deliveries."""

    id: str
    number: ConnectedNumber
    person: str
    body: str
    """The text as it was first sent."""

    is_answered: bool = False
    """Whether a delivery of it was answered with 200."""

    is_deferred: bool = False
    """Whether it was answered as failed, which means that the service stores it later."""

    change: str | None = None
    """The text after an edit or deletion by its sender."""

    is_change_answered: bool = False


@dataclass(slots=True, eq=False)
class PostedDelivery:
    """A delivery's body, the messages in it, and the messages that it edits or deletes."""

    body: bytes
    messages: tuple[SentMessage, ...]
    changed: tuple[SentMessage, ...] = ()
    is_sent: bool = False


@dataclass(slots=True)
class Workload:
    """Organisations with connected numbers, and persons who write to all of them."""

    numbers: list[ConnectedNumber]
    random: Random
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _newest_sender: int = 10

    @classmethod
    def build(cls, server: Postgres, random: Random, organizations: int = 3) -> "Workload":
        """Insert new organisations, each with two WhatsApp numbers and an Instagram account."""
        (existing_count,) = server.execute("SELECT count(*) FROM organizations")[0]
        numbers = []
        for position in range(existing_count, existing_count + organizations):
            org_id = new_id()
            server.execute("INSERT INTO organizations (id, name) VALUES (%s, 'Shop')", org_id)
            for channel, external_id in (
                (Channel.WHATSAPP, f"1{position:03d}1"),
                (Channel.WHATSAPP, f"1{position:03d}2"),
                (Channel.INSTAGRAM, f"17841{position:03d}"),
            ):
                server.execute(
                    "INSERT INTO channel_connections (id, org_id, channel, external_id)"
                    " VALUES (%s, %s, %s, %s)",
                    *(new_id(), org_id, channel, external_id),
                )
                numbers.append(ConnectedNumber(org_id, channel, external_id))
        return cls(numbers, random)

    @property
    def org_ids(self) -> list[UUID]:
        return [number.org_id for number in self.numbers]

    def make_single(self) -> PostedDelivery:
        """Make a delivery of one message."""
        number = self.random.choice(self.numbers)
        return _encode_delivery([(number, [self._make_message(number)])])

    def make_delivery(self, *bodies: str) -> PostedDelivery:
        """Make a delivery to the first number, with a message of each body."""
        number = self.numbers[0]
        return _encode_delivery([(number, [self._make_message(number, body) for body in bodies])])

    def make_batch(self) -> PostedDelivery:
        """Make a delivery of several messages to one number or account."""
        number = self.random.choice(self.numbers)
        return _encode_delivery([(number, self._make_messages(number))])

    def make_batch_across_numbers(self) -> PostedDelivery:
        """Make a delivery of messages to up to three numbers, of any organisations."""
        channel = self.random.choice([Channel.WHATSAPP, Channel.WHATSAPP, Channel.INSTAGRAM])
        numbers = [number for number in self.numbers if number.channel is channel]
        chosen = self.random.sample(numbers, k=min(3, len(numbers)))
        return _encode_delivery([(number, self._make_messages(number)) for number in chosen])

    def make_change(self, message: SentMessage) -> PostedDelivery:
        """Make a delivery in which the message's sender deletes it (2 of 5) or edits it."""
        is_deletion = self.random.random() < 0.4
        message.change = UNSENT_BODY if is_deletion else f"{message.body} (changed)"
        content: Json = {"original_message_id": message.id}
        if not is_deletion:
            content["message"] = {"type": "text", "text": {"body": message.change}}
        type_ = "revoke" if is_deletion else "edit"
        payload = make_delivery(
            Channel.WHATSAPP, message.number.external_id, [_make_sample(message)]
        )
        (item,) = payload["entry"][0]["changes"][0]["value"]["messages"]
        del item["text"]
        item.update({"id": f"{message.id}.{type_}", "type": type_, type_: content})
        return PostedDelivery(json.dumps(payload).encode(), (), (message,))

    def _make_messages(self, number: ConnectedNumber) -> list[SentMessage]:
        return [self._make_message(number) for _ in range(self.random.randint(2, 4))]

    def _make_message(self, number: ConnectedNumber, body: str | None = None) -> SentMessage:
        serial = next(self._ids)
        prefix = "wamid" if number.channel is Channel.WHATSAPP else "mid"
        return SentMessage(
            f"{prefix}.{serial}", number, self._choose_person(), body or f"message {serial}"
        )

    def _choose_person(self) -> str:
        """Choose one of ten constant senders (1 of 3), or the newest sender, who often changes.

        A new sender therefore writes several first messages at about the same time.
        """
        if self.random.random() < 0.15:
            self._newest_sender += 1
        constant_sender = self.random.randint(1, 10)
        senders = [constant_sender, self._newest_sender, self._newest_sender]
        return f"1555{self.random.choice(senders):07d}"


def _encode_delivery(
    parts: Sequence[tuple[ConnectedNumber, Sequence[SentMessage]]],
) -> PostedDelivery:
    payload: Json = {}
    for number, messages in parts:
        samples = [_make_sample(message) for message in messages]
        part = make_delivery(number.channel, number.external_id, samples)
        part["entry"] = [*payload.get("entry", []), *part["entry"]]
        payload = part
    all_messages = tuple(message for _, messages in parts for message in messages)
    return PostedDelivery(json.dumps(payload).encode(), all_messages)


def _make_sample(message: SentMessage) -> Sample:
    return Sample(
        sender=message.person,
        name=f"Person {message.person}",
        text=message.body,
        message_id=message.id,
        sent_at=datetime.now(UTC),
    )


@dataclass(slots=True)
class Load:
    """Posts a workload's deliveries, each until it is answered with 200."""

    url: str
    workload: Workload
    rate: float = 30.0
    """New deliveries per second."""

    messages: list[SentMessage] = field(default_factory=list)
    """Messages that were posted at least once."""

    answers: Counter[str] = field(default_factory=Counter)
    """How often each status code, or error of the client, ended a request."""

    slowest: float = 0.0
    """Seconds of the slowest request that was answered with 200."""

    posted: list[PostedDelivery] = field(default_factory=list)

    @asynccontextmanager
    async def run(self, timeout_seconds: float = 30.0) -> AsyncIterator["Load"]:
        """Post deliveries until the block ends, then wait up to `timeout_seconds` for answers."""
        async with self._open_client() as client:
            senders: set[asyncio.Task[None]] = set()
            producer = asyncio.create_task(self._produce_deliveries(client, senders))
            try:
                yield self
            finally:
                producer.cancel()
                await asyncio.wait({producer})
                if senders:
                    _, late = await asyncio.wait(senders, timeout=timeout_seconds)
                    for sender in late:
                        sender.cancel()
                    await asyncio.gather(*late, return_exceptions=True)
            if not producer.cancelled() and (error := producer.exception()):
                raise error

    async def post(self, posted: PostedDelivery) -> tuple[httpx.Response, float]:
        """Post the delivery once; return the answer and its latency in seconds."""
        async with self._open_client() as client:
            return await self._post(client, posted)

    async def post_all(
        self, deliveries: Sequence[PostedDelivery], concurrency: int = 20
    ) -> list[tuple[httpx.Response, float]]:
        """Post each delivery once, up to `concurrency` at a time; return answers and latencies."""
        free_slots = asyncio.Semaphore(concurrency)
        async with self._open_client() as client:

            async def post(posted: PostedDelivery) -> tuple[httpx.Response, float]:
                async with free_slots:
                    return await self._post(client, posted)

            return await asyncio.gather(*map(post, deliveries))

    def _open_client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        return httpx.AsyncClient(timeout=10, limits=limits, trust_env=False)

    async def _produce_deliveries(
        self, client: httpx.AsyncClient, senders: set["asyncio.Task[None]"]
    ) -> None:
        due = time.monotonic()
        while True:
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if len(senders) < MAX_PENDING_DELIVERIES:
                sender = asyncio.create_task(self._post_until_accepted(client, self._choose_next()))
                senders.add(sender)
                sender.add_done_callback(senders.discard)

    def _choose_next(self) -> PostedDelivery:
        """Choose a repeat (10 %), change (5 %), batch (15 %), batch across numbers (15 %), or single."""
        chance = self.workload.random.random()
        if chance < 0.1 and self.posted:
            return self.workload.random.choice(self.posted[-200:])
        unchanged = self.workload.random.choice(self.messages[-50:]) if self.messages else None
        if chance < 0.15 and unchanged and _can_change(unchanged):
            return self.workload.make_change(unchanged)
        if chance < 0.3:
            return self.workload.make_batch()
        return (
            self.workload.make_batch_across_numbers()
            if chance < 0.45
            else self.workload.make_single()
        )

    async def _post_until_accepted(self, client: httpx.AsyncClient, posted: PostedDelivery) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                answer, _ = await self._post(client, posted)
                if answer.status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_RETRY_SECONDS)

    async def _post(
        self, client: httpx.AsyncClient, posted: PostedDelivery
    ) -> tuple[httpx.Response, float]:
        if not posted.is_sent:
            posted.is_sent = True
            self.posted.append(posted)
            self.messages.extend(posted.messages)
        headers = {"X-Hub-Signature-256": sign(posted.body, APP_SECRET)}
        started_at = time.monotonic()
        try:
            answer = await client.post(
                self.url + WEBHOOK_PATH, content=posted.body, headers=headers
            )
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            raise
        seconds = time.monotonic() - started_at
        self.answers[str(answer.status_code)] += 1
        if answer.status_code == 200:
            self.slowest = max(self.slowest, seconds)
            self._record_answer(posted, answer.json())
        return answer, seconds

    def _record_answer(self, posted: PostedDelivery, counters: Json) -> None:
        assert counters["received"] == len(posted.messages), counters
        for message in posted.messages:
            message.is_answered = True
            message.is_deferred = message.is_deferred or counters["failed"] == len(posted.messages)
        for message in posted.changed:
            message.is_change_answered = True


def _can_change(message: SentMessage) -> bool:
    return message.number.channel is Channel.WHATSAPP and message.change is None
