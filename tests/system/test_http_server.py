"""What the HTTP server takes from strangers, before anybody has seen a signature."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from leadport import http_server
from leadport.http_server import LARGEST_HEADERS, BoundedProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED_HEAD = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
KILOBYTE = b"x" * 1000
SHORT_TIMEOUT_SECONDS = 0.2
ANSWER_TIMEOUT_SECONDS = 30


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    """Answer with how many bytes the body has; at `/early` before it has come, `/late` later."""
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
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_answer(self) -> bytes:
        """The body of the next answer, which must be 200."""
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return await self.reader.readexactly(length)

    async def read_until_closed(self) -> bytes:
        """Whatever comes until the server hangs up."""
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            return await self.reader.read()

    async def wait_for_silent_close(self) -> bool:
        """Wait for the server to hang up without a word."""
        try:
            return await self.read_until_closed() == b""
        except ConnectionError:
            return True

    async def send_repeatedly(self, data: bytes, most: int) -> bool:
        """Send it over and over; whether the server hangs up before `most` bytes."""
        try:
            for _ in range(most // len(data)):
                await self.send(data)
        except ConnectionError:
            return True
        return False


class RecordingProtocol(BoundedProtocol):
    """Remembers the last connection that was made."""

    last: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        type(self).last = transport


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            echo_length,
            http=RecordingProtocol,
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
def short_header_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "SLOWEST_HEADERS", SHORT_TIMEOUT_SECONDS)


@pytest.fixture
def short_body_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "SLOWEST_BODY", SHORT_TIMEOUT_SECONDS)


async def test_an_answer_does_not_wait_for_its_second_half(client: Client) -> None:
    """Neither where the socket was bound before, as that of several workers is."""
    await client.send(HEAD + b"Content-Length: 2\r\n\r\nhi")
    assert await client.read_answer() == b"2"

    connection = RecordingProtocol.last.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.usefixtures("short_header_timeout")
@pytest.mark.parametrize("sent", [b"", b"POST", HEAD])
async def test_who_does_not_finish_their_headers_is_hung_up_on(client: Client, sent: bytes) -> None:
    await client.send(sent)

    assert await client.wait_for_silent_close()


@pytest.mark.usefixtures("short_header_timeout")
async def test_so_is_who_does_not_finish_those_of_the_second_request(client: Client) -> None:
    await client.send(HEAD + b"Content-Length: 2\r\n\r\nhi")
    assert await client.read_answer() == b"2"
    await client.send(HEAD)

    assert await client.wait_for_silent_close()


@pytest.mark.usefixtures("short_body_timeout")
@pytest.mark.parametrize("half", [b"", b"half"])
async def test_who_does_not_finish_their_body_is_told_so(client: Client, half: bytes) -> None:
    await client.send(HEAD + b"Content-Length: 8\r\n\r\n" + half)

    head, _, body = (await client.read_until_closed()).partition(b"\r\n\r\n")
    assert head.startswith(
        b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json"
    )
    assert json.loads(body)["title"] == "Request Timeout"


@pytest.mark.usefixtures("short_body_timeout")
async def test_a_byte_now_and_then_does_not_help(client: Client) -> None:
    await client.send(HEAD + b"Content-Length: 1000000\r\n\r\n")

    async def drip() -> None:
        while True:
            await client.send(b"x")
            await asyncio.sleep(SHORT_TIMEOUT_SECONDS / 10)

    dripping = asyncio.create_task(drip())
    assert (await client.reader.readline()).startswith(b"HTTP/1.1 408 ")
    dripping.cancel()


@pytest.mark.usefixtures("short_body_timeout")
async def test_answers_and_pauses_may_take_longer(client: Client) -> None:
    for path in (b"/late", b"/"):
        await client.send(HEAD.replace(b"/", path, 1) + b"Content-Length: 2\r\n\r\nhi")
        assert await client.read_answer() == b"2"
        await asyncio.sleep(2 * SHORT_TIMEOUT_SECONDS)


@pytest.mark.usefixtures("short_body_timeout")
async def test_nobody_is_answered_twice(client: Client) -> None:
    await client.send(HEAD.replace(b"/", b"/early", 1) + b"Content-Length: 8\r\n\r\nhalf")
    assert await client.read_answer() == b"0"

    assert await client.wait_for_silent_close()


@pytest.mark.usefixtures("short_body_timeout")
async def test_nobody_gets_the_answer_to_another_request(client: Client) -> None:
    first = HEAD.replace(b"/", b"/late", 1) + b"Content-Length: 2\r\n\r\nhi"
    await client.send(first + HEAD + b"Content-Length: 8\r\n\r\nhalf")

    assert await client.wait_for_silent_close()


@pytest.mark.usefixtures("short_header_timeout")
async def test_bodies_may_take_longer_than_headers(client: Client) -> None:
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
async def test_who_never_comes_to_an_end_is_hung_up_on(
    client: Client, head: bytes, endless: bytes
) -> None:
    await client.send(head)

    assert await client.send_repeatedly(endless, 1000 * LARGEST_HEADERS)


async def test_bodies_are_as_long_as_they_are(client: Client) -> None:
    count = 4 * LARGEST_HEADERS // len(KILOBYTE)
    for _ in range(2):
        await client.send(CHUNKED_HEAD)
        for _ in range(count):
            await client.send(b"%x\r\n%b\r\n" % (len(KILOBYTE), KILOBYTE))
        await client.send(b"0\r\n\r\n")
        assert await client.read_answer() == b"%d" % (count * len(KILOBYTE))

        await client.send(HEAD + b"Content-Length: 1000000\r\n\r\n" + 1000 * KILOBYTE)
        assert await client.read_answer() == b"1000000"
