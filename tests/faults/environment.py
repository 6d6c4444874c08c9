"""The fault tests' environment: two PostgreSQL servers with proxies and disks, and the service."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from infrastructure.postgres.migrations import migrate
from tests.faults.disks import Disk, open_disk
from tests.faults.proxy import Proxy
from tests.faults.servers import Leadport, Postgres, make_database_url

SITECUSTOMIZE = Path(__file__).with_name("clock") / "sitecustomize.py"
SPOOL_MEGABYTES = 4
SPOOL_DISK_MEGABYTES = 16
POSTGRES_DISK_MEGABYTES = 1024


@dataclass(slots=True)
class Clock:
    """The clock of the service and its commands, which read its offset from a file."""

    offset_file: Path

    def step(self, seconds: float) -> None:
        """Set the clock's offset from the system's clock."""
        unfinished = self.offset_file.with_suffix(".unfinished")
        unfinished.write_text(str(seconds))
        unfinished.replace(self.offset_file)


@dataclass(slots=True)
class FaultEnvironment:
    """Everything that a fault can break. The first server is the primary."""

    servers: list[Postgres]
    disks: dict[Postgres, Disk]
    proxies: list[Proxy]
    service: Leadport
    spool_disk: Disk
    clock: Clock
    random: Random
    has_standby: bool = False

    @property
    def primary(self) -> Postgres:
        return self.servers[0]

    @property
    def standby(self) -> Postgres:
        return self.servers[1]

    def ensure_standby(self) -> None:
        """Make the second server a synchronous standby unless it is one."""
        if not self.has_standby:
            self.standby.follow(self.primary)
            self.has_standby = True

    def fail_over(self) -> None:
        """Crash the primary for good and promote the standby."""
        self.primary.stop()
        self.servers.reverse()
        self.primary.promote()
        self.has_standby = False


@contextmanager
def open_fault_environment(logs: Path, random: Random) -> Iterator[FaultEnvironment]:
    """Start a new environment and stop it when the block ends; its logs are copied to `logs`."""
    # Not in pytest's folder, from which another run of pytest would lock out PostgreSQL's account.
    made = tempfile.TemporaryDirectory(prefix="leadport-faults-", ignore_cleanup_errors=True)
    with made as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        stack.callback(_copy_logs, folder, logs)
        servers = [Postgres(folder / name) for name in ("a", "b")]
        disks = {
            server: stack.enter_context(
                open_disk(server.folder, POSTGRES_DISK_MEGABYTES, server.list_processes)
            )
            for server in servers
        }
        for server in servers:
            stack.callback(server.stop)
        servers[0].create_cluster()
        servers[0].start()
        migrate(servers[0].url)
        proxies = [stack.enter_context(Proxy(server.port, random).listen()) for server in servers]
        url = make_database_url(*(proxy.port for proxy in proxies))
        clock = Clock(folder / "clock" / "offset")
        service = Leadport(folder / "service", url, _make_settings(clock))
        spool_disk = stack.enter_context(
            open_disk(service.data, SPOOL_DISK_MEGABYTES, service.list_processes)
        )
        stack.callback(service.kill)
        service.start()
        yield FaultEnvironment(servers, disks, proxies, service, spool_disk, clock, random)


def _copy_logs(folder: Path, destination: Path) -> None:
    for log in folder.rglob("*.log"):
        shutil.copy(log, destination)


def _make_settings(clock: Clock) -> dict[str, str]:
    """Make the service's settings: the shifted clock and a small spool."""
    clock.offset_file.parent.mkdir()
    shutil.copy(SITECUSTOMIZE, clock.offset_file.parent)
    python_path = [str(clock.offset_file.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(python_path), "LEADPORT_SPOOL_MB": str(SPOOL_MEGABYTES)}
