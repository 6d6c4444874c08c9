"""The embedded server after what may happen to it and to its folder."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded_postgres import IMPOSSIBLE_PID, EmbeddedPostgres, EmbeddedPostgresError
from tests.faults.servers import list_process_tree, send_signal, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a server may be; it is gone after the test."""
    folder = tmp_path / "postgres"
    yield folder
    if (folder / "data" / "postmaster.pid").exists():
        kill(postmaster(folder))


def postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def kill(pid: int) -> None:
    """With all processes that it has started."""
    members = list_process_tree(pid)
    for member in members:
        send_signal(member, signal.SIGKILL)
    wait_until(lambda: all(map(is_dead, members)), "the server is killed")


def is_dead(pid: int) -> bool:
    """Whether it is gone, or would be if somebody asked how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def answers(url: str, query: str = "SELECT 1") -> int:
    with psycopg.connect(url) as db:
        row = db.execute(query.encode()).fetchone()
        assert row
        return int(row[0])


@contextmanager
def running(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder)
    try:
        yield server.start()
    finally:
        server.stop()


def test_what_was_committed_is_there_after_everything_was_killed(folder: Path) -> None:
    with running(folder) as url:
        with psycopg.connect(url) as db:
            db.execute("CREATE TABLE kept AS SELECT 42 AS number")
        kill(postmaster(folder))
        assert (folder / "data" / "postmaster.pid").exists()

        with running(folder) as again:
            assert answers(again, "SELECT number FROM kept") == 42


def test_a_pid_file_that_names_another_process_is_not_believed(folder: Path) -> None:
    with running(folder):
        account = EmbeddedPostgres(folder)._account()
        left_behind = (folder / "data" / "postmaster.pid").read_text()
    _, rest = left_behind.split("\n", 1)
    user = account.pw_uid if account else None
    with subprocess.Popen(["sleep", "60"], user=user) as other:  # noqa: S607
        (folder / "data" / "postmaster.pid").write_text(f"{other.pid}\n{rest}")

        with running(folder) as url:
            assert answers(url) == 1
        assert other.poll() is None
        other.kill()


def test_a_server_that_starts_is_waited_for_and_not_taken_for_dead(folder: Path) -> None:
    with running(folder) as url:
        EmbeddedPostgres(folder)._invalidate_stale_pid_file()

        assert answers(url) == 1
        assert postmaster(folder) != IMPOSSIBLE_PID


def test_a_half_made_folder_is_made_anew(folder: Path) -> None:
    (folder / "data.unfinished" / "base").mkdir(parents=True)

    with running(folder) as url:
        assert answers(url) == 1


def test_an_emptied_folder_is_one_clear_line(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)

    with pytest.raises(EmbeddedPostgresError) as raised, running(folder):
        pass

    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)


def test_processes_share_the_server_and_the_last_one_stops_it(folder: Path) -> None:
    first, second = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    url = first.start()
    assert second.start() == url

    first.stop()
    assert answers(url) == 1

    second.stop()
    with pytest.raises(psycopg.OperationalError):
        answers(url)
