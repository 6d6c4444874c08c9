"""The service as processes: started by its command, stopped with Ctrl-C."""

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
LEADPORT = ROOT / ".venv/bin/leadport"
SECRET = "old secret,new secret"


@dataclass
class RunningService:
    """A service that answers, and what it printed."""

    url: str
    environ: dict[str, str]
    banner: str
    process: "subprocess.Popen[str]"

    def run_command(self, *arguments: str) -> str:
        """What the command prints when it runs beside the service."""
        command = [str(LEADPORT), *arguments]
        done = subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True)
        return done.stdout

    def simulate(self, *arguments: str) -> dict[str, int]:
        counters: dict[str, int] = json.loads(
            self.run_command("simulate", *arguments, "--url", self.url)
        )
        return counters

    @property
    def database_url(self) -> str:
        """The embedded database's URL, from its pid file."""
        data = Path(self.environ["LEADPORT_DATA_DIR"]) / "postgres/data"
        sockets = (data / "postmaster.pid").read_text().splitlines()[4]
        return f"postgresql://postgres@/leadport?host={sockets}"

    def stop(self) -> int:
        """Press Ctrl-C: the terminal tells every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=20)


def service_environment(folder: Path, **settings: str) -> dict[str, str]:
    ours = {"LEADPORT_DATA_DIR": str(folder / "data dir"), "META_APP_SECRET": SECRET}
    return {**os.environ, **ours, **settings}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_service(folder: Path, *arguments: str, **settings: str) -> Iterator[RunningService]:
    port, environment = free_port(), service_environment(folder, **settings)
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
            printed = read_banner(process)
            yield RunningService(f"http://127.0.0.1:{port}", environment, printed, process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)


def read_banner(process: "subprocess.Popen[str]") -> str:
    printed = ""
    assert process.stdout
    for line in process.stdout:
        printed += line
        if line.rstrip().endswith(" leads"):
            return printed
    raise AssertionError(f"the service ended with {process.wait()}: {printed}")
