"""Connections that ask and time the answers, in this process: paced, all at once, or in turns."""

import asyncio
import math
import re
import selectors
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TypeVar

T = TypeVar("T")

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a measurement saw. Times are in seconds; an answer is its status and body."""

    seconds: float
    mean: float
    p50: float
    p99: float
    longest: float
    answers: Counter[str]
    over_limit_share: float = 0.0
    """The share of answers that durations longer than Meta asks for."""

    @property
    def requests(self) -> int:
        """How many were answered."""
        return self.answers.total()

    @property
    def rate(self) -> float:
        """How many were answered a second."""
        return self.requests / self.seconds


class ServerFellBehind(Exception):
    """The server cannot take what is due."""


MAX_DELAY_SECONDS = 5.0
"""Seconds that a request waits for its turn until that is so."""

MAX_PACED_CONNECTIONS = 256
"""Of the paced measurement; a server that falls behind makes those wait that are due."""

META_MEDIAN_LIMIT_SECONDS = 0.25
"""Seconds; Meta asks for a median of at most that."""


@dataclass(slots=True)
class Stopwatch:
    """Collects answers and how long they took."""

    durations: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def record(self, answer: str, seconds: float) -> None:
        """Keep one."""
        self.answers[answer] += 1
        self.durations.append(seconds)

    def summarize(self, seconds: float) -> Measurement:
        """All of them together."""
        ordered = sorted(self.durations)
        return Measurement(
            seconds=seconds,
            mean=fmean(ordered),
            p50=_find_percentile(ordered, 50),
            p99=_find_percentile(ordered, 99),
            longest=ordered[-1],
            answers=self.answers,
            over_limit_share=sum(durations > META_MEDIAN_LIMIT_SECONDS for durations in ordered)
            / len(ordered),
        )


def _find_percentile(ordered: Sequence[float], share: int) -> float:
    return ordered[math.ceil(len(ordered) * share / 100) - 1]


class Connection(asyncio.Protocol):
    """One connection, with one request under way."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP has
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer, once all of it is here."""
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        length = LENGTH.search(self._received, 0, head + 2) if head > 0 else None
        if self._answer and length and len(self._received) >= head + 4 + int(length[1]):
            body = self._received[head + 4 :].decode()
            self._answer.set_result(f"{self._received[9:12].decode()} {body}")
            self._received.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is still asked."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed without an answer"))

    @property
    def is_closed(self) -> bool:
        """Whether it is no use to ask."""
        return self._transport.is_closing()

    async def send(self, request: bytes) -> str:
        """Send it; the answer's status and body. The connection must be open."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def _connect(port: int) -> Connection:
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(Connection, "127.0.0.1", port))[1]


def send_paced(port: int, requests: Sequence[bytes], rate: float) -> Measurement:
    """Send so many a second, whatever the answers take, and time each from when it was due."""

    async def send() -> Measurement:
        clock = asyncio.get_running_loop().time
        watch, idle = Stopwatch(), [await _connect(port)]
        turns, is_behind = asyncio.Semaphore(MAX_PACED_CONNECTIONS), False

        async def one(request: bytes, due: float) -> None:
            nonlocal is_behind
            async with turns:
                is_behind = is_behind or clock() - due > MAX_DELAY_SECONDS
                if not is_behind:
                    connection = idle.pop() if idle else await _connect(port)
                    if connection.is_closed:  # by the server, which keeps none that is idle
                        connection = await _connect(port)
                    watch.record(await connection.send(request), clock() - due)
                    idle.append(connection)

        begun = clock()
        async with asyncio.TaskGroup() as under_way:
            for number, request in enumerate(requests):
                due = begun + number / rate
                await asyncio.sleep(due - clock())
                if is_behind:
                    break
                under_way.create_task(one(request, due))
        measured = watch.summarize(clock() - begun)
        for connection in idle:
            connection.close()
        if is_behind:
            raise ServerFellBehind(f"{rate} requests/s are more than the server can take")
        return measured

    return _run(send())


def send_at_once(port: int, requests: Sequence[bytes]) -> Measurement:
    """Send all in the same instant, each over a connection of its own."""

    async def send() -> Measurement:
        watch = Stopwatch()
        connections = [await _connect(port) for _ in requests]
        begun = time.perf_counter()

        async def one(connection: Connection, request: bytes) -> None:
            watch.record(await connection.send(request), time.perf_counter() - begun)
            connection.close()

        await asyncio.gather(*map(one, connections, requests))
        return watch.summarize(time.perf_counter() - begun)

    return asyncio.run(send())


def send_in_turn(
    port: int, requests: Iterable[bytes], connections: int, seconds: float
) -> Measurement:
    """Send the next one over each connection as soon as it has its answer."""

    async def send() -> Measurement:
        watch, waiting = Stopwatch(), iter(requests)
        begun = time.perf_counter()
        await asyncio.gather(*(keep_asking(watch, waiting, begun) for _ in range(connections)))
        return watch.summarize(time.perf_counter() - begun)

    async def keep_asking(watch: Stopwatch, waiting: Iterator[bytes], begun: float) -> None:
        connection = await _connect(port)
        asked = time.perf_counter()
        while asked - begun < seconds:
            answer = await connection.send(next(waiting))
            answered = time.perf_counter()
            watch.record(answer, answered - asked)
            asked = answered
        connection.close()

    return asyncio.run(send())


def _run(work: Coroutine[None, None, T]) -> T:
    """Run it in a loop that wakes up to the microsecond: epoll would wake a millisecond late."""
    make = lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())  # noqa: E731
    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(work)
