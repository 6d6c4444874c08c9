"""Runs the service: database, schema, demo, server; and stops them in turn."""

import asyncio
import errno
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx

from application.errors import StorageUnavailable
from domain.connection import Channel
from leadport import demo, http_server, logs
from leadport.database import database
from leadport.operators import open_operator_container
from leadport.settings import LOCAL_URL, CannotListen, Settings, SettingsError


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM. Raises CannotListen, and what settings and database raise."""
    settings = Settings.read()
    logs.set_up(is_production=settings.is_production)
    if settings.storage == "memory" and workers > 1:
        raise SettingsError("STORAGE=memory serves with --workers 1: workers share no memory")
    _check_address(host, port)
    if settings.public_url == LOCAL_URL:
        os.environ["PUBLIC_URL"] = _base(host, port)
    # Until the server has handlers of its own, SIGTERM ends us as Ctrl-C does: tidily.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with database(settings), tempfile.TemporaryDirectory(prefix="leadport-metrics-") as metrics:
        if workers > 1:
            # Where they count together; before any of them is started.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
        if settings.storage == "postgres" and not settings.is_production:
            with suppress(StorageUnavailable):  # said already; the demo comes at the next start
                asyncio.run(_make_demo(settings))
        threading.Thread(target=_print_banner, args=(settings, host, port), daemon=True).start()
        http_server.run("leadport.asgi:create", host, port, workers)


def _check_address(host: str, port: int) -> None:
    """Find out before anything is started, so that nothing has to be ended again."""
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            msg = f"port {port} on {host} is in use; choose another one with --port"
        else:
            msg = f"cannot listen on {host}, port {port}: {error.strerror}"
        raise CannotListen(msg) from error


async def _make_demo(settings: Settings) -> None:
    async with open_operator_container() as container:
        await demo.make_demo(container.use_cases(), settings)


def _print_banner(settings: Settings, host: str, port: int) -> None:
    """Say how to go on, once the server answers."""
    base = _base(host, port)
    while not _answers(base):
        time.sleep(0.05)
    print(f"\nLeadport answers on {base}   (Ctrl-C stops it)", flush=True)
    if settings.is_production:
        return
    command = shlex.quote(str(Path(sys.executable).with_name("leadport")))
    url = "" if base == LOCAL_URL else f" --url {base}"
    number, _ = demo.CONNECTIONS[Channel.WHATSAPP]
    print(
        f"""
  Settings page   {base}/settings/channels
  Webhook         {base}/api/webhooks/meta
  Verify token    {settings.verify_token}
  Demo owner      {demo.OWNER}
  Password        {settings.demo_password}   (until you change it)

Try it in another shell:

  {command} simulate whatsapp --to {number}{url}
  {command} leads
""",
        flush=True,
    )
    if not settings.app_secrets:
        print(
            "WARNING: META_APP_SECRET is not set, so deliveries of anybody are accepted. "
            "Only development may do that.\n",
            file=sys.stderr,
            flush=True,
        )


def _base(host: str, port: int) -> str:
    at = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://[{at}]:{port}" if ":" in at else f"http://{at}:{port}"


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", timeout=1).is_success
    except httpx.HTTPError:
        return False
