"""The HTTP server: Uvicorn, with bounds for everything but the size of bodies."""

import asyncio
import socket
from http import HTTPStatus
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from interfaces.web.errors import PROBLEM, ProblemJson

SLOWEST_HEADERS = 10
"""Seconds, until a connection that sends none, or does not come to their end, is closed."""

SLOWEST_BODY = 10
"""Seconds from the end of the headers; then whoever sends it holds a place that others need."""

LARGEST_HEADERS = 64 * 1024
"""Bytes of a request that are no body: headers, trailers, and what frames chunks."""

KEEP_ALIVE = 75
"""Seconds; longer than proxies keep a connection, so that none sends into one being closed."""

MOST_CONNECTIONS = 1024
"""Of one worker; who comes then is asked to come again (503)."""

GRACE_SECONDS = 4
"""How long requests in flight may take after Ctrl-C or SIGTERM."""


def run(app: str, host: str, port: int, workers: int) -> None:
    """Serve what the factory `app` (`module:function`) makes, until SIGINT or SIGTERM.

    One worker is this process; several are started anew where they end by themselves.
    """
    config = uvicorn.Config(
        app,
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http=BoundedProtocol,
        ws="none",
        loop="asyncio",
        interface="asgi3",
        lifespan="on",
        log_config=None,  # the process sets logging up
        log_level="error",  # what strangers send is worth no warning
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        if workers > 1:
            Multiprocess(config, sockets=[config.bind_socket()]).run()
        else:
            uvicorn.Server(config).run()
    except KeyboardInterrupt:  # the signal that ended it, raised again when all is done
        pass


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose request never ends: Uvicorn would wait for it, and keep it.

    A timer runs only while one is incomplete, which few are that fit into a packet.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._is_in_headers = True
        self._is_complete = False
        self._deadline: asyncio.TimerHandle | None = None
        self._overhead = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first headers."""
        super().connection_made(transport)
        # asyncio does it for sockets that it has bound, but those of several workers are bound
        # before: head and body of an answer would be 40 ms apart (Nagle's algorithm).
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on, unless it is too much."""
        self._overhead += len(data)
        super().data_received(data)
        if self._overhead > LARGEST_HEADERS:
            self.transport.abort()
        elif self._deadline is None and not self._is_complete:
            self._wait()

    def _wait(self) -> None:
        seconds = SLOWEST_HEADERS if self._is_in_headers else SLOWEST_BODY
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _wait_no_more(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        is_next_answer = not self._is_in_headers and not self.pipeline
        if is_next_answer and not self.cycle.response_started:
            self.transport.write(_too_slow())
        self.transport.close()

    def on_message_begin(self) -> None:
        """Read headers from now on."""
        self._is_in_headers, self._is_complete = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Read a body from now on."""
        self._is_in_headers = False
        self._wait_no_more()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Leave out what the application sees to."""
        self._overhead -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin anew with the next request."""
        self._is_complete = True
        self._wait_no_more()
        self._overhead = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)


def _too_slow() -> bytes:
    """The answer, as the application's other problem documents are."""
    status = HTTPStatus.REQUEST_TIMEOUT
    detail = f"the body did not come within {SLOWEST_BODY} s"
    body = msgspec.json.encode(ProblemJson(status, status.phrase, detail))
    head = (
        f"HTTP/1.1 {status:d} {status.phrase}\r\nContent-Type: {PROBLEM}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
