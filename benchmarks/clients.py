"""An asyncio HTTP client for the benchmarks: sends prepared requests and times each answer."""

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

CONTENT_LENGTH_PATTERN = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The result of one measurement: latencies in seconds, and how often each answer came.

    The keys of `answers` are an answer's status and body, joined by a space.
    """

    seconds: float
    """How long the measurement ran."""

    mean: float
    p50: float
    p99: float
    longest: float
    answers: Counter[str]
    over_limit_share: float = 0.0
    """Share of answers that took longer than `META_MEDIAN_LIMIT_SECONDS`, from 0 to 1."""

    @property
    def requests(self) -> int:
        """Number of answered requests."""
        return self.answers.total()

    @property
    def rate(self) -> float:
        """Answered requests per second."""
        return self.requests / self.seconds


class ServerFellBehind(Exception):
    """A request was not sent within `MAX_DELAY_SECONDS` of its due time."""


MAX_DELAY_SECONDS = 5.0
"""A paced request that starts later than this after its due time ends the measurement."""

MAX_PACED_CONNECTIONS = 256
"""Concurrent requests of the paced measurement; further ones queue until a connection is free."""

META_MEDIAN_LIMIT_SECONDS = 0.25
"""Meta asks for a median latency of at most 250 ms."""


@dataclass(slots=True)
class LatencyRecorder:
    """Collects the answers of a measurement and how long each took."""

    durations: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def record(self, answer: str, seconds: float) -> None:
        """Add one answer and its latency."""
        self.answers[answer] += 1
        self.durations.append(seconds)

    def summarize(self, seconds: float) -> Measurement:
        """Compute the figures of a measurement that ran `seconds` and had at least one answer."""
        ordered = sorted(self.durations)
        over_limit = sum(duration > META_MEDIAN_LIMIT_SECONDS for duration in ordered)
        return Measurement(
            seconds=seconds,
            mean=fmean(ordered),
            p50=_find_percentile(ordered, 50),
            p99=_find_percentile(ordered, 99),
            longest=ordered[-1],
            answers=self.answers,
            over_limit_share=over_limit / len(ordered),
        )


def _find_percentile(ordered: Sequence[float], percent: int) -> float:
    """Nearest-rank percentile of durations in ascending order."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


class HttpConnection(asyncio.Protocol):
    """A persistent HTTP/1.1 connection that carries one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP has
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Complete the pending answer once its head and whole body have arrived."""
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        length = CONTENT_LENGTH_PATTERN.search(self._received, 0, head + 2) if head > 0 else None
        if self._answer and length and len(self._received) >= head + 4 + int(length[1]):
            body = self._received[head + 4 :].decode()
            self._answer.set_result(f"{self._received[9:12].decode()} {body}")
            self._received.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending answer, if there is one."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed without an answer"))

    @property
    def is_closed(self) -> bool:
        """Whether either side has closed the connection."""
        return self._transport.is_closing()

    async def send(self, request: bytes) -> str:
        """Send the request and return its answer's status and body, joined by a space.

        The connection must be open. Raises OSError where it breaks before the answer is complete.
        """
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def _connect(port: int) -> HttpConnection:
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(HttpConnection, "127.0.0.1", port))[1]


def send_paced(port: int, requests: Sequence[bytes], rate: float) -> Measurement:
    """Send `rate` requests per second, independently of how fast the answers come.

    A latency counts from the time at which the request was due, so queueing is included. Raises
    ServerFellBehind where a request could not start within `MAX_DELAY_SECONDS`.
    """

    async def send_all() -> Measurement:
        clock = asyncio.get_running_loop().time
        recorder, idle_connections = LatencyRecorder(), [await _connect(port)]
        free_slots, is_behind = asyncio.Semaphore(MAX_PACED_CONNECTIONS), False

        async def send_one(request: bytes, due: float) -> None:
            nonlocal is_behind
            async with free_slots:
                is_behind = is_behind or clock() - due > MAX_DELAY_SECONDS
                if not is_behind:
                    connection = (
                        idle_connections.pop() if idle_connections else await _connect(port)
                    )
                    if connection.is_closed:  # the server closes idle connections
                        connection = await _connect(port)
                    recorder.record(await connection.send(request), clock() - due)
                    idle_connections.append(connection)

        started_at = clock()
        async with asyncio.TaskGroup() as tasks:
            for position, request in enumerate(requests):
                due = started_at + position / rate
                await asyncio.sleep(due - clock())
                if is_behind:
                    break
                tasks.create_task(send_one(request, due))
        measurement = recorder.summarize(clock() - started_at)
        for connection in idle_connections:
            connection.close()
        if is_behind:
            raise ServerFellBehind(f"{rate} requests/s are more than the server can take")
        return measurement

    return _run_with_precise_timers(send_all())


def send_at_once(port: int, requests: Sequence[bytes]) -> Measurement:
    """Open a connection for each request, then send all requests at the same time."""

    async def send_all() -> Measurement:
        recorder = LatencyRecorder()
        connections = [await _connect(port) for _ in requests]
        started_at = time.perf_counter()

        async def send_one(connection: HttpConnection, request: bytes) -> None:
            recorder.record(await connection.send(request), time.perf_counter() - started_at)
            connection.close()

        await asyncio.gather(*map(send_one, connections, requests))
        return recorder.summarize(time.perf_counter() - started_at)

    return asyncio.run(send_all())


def send_in_turn(
    port: int, requests: Iterable[bytes], connections: int, seconds: float
) -> Measurement:
    """Keep each of `connections` busy for `seconds`: the next request follows the last answer."""

    async def send_all() -> Measurement:
        recorder, unsent = LatencyRecorder(), iter(requests)
        started_at = time.perf_counter()
        await asyncio.gather(*(keep_busy(recorder, unsent, started_at) for _ in range(connections)))
        return recorder.summarize(time.perf_counter() - started_at)

    async def keep_busy(
        recorder: LatencyRecorder, unsent: Iterator[bytes], started_at: float
    ) -> None:
        connection = await _connect(port)
        sent_at = time.perf_counter()
        while sent_at - started_at < seconds:
            answer = await connection.send(next(unsent))
            answered_at = time.perf_counter()
            recorder.record(answer, answered_at - sent_at)
            sent_at = answered_at
        connection.close()

    return asyncio.run(send_all())


def _run_with_precise_timers(work: Coroutine[None, None, T]) -> T:
    """Run in a loop on select(), whose timeouts have microseconds; epoll rounds up to 1 ms."""
    make_loop = lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())  # noqa: E731
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(work)
