"""Starts the measured servers as processes, waits until they answer, and stops them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from leadport.settings import ROOT

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 20


class ServerNotStarted(Exception):
    """A server ended, or did not answer in time; the text holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that answers on a port of 127.0.0.1."""

    port: int
    pid: int
    start_seconds: float
    """Time from starting the process to its first answer."""

    def read_peak_memory(self) -> int:
        """Peak resident bytes of the server's largest process, from /proc; 0 without /proc."""
        return max(_read_peak_memory(pid) for pid in [self.pid, *_find_descendants(self.pid)])


LEADPORT_COMMAND = (sys.executable, "-m", "leadport", "serve")
BIN_SERVE_COMMAND = (str(ROOT / "bin/serve"),)
IDLE_SERVER_COMMAND = (sys.executable, "-m", "benchmarks.idle_server")
BASELINE_COMMAND = (
    *(sys.executable, "-m", "uvicorn", "benchmarks.baseline:app"),
    *("--log-level", "warning", "--no-access-log"),
)


@contextmanager
def run_server(
    command: Sequence[str], folder: Path, *, workers: int, **settings: str
) -> Iterator[Server]:
    """Run the command on a free port until the block ends; its output goes into `folder`.

    `settings` are environment variables. Raises ServerNotStarted.
    """
    port, log = _find_free_port(), folder / "server.log"
    started_at = time.perf_counter()
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - our own programs
            [*command, "--workers", str(workers), "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            while not _is_ready(port):
                if (
                    process.poll() is not None
                    or time.perf_counter() - started_at > START_TIMEOUT_SECONDS
                ):
                    raise ServerNotStarted(f"{command}:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.01)
            start_seconds = time.perf_counter() - started_at
            yield Server(port, process.pid, start_seconds)
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(port: int) -> bool:
    """Whether /readyz answers 200. The plain client leaves the processor to the starting server."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _find_descendants(pid: int) -> list[int]:
    """Find the children of a process and all their descendants."""
    command = ["ps", "-A", "-o", "pid=,ppid="]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    pid_pairs = [tuple(map(int, line.split())) for line in output.splitlines()]
    children = [child for child, parent in pid_pairs if parent == pid]
    return [*children, *(pid for child in children for pid in _find_descendants(child))]


def _read_peak_memory(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # the process has ended, or this is not Linux
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields.get("VmHWM", "0 kB").split()[0]) * 1024
