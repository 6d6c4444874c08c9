"""The whole of it: two PostgreSQL servers behind proxies, on disks of their own, and the service."""

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


@dataclass(slots=True)
class Clock:
    """The service's; its commands have it too."""

    offset: Path

    def step(self, seconds: float) -> None:
        unfinished = self.offset.with_suffix(".unfinished")
        unfinished.write_text(str(seconds))
        unfinished.replace(self.offset)


@dataclass(slots=True)
class FaultEnvironment:
    """What can break, and what holds it together. The first server is the primary."""

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
        if not self.has_standby:
            self.standby.follow(self.primary)
            self.has_standby = True

    def fail_over(self) -> None:
        """The primary is lost for good, and the standby takes its place."""
        self.primary.stop()
        self.servers.reverse()
        self.primary.promote()
        self.has_standby = False


@contextmanager
def open_fault_environment(logs: Path, random: Random) -> Iterator[FaultEnvironment]:
    """All of it, made anew; `logs` is where the logs are kept."""
    # Not under pytest's own folder, which another run closes to PostgreSQL's account.
    made = tempfile.TemporaryDirectory(prefix="leadport-faults-", ignore_cleanup_errors=True)
    with made as name, ExitStack() as everything:
        folder = Path(name)
        folder.chmod(0o755)
        everything.callback(_keep_logs, folder, logs)
        servers = [Postgres(folder / name) for name in ("a", "b")]
        disks = {
            server: everything.enter_context(open_disk(server.folder, 1024, server.list_processes))
            for server in servers
        }
        for server in servers:
            everything.callback(server.stop)
        servers[0].create_cluster()
        servers[0].start()
        migrate(servers[0].url)
        proxies = [
            everything.enter_context(Proxy(server.port, random).listen()) for server in servers
        ]
        url = make_database_url(*(proxy.port for proxy in proxies))
        clock = Clock(folder / "clock" / "offset")
        service = Leadport(folder / "service", url, _settings(clock))
        spool = open_disk(service.data, 16, service.list_processes)
        spool_disk = everything.enter_context(spool)
        everything.callback(service.kill)
        service.start()
        yield FaultEnvironment(servers, disks, proxies, service, spool_disk, clock, random)


def _keep_logs(folder: Path, kept: Path) -> None:
    for log in folder.rglob("*.log"):
        shutil.copy(log, kept)


def _settings(clock: Clock) -> dict[str, str]:
    clock.offset.parent.mkdir()
    shutil.copy(SITECUSTOMIZE, clock.offset.parent)
    path = [str(clock.offset.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(path), "LEADPORT_SPOOL_MB": str(SPOOL_MEGABYTES)}
