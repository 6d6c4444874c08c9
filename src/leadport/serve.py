"""`leadport serve`: starts the database, the demo organisation and the HTTP server; stops them."""

import asyncio
import errno
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import httpx

from application.errors import StorageUnavailable
from domain.connection import Channel
from leadport import demo, http_server
from leadport.database import open_database
from leadport.logs import configure_logging
from leadport.operators import open_operator_container
from leadport.settings import (
    LOCAL_URL,
    CannotListen,
    Settings,
    SettingsError,
    export_for_workers,
)

BANNER_POLL_SECONDS = 0.05
"""Between two requests that find out whether the server answers."""


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises SettingsError, CannotListen where the address is taken or not this machine's, and
    EmbeddedPostgresError where the embedded database cannot be started.
    """
    settings = Settings.read()
    configure_logging(is_production=settings.is_production)
    uses_memory = settings.storage == "memory"
    if uses_memory and workers > 1:
        raise SettingsError("STORAGE=memory serves with --workers 1: workers share no memory")
    _check_address(host, port)
    if settings.public_url == LOCAL_URL:
        export_for_workers(PUBLIC_URL=_make_base_url(host, port))
    # Until the server installs its own handlers, SIGTERM raises KeyboardInterrupt as Ctrl-C does,
    # so that the embedded database is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    database = nullcontext() if uses_memory else open_database(settings)
    with database, tempfile.TemporaryDirectory(prefix="leadport-metrics-") as metrics_folder:
        if workers > 1:
            # prometheus-client adds up the counts of all workers in this folder (D46).
            export_for_workers(PROMETHEUS_MULTIPROC_DIR=metrics_folder)
        if not uses_memory and not settings.is_production:
            # `open_database` has logged that the database is unavailable. The next start makes the
            # demo.
            with suppress(StorageUnavailable):
                asyncio.run(_make_demo(settings))
        banner = threading.Thread(target=_print_banner, args=(settings, host, port), daemon=True)
        banner.start()
        http_server.run("leadport.asgi:create", host, port, workers)


def _check_address(host: str, port: int) -> None:
    """Raise CannotListen where the address cannot be bound, before anything is started."""
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
    """Wait until the server answers, then print its address and, in development, what to try."""
    base_url = _make_base_url(host, port)
    while not _is_answering(base_url):
        time.sleep(BANNER_POLL_SECONDS)
    print(f"\nLeadport answers on {base_url}   (Ctrl-C stops it)", flush=True)
    if settings.is_production:
        return
    command = shlex.quote(str(Path(sys.executable).with_name("leadport")))
    url_option = "" if base_url == LOCAL_URL else f" --url {base_url}"
    phone_number_id, _ = demo.DEMO_CONNECTIONS[Channel.WHATSAPP]
    print(
        f"""
  Settings page   {base_url}/settings/channels
  Webhook         {base_url}/api/webhooks/meta
  Verify token    {settings.verify_token}
  Demo owner      {demo.DEMO_OWNER_EMAIL}
  Password        {settings.demo_password}   (until you change it)

Try it in another shell:

  {command} simulate whatsapp --to {phone_number_id}{url_option}
  {command} leads
""",
        flush=True,
    )
    if not settings.app_secrets:
        print(
            "WARNING: META_APP_SECRET is not set, so unsigned deliveries are accepted "
            "from any sender. Production does not start without it.\n",
            file=sys.stderr,
            flush=True,
        )


def _make_base_url(host: str, port: int) -> str:
    """Return the URL that reaches the server from this machine."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_answering(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/healthz", timeout=1).is_success
    except httpx.HTTPError:
        return False
