"""What the HTTP server takes from strangers, before anybody has seen a signature."""

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
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = b"x" * 1000
SOON = 0.2
ENOUGH = 30


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    """Answer with how many bytes the body has; at `/early` before it has come, `/late` later."""
    if scope["path"] == "/late":
        await asyncio.sleep(4 * SOON)
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

    async def answer(self) -> bytes:
        """The body of the next answer, which must be 200."""
        async with asyncio.timeout(ENOUGH):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return await self.reader.readexactly(length)

    async def last_answer(self) -> bytes:
        """Whatever comes until the server hangs up."""
        async with asyncio.timeout(ENOUGH):
            return await self.reader.read()

    async def is_closed(self) -> bool:
        """Wait for the server to hang up without a word."""
        try:
            return await self.last_answer() == b""
        except ConnectionError:
            return True

    async def send_for_ever(self, data: bytes, most: int) -> bool:
        """Send it over and over; whether the server hangs up before `most` bytes."""
        try:
            for _ in range(most // len(data)):
                await self.send(data)
        except ConnectionError:
            return True
        return False


class Seen(BoundedProtocol):
    """Remembers the last connection that was made."""

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
            http=partial(Seen, **timeouts),  # type: ignore[arg-type] # a class, to Uvicorn
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
def hurry(timeouts: dict[str, float]) -> None:
    timeouts["headers_timeout_seconds"] = SOON


@pytest.fixture
def hurry_with_bodies(timeouts: dict[str, float]) -> None:
    timeouts["body_timeout_seconds"] = SOON


async def test_an_answer_does_not_wait_for_its_second_half(client: Client) -> None:
    """Neither where the socket was bound before, as that of several workers is."""
    await client.send(HEAD + b"Content-Length: 2\r\n\r\nhi")
    assert await client.answer() == b"2"

    connection = Seen.last.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("sent", [b"", b"POST", HEAD])
async def test_who_does_not_finish_their_headers_is_hung_up_on(client: Client, sent: bytes) -> None:
    await client.send(sent)

    assert await client.is_closed()


@pytest.mark.usefixtures("hurry")
async def test_so_is_who_does_not_finish_those_of_the_second_request(client: Client) -> None:
    await client.send(HEAD + b"Content-Length: 2\r\n\r\nhi")
    assert await client.answer() == b"2"
    await client.send(HEAD)

    assert await client.is_closed()


@pytest.mark.usefixtures("hurry_with_bodies")
@pytest.mark.parametrize("half", [b"", b"half"])
async def test_who_does_not_finish_their_body_is_told_so(client: Client, half: bytes) -> None:
    await client.send(HEAD + b"Content-Length: 8\r\n\r\n" + half)

    head, _, body = (await client.last_answer()).partition(b"\r\n\r\n")
    assert head.startswith(
        b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json"
    )
    assert json.loads(body)["title"] == "Request Timeout"


@pytest.mark.usefixtures("hurry_with_bodies")
async def test_a_byte_now_and_then_does_not_help(client: Client) -> None:
    await client.send(HEAD + b"Content-Length: 1000000\r\n\r\n")

    async def drip() -> None:
        while True:
            await client.send(b"x")
            await asyncio.sleep(SOON / 10)

    dripping = asyncio.create_task(drip())
    assert (await client.reader.readline()).startswith(b"HTTP/1.1 408 ")
    dripping.cancel()


@pytest.mark.usefixtures("hurry_with_bodies")
async def test_answers_and_pauses_may_take_longer(client: Client) -> None:
    for path in (b"/late", b"/"):
        await client.send(HEAD.replace(b"/", path, 1) + b"Content-Length: 2\r\n\r\nhi")
        assert await client.answer() == b"2"
        await asyncio.sleep(2 * SOON)


@pytest.mark.usefixtures("hurry_with_bodies")
async def test_nobody_is_answered_twice(client: Client) -> None:
    await client.send(HEAD.replace(b"/", b"/early", 1) + b"Content-Length: 8\r\n\r\nhalf")
    assert await client.answer() == b"0"

    assert await client.is_closed()


@pytest.mark.usefixtures("hurry_with_bodies")
async def test_nobody_gets_the_answer_to_another_request(client: Client) -> None:
    first = HEAD.replace(b"/", b"/late", 1) + b"Content-Length: 2\r\n\r\nhi"
    await client.send(first + HEAD + b"Content-Length: 8\r\n\r\nhalf")

    assert await client.is_closed()


@pytest.mark.usefixtures("hurry")
async def test_bodies_may_take_longer_than_headers(client: Client) -> None:
    for _ in range(2):
        await client.send(HEAD + b"Content-Length: 2\r\n\r\nh")
        await asyncio.sleep(2 * SOON)
        await client.send(b"i")
        assert await client.answer() == b"2"
        await asyncio.sleep(2 * SOON)


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        pytest.param(b"GET /", LONG, id="url"),
        pytest.param(HEAD, b"X-Long: " + LONG + b"\r\n", id="headers"),
        pytest.param(HEAD + b"X-Long: ", LONG, id="one header"),
        pytest.param(CHUNKED + b"0\r\n", b"X-Long: " + LONG + b"\r\n", id="trailers"),
        pytest.param(CHUNKED + b"1;", LONG, id="chunk extension"),
    ],
)
async def test_who_never_comes_to_an_end_is_hung_up_on(
    client: Client, head: bytes, endless: bytes
) -> None:
    await client.send(head)

    assert await client.send_for_ever(endless, 1000 * MAX_OVERHEAD_BYTES)


async def test_bodies_are_as_long_as_they_are(client: Client) -> None:
    count = 4 * MAX_OVERHEAD_BYTES // len(LONG)
    for _ in range(2):
        await client.send(CHUNKED)
        for _ in range(count):
            await client.send(b"%x\r\n%b\r\n" % (len(LONG), LONG))
        await client.send(b"0\r\n\r\n")
        assert await client.answer() == b"%d" % (count * len(LONG))

        await client.send(HEAD + b"Content-Length: 1000000\r\n\r\n" + 1000 * LONG)
        assert await client.answer() == b"1000000"
