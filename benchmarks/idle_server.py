"""The idle server: Leadport's HTTP server and framework, answering deliveries without work."""

import argparse
from typing import Any

from litestar import Controller, Litestar, Request, Response, get, post
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from benchmarks.workload import WEBHOOK_PATH
from interfaces.web.webhook import MAX_BODY_BYTES
from leadport import http_server

COUNTERS = {"received": 1, "ingested": 1, "skipped": 0, "failed": 0}
"""The counters that Leadport answers to a delivery of one new message."""


class IdleController(Controller):
    """The webhook endpoint without signature check, parsing and storage."""

    path = WEBHOOK_PATH

    @post(status_code=200, request_max_body_size=MAX_BODY_BYTES)
    async def deliver(self, request: Request[Any, Any, Any]) -> Response[dict[str, int]]:
        """Read the body and answer that one message was stored."""
        await request.body()
        return Response(COUNTERS)


@get("/readyz")
async def answer_ready() -> None:
    """Answer 200, as a ready service does."""


def create_app() -> Litestar:
    """Build the application with the same framework settings as `interfaces.web.app`."""
    return Litestar(
        route_handlers=[IdleController, answer_ready],
        openapi_config=OpenAPIConfig(
            title="Idle server", version="1", path="/schema", render_plugins=[JsonRenderPlugin()]
        ),
        logging_config=None,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    http_server.run("benchmarks.idle_server:create_app", "127.0.0.1", options.port, options.workers)
