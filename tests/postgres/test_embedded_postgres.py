"""Tests of the embedded PostgreSQL after crashes, with damaged folders and with several users."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded_postgres import IMPOSSIBLE_PID, EmbeddedPostgres, EmbeddedPostgresError
from tests.faults.servers import list_process_tree, send_signal, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for a server, which is killed after the test if it still runs.

    It is not in pytest's folder, from which another run of pytest would lock out the account that
    PostgreSQL runs as under root.
    """
    made = tempfile.TemporaryDirectory(prefix="leadport-embedded-", ignore_cleanup_errors=True)
    with made as name:
        folder = Path(name) / "postgres"
        yield folder
        if (folder / "data" / "postmaster.pid").exists():
            kill_process_tree(read_postmaster_pid(folder))


def read_postmaster_pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def kill_process_tree(pid: int) -> None:
    """Kill the process and all its descendants, and wait until they are dead."""
    members = list_process_tree(pid)
    for member in members:
        send_signal(member, signal.SIGKILL)
    wait_until(lambda: all(map(is_dead, members)), "the server is killed")


def is_dead(pid: int) -> bool:
    """Whether the process has ended; a zombie counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def query_number(url: str, query: str = "SELECT 1") -> int:
    with psycopg.connect(url) as db:
        row = db.execute(query.encode()).fetchone()
        assert row
        return int(row[0])


@contextmanager
def run_postgres(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder)
    try:
        yield server.start()
    finally:
        server.stop()


def test_a_committed_row_survives_the_kill_of_all_server_processes(folder: Path) -> None:
    with run_postgres(folder) as url:
        with psycopg.connect(url) as db:
            db.execute("CREATE TABLE kept AS SELECT 42 AS number")
        kill_process_tree(read_postmaster_pid(folder))
        assert (folder / "data" / "postmaster.pid").exists()

        with run_postgres(folder) as again:
            assert query_number(again, "SELECT number FROM kept") == 42


def test_the_server_starts_although_its_pid_file_names_another_process(folder: Path) -> None:
    with run_postgres(folder):
        account = EmbeddedPostgres(folder)._find_account()
        left_behind = (folder / "data" / "postmaster.pid").read_text()
    _, rest = left_behind.split("\n", 1)
    user = account.pw_uid if account else None
    with subprocess.Popen(["sleep", "60"], user=user) as other:  # noqa: S607
        (folder / "data" / "postmaster.pid").write_text(f"{other.pid}\n{rest}")

        with run_postgres(folder) as url:
            assert query_number(url) == 1
        assert other.poll() is None
        other.kill()


def test_the_pid_file_of_a_running_server_is_left_unchanged(folder: Path) -> None:
    with run_postgres(folder) as url:
        EmbeddedPostgres(folder)._invalidate_stale_pid_file()

        assert query_number(url) == 1
        assert read_postmaster_pid(folder) != IMPOSSIBLE_PID


def test_an_interrupted_initdb_does_not_prevent_a_start(folder: Path) -> None:
    (folder / "data.unfinished" / "base").mkdir(parents=True)

    with run_postgres(folder) as url:
        assert query_number(url) == 1


def test_an_empty_data_folder_is_reported_in_one_line_that_names_it(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)

    with pytest.raises(EmbeddedPostgresError) as raised, run_postgres(folder):
        pass

    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)


def test_the_server_stops_when_its_last_user_stops_using_it(folder: Path) -> None:
    first, second = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    url = first.start()
    assert second.start() == url

    first.stop()
    assert query_number(url) == 1

    second.stop()
    with pytest.raises(psycopg.OperationalError):
        query_number(url)
