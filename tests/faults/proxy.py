"""A TCP proxy in front of PostgreSQL that resets connections, above all during commits."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from tests.support.service_process import find_free_port

CHUNK_BYTES = 65536
COMMIT_QUERY = b"COMMIT\0"
"""The text of psycopg's COMMIT, which the proxy finds because connections are not encrypted."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which closing a socket sends a TCP reset."""


@dataclass(slots=True)
class Proxy:
    """Forwards connections to `to_port`, and resets some of them when they commit.

    Half of the broken commits do not reach the server. The other half do, and the connection is
    reset before the client has received the answer, so only the server knows the outcome.
    """

    to_port: int
    random: Random
    port: int = field(default_factory=find_free_port)
    broken_commit_share: float = 0.0
    """Share of commits to break, from 0 to 1."""

    broken_commits: int = 0
    """Number of commits broken so far."""

    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def listen(self) -> Iterator["Proxy"]:
        """Accept connections in a thread of its own until the block ends."""
        ready = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._listen(ready)))
        thread.start()
        try:
            assert ready.wait(timeout=10)
            yield self
        finally:
            assert self._loop
            self._loop.call_soon_threadsafe(self._ended.set)
            thread.join(timeout=10)

    def reset_all(self) -> None:
        """Reset every open connection."""
        assert self._loop
        self._loop.call_soon_threadsafe(self._reset_all)

    async def _listen(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._handle_connection, "127.0.0.1", self.port)
        ready.set()
        await self._ended.wait()
        server.close()
        self._reset_all()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def _reset_all(self) -> None:
        for writer in tuple(self._writers):
            self._reset(writer)

    async def _handle_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with suppress(OSError):
                await self._forward(reader, writer)
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            await _close_writer(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        answers = asyncio.create_task(_copy_stream(to_reader, writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                if COMMIT_QUERY in data and self.random.random() < self.broken_commit_share:
                    self.broken_commits += 1
                    await self._break_commit(data, to_writer, writer, answers)
                    return
                to_writer.write(data)
                await to_writer.drain()
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            await _close_writer(to_writer)

    async def _break_commit(
        self,
        data: bytes,
        to_writer: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
        answers: "asyncio.Task[None]",
    ) -> None:
        if self.random.random() < 0.5:
            answers.cancel()
            to_writer.write(data)
            await to_writer.drain()
            await asyncio.sleep(0.05)
        self._reset(writer)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        raw = writer.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()


async def _copy_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _close_writer(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
