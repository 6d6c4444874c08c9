"""A load of deliveries as Meta sends them, and who was told what."""

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

from application.verify_webhook import sign
from domain.connection import Channel
from interfaces.meta.samples import Sample, delivery
from tests.faults.servers import APP_SECRET, Postgres
from tests.support.builders import new_id

Json = dict[str, Any]

WEBHOOK_PATH = "/api/webhooks/meta"
MAX_PENDING_DELIVERIES = 400
"""Then a sender waits, as Meta's do."""

UNSENT_BODY = "[deleted]"
"""What stands for a message that its sender has deleted."""

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.3, 3.0
"""Before a delivery comes again that was not answered with 200."""


@dataclass(frozen=True, slots=True)
class ConnectedNumber:
    """A connection and whose it is."""

    org_id: UUID
    channel: Channel
    external_id: str


@dataclass(slots=True)
class SentMessage:
    """A message that was sent at least once; `body` is what it says after `changed`."""

    id: str
    number: ConnectedNumber
    person: str
    body: str
    is_answered: bool = False
    is_deferred: bool = False
    change: str | None = None
    is_change_answered: bool = False


@dataclass(slots=True, eq=False)
class PostedDelivery:
    """A delivery: the messages in it and those that it changes."""

    body: bytes
    messages: tuple[SentMessage, ...]
    changed: tuple[SentMessage, ...] = ()
    is_sent: bool = False


@dataclass(slots=True)
class Workload:
    """Organisations, their numbers, and people who write to all of them."""

    numbers: list[ConnectedNumber]
    random: Random
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _newest: int = 10

    @classmethod
    def build(cls, server: Postgres, random: Random, organizations: int = 3) -> "Workload":
        """With two numbers and an account for each organisation, which no other town has."""
        (others,) = server.execute("SELECT count(*) FROM organizations")[0]
        numbers = []
        for which in range(others, others + organizations):
            org_id = new_id()
            server.execute("INSERT INTO organizations (id, name) VALUES (%s, 'Town')", org_id)
            for channel, external_id in (
                (Channel.WHATSAPP, f"1{which:03d}1"),
                (Channel.WHATSAPP, f"1{which:03d}2"),
                (Channel.INSTAGRAM, f"17841{which:03d}"),
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
        number = self.random.choice(self.numbers)
        return _encode_delivery([(number, [self._make_message(number)])])

    def make_delivery(self, *bodies: str) -> PostedDelivery:
        """A message of each body to the first number."""
        number = self.numbers[0]
        return _encode_delivery([(number, [self._make_message(number, body) for body in bodies])])

    def make_batch(self) -> PostedDelivery:
        """Messages to one number or account."""
        number = self.random.choice(self.numbers)
        return _encode_delivery([(number, self._make_messages(number))])

    def make_batch_across_numbers(self) -> PostedDelivery:
        """Messages to several numbers, of several organisations, in one delivery."""
        channel = self.random.choice([Channel.WHATSAPP, Channel.WHATSAPP, Channel.INSTAGRAM])
        numbers = [number for number in self.numbers if number.channel is channel]
        chosen = self.random.sample(numbers, k=min(3, len(numbers)))
        return _encode_delivery([(number, self._make_messages(number)) for number in chosen])

    def make_change(self, message: SentMessage) -> PostedDelivery:
        """Its sender takes it back, or says it in other words."""
        is_taken_back = self.random.random() < 0.4
        message.change = UNSENT_BODY if is_taken_back else f"{message.body} (changed)"
        part: Json = {"original_message_id": message.id}
        if not is_taken_back:
            part["message"] = {"type": "text", "text": {"body": message.change}}
        type_ = "revoke" if is_taken_back else "edit"
        shaped = delivery(Channel.WHATSAPP, message.number.external_id, [_make_sample(message)])
        (item,) = shaped["entry"][0]["changes"][0]["value"]["messages"]
        del item["text"]
        item.update({"id": f"{message.id}.{type_}", "type": type_, type_: part})
        return PostedDelivery(json.dumps(shaped).encode(), (), (message,))

    def _make_messages(self, number: ConnectedNumber) -> list[SentMessage]:
        return [self._make_message(number) for _ in range(self.random.randint(2, 4))]

    def _make_message(self, number: ConnectedNumber, body: str | None = None) -> SentMessage:
        which = next(self._ids)
        kind = "wamid" if number.channel is Channel.WHATSAPP else "mid"
        return SentMessage(
            f"{kind}.{which}", number, self._choose_person(), body or f"message {which}"
        )

    def _choose_person(self) -> str:
        """Some write all the time, some for the first time, and then several times at once."""
        if self.random.random() < 0.15:
            self._newest += 1
        known = self.random.randint(1, 10)
        return f"1555{self.random.choice([known, self._newest, self._newest]):07d}"


def _encode_delivery(
    parts: Sequence[tuple[ConnectedNumber, Sequence[SentMessage]]],
) -> PostedDelivery:
    shaped: Json = {}
    for number, messages in parts:
        samples = [_make_sample(message) for message in messages]
        one = delivery(number.channel, number.external_id, samples)
        one["entry"] = [*shaped.get("entry", []), *one["entry"]]
        shaped = one
    every = tuple(message for _, messages in parts for message in messages)
    return PostedDelivery(json.dumps(shaped).encode(), every)


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
    """Sends what the town writes, again and again until it is answered with 200."""

    url: str
    workload: Workload
    rate: float = 30.0
    messages: list[SentMessage] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    posted: list[PostedDelivery] = field(default_factory=list)

    @asynccontextmanager
    async def run(self, patience: float = 30.0) -> AsyncIterator["Load"]:
        """Until the block ends; then what is not answered yet has `patience` seconds more."""
        async with self._client() as client:
            senders: set[asyncio.Task[None]] = set()
            producer = asyncio.create_task(self._produce_deliveries(client, senders))
            try:
                yield self
            finally:
                producer.cancel()
                await asyncio.wait({producer})
                if senders:
                    _, late = await asyncio.wait(senders, timeout=patience)
                    for sender in late:
                        sender.cancel()
                    await asyncio.gather(*late, return_exceptions=True)
            if not producer.cancelled() and (error := producer.exception()):
                raise error

    async def post(self, posted: PostedDelivery) -> tuple[httpx.Response, float]:
        """Send it once; the answer, and after how long it came."""
        async with self._client() as client:
            return await self._post(client, posted)

    async def post_all(
        self, every: Sequence[PostedDelivery], at_once: int = 20
    ) -> list[tuple[httpx.Response, float]]:
        """Send each once."""
        turns = asyncio.Semaphore(at_once)
        async with self._client() as client:

            async def post(posted: PostedDelivery) -> tuple[httpx.Response, float]:
                async with turns:
                    return await self._post(client, posted)

            return await asyncio.gather(*map(post, every))

    def _client(self) -> httpx.AsyncClient:
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
        begun = time.monotonic()
        try:
            answer = await client.post(
                self.url + WEBHOOK_PATH, content=posted.body, headers=headers
            )
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            raise
        seconds = time.monotonic() - begun
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
