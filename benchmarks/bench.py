"""What the parts share: the databases, the services on them, and their comparison_servers."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg

from benchmarks.load import CountMismatch
from benchmarks.servers import LEADPORT_COMMAND, Server, run_server
from benchmarks.workload import APP_SECRET, Workload
from infrastructure.postgres.migrations import migrate
from leadport.database import database
from leadport.settings import Settings

# Whatever is set for a real service stays out of this: above all its database.
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
    """Things are started when they are first needed, and end with `stack`."""

    folder: Path
    seconds: float
    workers: int
    """Of every server."""

    stack: ExitStack
    _service: ExitStack = field(default_factory=ExitStack)
    comparison_servers: dict[str, Server] = field(default_factory=dict)
    """Servers that the service is compared with, by their parts' names."""

    def settings(self, name: str) -> dict[str, str]:
        """Those of a service with its own data folder, else as they come."""
        data = self.folder / name
        return {**UNSET_SETTINGS, "LEADPORT_DATA_DIR": str(data), "META_APP_SECRET": APP_SECRET}

    @cached_property
    def workload(self) -> Workload:
        """The people, in the embedded database that the service starts."""
        settings = Settings.read(self.settings("data"))
        self.stack.enter_context(database(settings))
        workload = Workload(self._database_url("leadport"))
        with psycopg.connect(workload.database_url) as db:
            for name in DURABILITY_SETTINGS:
                if db.execute("SELECT current_setting(%s)", [name]).fetchone() != ("on",):
                    raise CountMismatch(f"{name} is not on")
        workload.create_organizations()
        return workload

    @cached_property
    def large_workload(self) -> Workload:
        """As many people as it takes, in another database of the same server."""
        with psycopg.connect(self.workload.database_url, autocommit=True) as db:
            db.execute("CREATE DATABASE city")
        large_workload = Workload(self._database_url("city"))
        migrate(large_workload.database_url)
        large_workload.create_organizations()
        return large_workload

    def _database_url(self, name: str) -> str:
        pid_file = self.folder / "data/postgres/data/postmaster.pid"
        return f"postgresql://postgres@/{name}?host={pid_file.read_text().splitlines()[4]}"

    @cached_property
    def leadport(self) -> Server:
        """The service itself, as `leadport serve` comes."""
        _ = self.workload
        served = run_server(
            LEADPORT_COMMAND, self.folder, workers=self.workers, **self.settings("data")
        )
        return self.stack.enter_context(self._service).enter_context(served)

    @cached_property
    def large_leadport(self) -> Server:
        """Another one, for the city."""
        settings = {**self.settings("city"), "DATABASE_URL": self.large_workload.database_url}
        return self.stack.enter_context(
            run_server(LEADPORT_COMMAND, self.folder, workers=self.workers, **settings)
        )

    def discard_leadport(self) -> None:
        """End a service that could not keep up: it would go on with what it has spooled."""
        self._service.close()
        self.__dict__.pop("leadport", None)
        for file in (self.folder / "data").glob("spool.*"):
            file.unlink()

    def start_comparison_server(self, name: str, command: Sequence[str], **settings: str) -> Server:
        """Run it to the end, because it is measured again in turns with the service."""
        served = run_server(command, self.folder, workers=self.workers, **settings)
        self.comparison_servers[name] = self.stack.enter_context(served)
        return self.comparison_servers[name]
