"""PostgreSQL and Leadport as processes that a test can kill, freeze, stop and start again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, LiteralString

import httpx
import psycopg

from infrastructure.embedded_postgres import LOCALE, EmbeddedPostgres, EmbeddedPostgresError
from tests.support.service_process import ROOT, find_free_port

APP_SECRET = "fault secret"
SERVICE_SETTINGS = {
    "LEADPORT_ENV": "production",
    "META_WEBHOOK_VERIFY_TOKEN": "verify",
    "META_APP_SECRET": APP_SECRET,
    "AUTH_JWT_SECRET": "s" * 32,
    "TOKEN_ENCRYPTION_KEYS": "A" * 43 + "=",
    "PUBLIC_URL": "https://leadport.example",
}
START_TIMEOUT_SECONDS = 30

# Small segments of the write-ahead log, so that the next one is soon needed on a full disk. All
# other options keep their defaults, above all durability.
SMALL_SEGMENT_OPTIONS = (*LOCALE, "--wal-segsize=1")
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_wal_size": "32MB",
    "min_wal_size": "2MB",
    "wal_keep_size": "256MB",
    "wal_retrieve_retry_interval": "200ms",
    "shared_buffers": "32MB",
}


def wait_until(
    condition: Callable[[], bool], description: str, seconds: float = START_TIMEOUT_SECONDS
) -> None:
    """Poll the condition until it is true. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{description}: not within {seconds} s")
        time.sleep(0.05)


def list_process_tree(pid: int) -> list[int]:
    """List the process, then its living descendants."""
    command = ["ps", "-A", "-o", "pid=,ppid="]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pid_pairs = [tuple(map(int, line.split())) for line in output.splitlines()]
    children = [child for child, parent in pid_pairs if parent == pid]
    return [pid, *(member for child in children for member in list_process_tree(child))]


@dataclass(frozen=True, slots=True)
class Postgres:
    """One PostgreSQL server with its data under a folder, reached by TCP."""

    folder: Path
    port: int = field(default_factory=find_free_port)

    @property
    def url(self) -> str:
        return make_database_url(self.port)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def create_cluster(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._programs._create_cluster()

    def follow(self, primary: "Postgres") -> None:
        """Become a synchronous standby of the primary, with a new copy of its data."""
        try:
            self._clone(primary)
        except EmbeddedPostgresError:  # now and then too slow on a busy machine
            self.stop()
            self._clone(primary)
        # Synchronous, because an asynchronous standby may lack confirmed commits after a failover.
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: primary.execute(query) == [(1,)], "the standby follows")

    def _clone(self, primary: "Postgres") -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True, mode=0o700)
        if account := self._programs._find_account():
            os.chown(self.data, account.pw_uid, account.pw_gid)
        source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
        options = ["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]
        self._programs._run("pg_basebackup", "-D", str(self.data), *options, *source)
        self.start()

    def start(self) -> None:
        settings = {**SERVER_SETTINGS, "port": str(self.port)}
        server_options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        options = ["-w", "-t", str(START_TIMEOUT_SECONDS), "-l", str(self._make_log())]
        options += ["-o", server_options]
        self._programs._run("pg_ctl", "-D", str(self.data), *options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server by a mode of pg_ctl; `immediate` is a crash without a checkpoint."""
        wait = ["-w", "-t", "10", "-m", mode]
        self._programs._run("pg_ctl", "-D", str(self.data), *wait, "stop", check=False)

    def stop_replication(self) -> None:
        """Disconnect this standby from its primary."""
        self.execute("ALTER SYSTEM SET primary_conninfo = ''")
        self.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        self._programs._run("pg_ctl", "-D", str(self.data), "-w", "-t", "20", "promote")

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Suspend all processes until the block ends: connections stay open without an answer."""
        postmaster = self.list_processes()[0]
        os.kill(postmaster, signal.SIGSTOP)  # first, so that it starts no other processes
        members = self.list_processes()
        try:
            for pid in members[1:]:
                send_signal(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in reversed(members):
                send_signal(pid, signal.SIGCONT)

    def list_processes(self) -> list[int]:
        """List the postmaster first, then its children; empty while the server is down."""
        try:
            postmaster = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError):
            return []
        return list_process_tree(postmaster)

    def is_answering(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def start_if_down(self) -> None:
        """Start the server unless it recovers by itself within 2 s, as a supervisor would."""
        with suppress(AssertionError):
            wait_until(self.is_answering, "the server recovers", seconds=2)
            return
        self.stop()
        self.start()

    def execute(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute the statement in a transaction of its own; return its rows, if it has any."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as db:
            cursor = db.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def _make_log(self) -> Path:
        """Create the log file outside the folder, whose disk may be full."""
        log = self.folder.with_suffix(".log")
        log.touch()
        if account := self._programs._find_account():
            os.chown(log, account.pw_uid, account.pw_gid)
        return log

    @property
    def _programs(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.folder, locale=SMALL_SEGMENT_OPTIONS)


def make_database_url(*ports: int) -> str:
    """Make the URL of one or several servers; of several, the client chooses the primary."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    attributes = "&target_session_attrs=read-write" if len(ports) > 1 else ""
    return f"postgresql://postgres@{hosts}/postgres?sslmode=disable{attributes}"


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send the signal, unless the process has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@dataclass(slots=True)
class Leadport:
    """The service as a process group, and its commands."""

    folder: Path
    database_url: str
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    port: int = field(default_factory=find_free_port)
    _process: "subprocess.Popen[bytes] | None" = None
    _log: IO[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return Path(self.environ["LEADPORT_DATA_DIR"])

    @property
    def spool(self) -> Path:
        return self.data / "spool.sqlite3"

    @property
    def environ(self) -> dict[str, str]:
        paths = {
            "DATABASE_URL": self.database_url,
            "LEADPORT_DATA_DIR": str(self.folder / "data"),
            "TMPDIR": str(self.folder),  # so that files of killed processes are deleted at the end
        }
        return {**os.environ, **SERVICE_SETTINGS, **paths, **self.settings}

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = (self.folder / "service.log").open("ab")
        arguments = ["serve", "--port", str(self.port), "--workers", str(self.workers)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "leadport", *arguments],
            env=self.environ,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        wait_until(self.is_answering, f"the service starts\n{self.read_log_tail()}")

    def is_answering(self, path: str = "/healthz") -> bool:
        """Whether the path is answered with 2xx. Raises AssertionError if the service has ended."""
        assert self._process
        if (code := self._process.poll()) is not None:
            raise AssertionError(f"the service ended with {code}:\n{self.read_log_tail()}")
        try:
            return httpx.get(self.url + path, timeout=2).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """Kill all processes of the service with SIGKILL, if it runs."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def kill_worker(self) -> None:
        """Kill one worker with SIGKILL, then the rest of the service; start the service again."""
        assert self._process
        workers = list_process_tree(self._process.pid)[1:]
        send_signal(workers[-1], signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        self.kill()
        self.start()

    def restart(self) -> None:
        """Stop the service by SIGTERM, which must end it with 0, and start it again."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGTERM)
        code = self._process.wait(timeout=10)
        assert code == 0, f"SIGTERM ended the service with {code}"
        self.kill()
        self.start()

    def list_processes(self) -> list[int]:
        return list_process_tree(self._process.pid) if self._process else []

    def command(self, *arguments: str) -> str:
        """Run a command of `leadport`, which must succeed, and return its output."""
        done = subprocess.run(
            [sys.executable, "-m", "leadport", *arguments],
            env=self.environ,
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"leadport {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def read_log_tail(self) -> str:
        """Return the last 3000 characters of the service's log."""
        with suppress(FileNotFoundError):
            return (self.folder / "service.log").read_text(errors="replace")[-3000:]
        return ""
