"""A TCP proxy before PostgreSQL that breaks connections where it hurts most."""

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
"""What psycopg sends; connections are not encrypted here."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends a reset."""


@dataclass(slots=True)
class Proxy:
    """Passes everything on, until it is told to break some.

    Of the commits it breaks `broken_commit_share`: half before the server has seen them, half when the server
    has them and its answer is under way, so that nobody but the server knows.
    """

    to_port: int
    random: Random
    port: int = field(default_factory=find_free_port)
    broken_commit_share: float = 0.0
    broken_commits: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def listen(self) -> Iterator["Proxy"]:
        """In a thread of its own, whatever the test waits for."""
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
        """Break every connection, whatever it is doing."""
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
        for writer in tuple(self._open):
            self._reset(writer)

    async def _handle_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._open.add(writer)
        try:
            with suppress(OSError):
                await self._forward(reader, writer)
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            await _close_writer(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        answers = asyncio.create_task(_pump(to_reader, writer))
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


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _close_writer(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
