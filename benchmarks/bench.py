"""The resources that the benchmark parts share: databases, Leadport and comparison servers."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg

from benchmarks.load import InvalidMeasurement
from benchmarks.servers import LEADPORT_COMMAND, Server, run_server
from benchmarks.workload import APP_SECRET, Workload
from infrastructure.postgres.migrations import migrate
from leadport.database import open_database
from leadport.settings import Settings

# Settings of a real service must not leak into a benchmark, above all its database.
UNSET_SETTINGS = dict.fromkeys(
    (
        "AUTH_JWKS_URL",
        "AUTH_JWT_SECRET",
        "DATABASE_URL",
        "INSIGHT_PROVIDER",
        "LEADPORT_ENV",
        "LEADPORT_LANGUAGE",
        "LEADPORT_SPOOL_MB",
        "META_WEBHOOK_VERIFY_TOKEN",
        "PUBLIC_URL",
        "STORAGE",
        "TOKEN_ENCRYPTION_KEYS",
    ),
    "",
)
DURABILITY_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


@dataclass
class Bench:
    """Starts databases and servers when a part first needs them; `stack` stops them."""

    folder: Path
    seconds: float
    """Length of one measurement."""

    workers: int
    """Worker processes of each server."""

    stack: ExitStack
    _leadport_stack: ExitStack = field(default_factory=ExitStack)
    comparison_servers: dict[str, Server] = field(default_factory=dict)
    """Servers that Leadport is compared with, by the name of their part."""

    def make_settings(self, name: str) -> dict[str, str]:
        """Make the settings of a service with the data folder `name` and defaults for the rest."""
        data = self.folder / name
        return {**UNSET_SETTINGS, "LEADPORT_DATA_DIR": str(data), "META_APP_SECRET": APP_SECRET}

    @cached_property
    def workload(self) -> Workload:
        """The default workload, in an embedded database. Raises InvalidMeasurement if not durable."""
        settings = Settings.read(self.make_settings("data"))
        self.stack.enter_context(open_database(settings))
        workload = Workload(self._database_url("leadport"))
        with psycopg.connect(workload.database_url) as db:
            for name in DURABILITY_SETTINGS:
                if db.execute("SELECT current_setting(%s)", [name]).fetchone() != ("on",):
                    raise InvalidMeasurement(f"{name} is not on")
        workload.create_organizations()
        return workload

    @cached_property
    def large_workload(self) -> Workload:
        """A workload in another database of the same server; the part that uses it fills it."""
        with psycopg.connect(self.workload.database_url, autocommit=True) as db:
            db.execute("CREATE DATABASE large")
        large_workload = Workload(self._database_url("large"))
        migrate(large_workload.database_url)
        large_workload.create_organizations()
        return large_workload

    def _database_url(self, name: str) -> str:
        pid_file = self.folder / "data/postgres/data/postmaster.pid"
        return f"postgresql://postgres@/{name}?host={pid_file.read_text().splitlines()[4]}"

    @cached_property
    def leadport(self) -> Server:
        """Leadport on the default workload's database, started by `leadport serve`."""
        _ = self.workload  # starts the database that the service joins
        served = run_server(
            LEADPORT_COMMAND, self.folder, workers=self.workers, **self.make_settings("data")
        )
        return self.stack.enter_context(self._leadport_stack).enter_context(served)

    @cached_property
    def large_leadport(self) -> Server:
        """A second Leadport, on the large workload's database."""
        database_url = self.large_workload.database_url
        settings = {**self.make_settings("large"), "DATABASE_URL": database_url}
        return self.stack.enter_context(
            run_server(LEADPORT_COMMAND, self.folder, workers=self.workers, **settings)
        )

    def discard_leadport(self) -> None:
        """Stop Leadport and delete its spool, which it would otherwise drain in the next part.

        The next use of `leadport` starts it again.
        """
        self._leadport_stack.close()
        self.__dict__.pop("leadport", None)
        for file in (self.folder / "data").glob("spool.*"):
            file.unlink()

    def start_comparison_server(self, name: str, command: Sequence[str], **settings: str) -> Server:
        """Start a server that stays until the end, because later parts measure it again."""
        served = run_server(command, self.folder, workers=self.workers, **settings)
        self.comparison_servers[name] = self.stack.enter_context(served)
        return self.comparison_servers[name]
