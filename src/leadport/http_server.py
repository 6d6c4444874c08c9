"""The HTTP server: Uvicorn, with limits on time and size for all parts of a request but its body.

The size of a body is limited by the application (`interfaces.web`), which knows the route.
"""

import asyncio
import socket
from http import HTTPStatus
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from interfaces.web.errors import PROBLEM_MEDIA_TYPE, ProblemJson

HEADERS_TIMEOUT_SECONDS = 10
"""From the opening of a connection, or a request's first byte, to the end of the headers."""

BODY_TIMEOUT_SECONDS = 10
"""From the end of the headers to the end of the body."""

MAX_OVERHEAD_BYTES = 64 * 1024
"""Of one request without its body: headers, trailers and the framing of chunks."""

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open.

Longer than proxies keep theirs, so that no proxy sends a request into a connection that this
server is closing.
"""

MAX_CONNECTIONS = 1024
"""Of one worker, idle ones included. A request on a further connection is answered with 503."""

SHUTDOWN_TIMEOUT_SECONDS = 4
"""How long requests in flight may take after SIGINT or SIGTERM."""


def run(app: str, host: str, port: int, workers: int) -> None:
    """Serve the application until SIGINT or SIGTERM.

    `app` names its factory as `module:function`. One worker runs in this process; several run in
    processes of their own, and one that exits is replaced.
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
        log_config=None,  # `leadport.logs` configures logging
        log_level="error",  # Uvicorn's warnings report malformed requests, which anyone can send
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
    )
    try:
        if workers > 1:
            Multiprocess(config, sockets=[config.bind_socket()]).run()
        else:
            uvicorn.Server(config).run()
    except KeyboardInterrupt:  # Uvicorn raises the signal that stopped it again after its shutdown
        pass


class BoundedProtocol(HttpToolsProtocol):
    """One connection, closed where a request is incomplete for too long or has too much overhead.

    Uvicorn itself waits for the end of a request without a time limit (D39). A timer runs for the
    first headers of a connection, and later only while a request is incomplete: a request that
    arrives in one packet starts none.

    Uvicorn does not document its protocol class as an interface, so pyproject.toml pins its minor
    version. This class relies on:

    - `data_received` feeding the parser, which calls `on_message_begin`, `on_headers_complete`,
      `on_body` (once for each piece of the body, without framing) and `on_message_complete`;
    - `loop` and `transport`, set by `__init__` and `connection_made`;
    - `cycle`, the newest request whose headers are complete, and its `response_started`;
    - `pipeline`, which holds requests while the response to an earlier one is incomplete.
    """

    def __init__(
        self,
        *args: Any,
        headers_timeout_seconds: float = HEADERS_TIMEOUT_SECONDS,
        body_timeout_seconds: float = BODY_TIMEOUT_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._headers_timeout_seconds = headers_timeout_seconds
        self._body_timeout_seconds = body_timeout_seconds
        self._is_in_headers = True
        self._is_complete = False
        self._timer: asyncio.TimerHandle | None = None
        self._overhead_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set TCP_NODELAY, and start the timer for the first headers."""
        super().connection_made(transport)
        # asyncio sets it on connections of sockets that it has bound itself. The socket of several
        # workers is bound before they start: without TCP_NODELAY, Nagle's algorithm delays a
        # response's body by 40 ms after its head.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Parse the data; drop the connection where the request's overhead exceeds its limit."""
        self._overhead_bytes += len(data)
        super().data_received(data)
        if self._overhead_bytes > MAX_OVERHEAD_BYTES:
            self.transport.abort()
        elif self._timer is None and not self._is_complete:
            self._start_timer()

    def on_message_begin(self) -> None:
        """Note that the request is in its headers."""
        self._is_in_headers, self._is_complete = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the request is in its body, for which `data_received` starts a new timer."""
        self._is_in_headers = False
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Exclude the body from the overhead."""
        self._overhead_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the timer and reset the overhead for the next request."""
        self._is_complete = True
        self._stop_timer()
        self._overhead_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        seconds = (
            self._headers_timeout_seconds if self._is_in_headers else self._body_timeout_seconds
        )
        self._timer = self.loop.call_later(seconds, self._end_incomplete_request)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _end_incomplete_request(self) -> None:
        """Close the connection, after a 408 where a body is late and its response is due next."""
        is_response_due = not self._is_in_headers and not self.pipeline
        if is_response_due and not self.cycle.response_started:
            self.transport.write(_encode_request_timeout(self._body_timeout_seconds))
        self.transport.close()


def _encode_request_timeout(seconds: float) -> bytes:
    """Return the whole 408 response, a problem document as those of the application."""
    status = HTTPStatus.REQUEST_TIMEOUT
    detail = f"the body did not come within {seconds:g} s"
    body = msgspec.json.encode(ProblemJson(status, status.phrase, detail))
    head = (
        f"HTTP/1.1 {status:d} {status.phrase}\r\nContent-Type: {PROBLEM_MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
