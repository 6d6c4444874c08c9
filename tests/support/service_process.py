"""Runs the service for tests as `bin/serve` does: start it, run commands beside it, stop it."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEADPORT_COMMAND = ROOT / ".venv/bin/leadport"
APP_SECRETS = "old secret,new secret"
STOP_TIMEOUT_SECONDS = 20


@dataclass
class RunningService:
    """A started service."""

    url: str
    environ: dict[str, str]
    """Environment variables of the service, for commands beside it."""

    banner: str
    """What `bin/serve` printed until it was ready."""

    process: "subprocess.Popen[str]"

    def run_command(self, *arguments: str) -> str:
        """Run `leadport` with the service's settings and return its output. It must succeed."""
        command = [str(LEADPORT_COMMAND), *arguments]
        done = subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True)
        return done.stdout

    def simulate(self, *arguments: str) -> dict[str, int]:
        """Post sample deliveries to the service and return the counters."""
        counters: dict[str, int] = json.loads(
            self.run_command("simulate", *arguments, "--url", self.url)
        )
        return counters

    @property
    def database_url(self) -> str:
        """The URL of the service's embedded database, from the server's pid file."""
        data = Path(self.environ["LEADPORT_DATA_DIR"]) / "postgres/data"
        socket_folder = (data / "postmaster.pid").read_text().splitlines()[4]
        return f"postgresql://postgres@/leadport?host={socket_folder}"

    def stop(self) -> int:
        """Send SIGINT to all processes of the service, as Ctrl-C does; return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=STOP_TIMEOUT_SECONDS)


def make_service_environment(folder: Path, **settings: str) -> dict[str, str]:
    """Make the environment of a service whose data folder's name contains a space."""
    defaults = {"LEADPORT_DATA_DIR": str(folder / "data dir"), "META_APP_SECRET": APP_SECRETS}
    return {**os.environ, **defaults, **settings}


def find_free_port() -> int:
    """Find a TCP port of 127.0.0.1 that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_service(folder: Path, *arguments: str, **settings: str) -> Iterator[RunningService]:
    """Run `bin/serve` on a free port until the block ends; data is kept under `folder`."""
    port, environment = find_free_port(), make_service_environment(folder, **settings)
    with subprocess.Popen(
        [str(ROOT / "bin/serve"), "--port", str(port), *arguments],
        env=environment,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            banner = read_banner(process)
            yield RunningService(f"http://127.0.0.1:{port}", environment, banner, process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)


def read_banner(process: "subprocess.Popen[str]") -> str:
    """Read the service's output up to its last line, which suggests `leadport leads`."""
    banner = ""
    assert process.stdout
    for line in process.stdout:
        banner += line
        if line.rstrip().endswith(" leads"):
            return banner
    raise AssertionError(f"the service ended with {process.wait()}: {banner}")
