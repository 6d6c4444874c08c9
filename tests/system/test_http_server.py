"""Tests of the HTTP server's bounds on requests: time and size of headers, time of bodies."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import uvicorn

from leadport.http_server import MAX_OVERHEAD_BYTES, BoundedProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED_HEAD = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
KILOBYTE = b"x" * 1000
SHORT_TIMEOUT_SECONDS = 0.2
ANSWER_TIMEOUT_SECONDS = 30


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body: `/early` before it arrives, `/late` after a pause."""
    if scope["path"] == "/late":
        await asyncio.sleep(4 * SHORT_TIMEOUT_SECONDS)
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Client:
    """A client's connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_answer(self) -> bytes:
        """Read the next answer, which must be 200, and return its body."""
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return await self.reader.readexactly(length)

    async def read_until_closed(self) -> bytes:
        """Read everything that the server sends before it closes the connection."""
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            return await self.reader.read()

    async def wait_for_silent_close(self) -> bool:
        """Wait until the server closes the connection; return whether it sent nothing before."""
        try:
            return await self.read_until_closed() == b""
        except ConnectionError:
            return True

    async def send_repeatedly(self, data: bytes, max_bytes: int) -> bool:
        """Send the data repeatedly; return whether the server closes before `max_bytes` bytes."""
        try:
            for _ in range(max_bytes // len(data)):
                await self.send(data)
        except ConnectionError:
            return True
        return False


class RecordingProtocol(BoundedProtocol):
    """Records the transport of the last connection."""

    last: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        type(self).last = transport


@pytest.fixture
def timeouts() -> dict[str, float]:
    """The server's, where they are not its own."""
    return {}


@pytest.fixture
async def client(timeouts: dict[str, float]) -> AsyncIterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            echo_length,
            http=partial(RecordingProtocol, **timeouts),  # type: ignore[arg-type] # a class, to Uvicorn
            loop="asyncio",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        yield Client(reader, writer)
        writer.close()
        server.should_exit = True
        await serving


@pytest.fixture
def short_header_timeout(timeouts: dict[str, float]) -> None:
    timeouts["headers_timeout_seconds"] = SHORT_TIMEOUT_SECONDS


@pytest.fixture
def short_body_timeout(timeouts: dict[str, float]) -> None:
    timeouts["body_timeout_seconds"] = SHORT_TIMEOUT_SECONDS


async def test_head_and_body_of_an_answer_are_sent_without_delay(client: Client) -> None:
    """Also on a socket that was bound before the server started, as with several workers."""
    await client.send(HEAD + b"Content-Length: 2\r\n\r\nhi")
    assert await client.read_answer() == b"2"

    connection = RecordingProtocol.last.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.usefixtures("short_header_timeout")
@pytest.mark.parametrize("sent", [b"", b"POST", HEAD])
async def test_a_connection_with_incomplete_headers_is_closed_in_time(
    client: Client, sent: bytes
) -> None:
    await client.send(sent)

    assert await client.wait_for_silent_close()


@pytest.mark.usefixtures("short_header_timeout")
async def test_a_connection_with_incomplete_headers_of_a_second_request_is_closed_in_time(
    client: Client,
) -> None:
    await client.send(HEAD + b"Content-Length: 2\r\n\r\nhi")
    assert await client.read_answer() == b"2"
    await client.send(HEAD)

    assert await client.wait_for_silent_close()


@pytest.mark.usefixtures("short_body_timeout")
@pytest.mark.parametrize("sent", [b"", b"half"])
async def test_a_request_with_an_incomplete_body_is_answered_with_408(
    client: Client, sent: bytes
) -> None:
    await client.send(HEAD + b"Content-Length: 8\r\n\r\n" + sent)

    head, _, body = (await client.read_until_closed()).partition(b"\r\n\r\n")
    assert head.startswith(
        b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json"
    )
    assert json.loads(body)["title"] == "Request Timeout"


@pytest.mark.usefixtures("short_body_timeout")
async def test_a_body_that_arrives_byte_by_byte_is_answered_with_408(client: Client) -> None:
    await client.send(HEAD + b"Content-Length: 1000000\r\n\r\n")

    async def send_bytes() -> None:
        while True:
            await client.send(b"x")
            await asyncio.sleep(SHORT_TIMEOUT_SECONDS / 10)

    sender = asyncio.create_task(send_bytes())
    assert (await client.reader.readline()).startswith(b"HTTP/1.1 408 ")
    sender.cancel()


@pytest.mark.slow
@pytest.mark.usefixtures("short_body_timeout")
async def test_slow_answers_and_pauses_between_requests_do_not_count_as_body_time(
    client: Client,
) -> None:
    for path in (b"/late", b"/"):
        await client.send(HEAD.replace(b"/", path, 1) + b"Content-Length: 2\r\n\r\nhi")
        assert await client.read_answer() == b"2"
        await asyncio.sleep(2 * SHORT_TIMEOUT_SECONDS)


@pytest.mark.usefixtures("short_body_timeout")
async def test_a_request_answered_before_its_body_gets_no_408_too(client: Client) -> None:
    await client.send(HEAD.replace(b"/", b"/early", 1) + b"Content-Length: 8\r\n\r\nhalf")
    assert await client.read_answer() == b"0"

    assert await client.wait_for_silent_close()


@pytest.mark.usefixtures("short_body_timeout")
async def test_a_408_is_not_sent_in_place_of_a_pending_answer(client: Client) -> None:
    first = HEAD.replace(b"/", b"/late", 1) + b"Content-Length: 2\r\n\r\nhi"
    await client.send(first + HEAD + b"Content-Length: 8\r\n\r\nhalf")

    assert await client.wait_for_silent_close()


@pytest.mark.slow
@pytest.mark.usefixtures("short_header_timeout")
async def test_the_header_timeout_does_not_apply_to_bodies_and_pauses(client: Client) -> None:
    for _ in range(2):
        await client.send(HEAD + b"Content-Length: 2\r\n\r\nh")
        await asyncio.sleep(2 * SHORT_TIMEOUT_SECONDS)
        await client.send(b"i")
        assert await client.read_answer() == b"2"
        await asyncio.sleep(2 * SHORT_TIMEOUT_SECONDS)


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        pytest.param(b"GET /", KILOBYTE, id="url"),
        pytest.param(HEAD, b"X-Long: " + KILOBYTE + b"\r\n", id="headers"),
        pytest.param(HEAD + b"X-Long: ", KILOBYTE, id="one header"),
        pytest.param(CHUNKED_HEAD + b"0\r\n", b"X-Long: " + KILOBYTE + b"\r\n", id="trailers"),
        pytest.param(CHUNKED_HEAD + b"1;", KILOBYTE, id="chunk extension"),
    ],
)
async def test_a_request_without_an_end_is_closed_after_a_bounded_number_of_bytes(
    client: Client, head: bytes, endless: bytes
) -> None:
    await client.send(head)

    assert await client.send_repeatedly(endless, 1000 * MAX_OVERHEAD_BYTES)


async def test_long_bodies_do_not_count_for_the_limit_of_headers(client: Client) -> None:
    count = 4 * MAX_OVERHEAD_BYTES // len(KILOBYTE)
    for _ in range(2):
        await client.send(CHUNKED_HEAD)
        for _ in range(count):
            await client.send(b"%x\r\n%b\r\n" % (len(KILOBYTE), KILOBYTE))
        await client.send(b"0\r\n\r\n")
        assert await client.read_answer() == b"%d" % (count * len(KILOBYTE))

        await client.send(HEAD + b"Content-Length: 1000000\r\n\r\n" + 1000 * KILOBYTE)
        assert await client.read_answer() == b"1000000"
