"""Deliveries on the local disk: in order, bounded, and still there whatever ends."""

import asyncio
import multiprocessing
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from application.errors import SpoolUnavailable
from infrastructure.spool import PAGE, SqliteSpool
from tests.support.builders import NOON

MEGABYTE = 2**20


def spool_in(folder: Path, largest: int = MEGABYTE) -> SqliteSpool:
    return SqliteSpool(folder / "spool.sqlite3", largest)


@pytest.fixture
def spool(tmp_path: Path) -> SqliteSpool:
    return spool_in(tmp_path)


async def bodies(spool: SqliteSpool, limit: int = 1000) -> list[bytes]:
    return [kept.body for kept in await spool.read_oldest(limit, 0)]


async def fill(spool: SqliteSpool, size: int = 50_000) -> int:
    """Put until it is full; how many there was room for."""
    for n in range(10_000):
        try:
            await spool.add(b"%06d" % n + os.urandom(size), NOON)
        except SpoolUnavailable:
            return n
    raise AssertionError("the spool has no end")


async def test_deliveries_come_out_as_they_went_in_the_oldest_first(spool: SqliteSpool) -> None:
    body = bytes(range(256)) * 1000
    arrived_at = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
    await spool.add(body, arrived_at)
    for n in range(20):
        # In the order they were put, whatever the clock says.
        await spool.add(b"%d" % n, NOON - timedelta(minutes=n))

    kept = await spool.read_oldest(1000, 0)

    assert [each.body for each in kept] == [body, *(b"%d" % n for n in range(20))]
    assert abs(kept[0].arrived_at - arrived_at) < timedelta(milliseconds=1)
    assert kept[3].arrived_at == NOON - timedelta(minutes=2)
    assert await spool.read_oldest(3, 0) == kept[:3]


async def test_what_is_removed_is_gone_and_the_rest_stays_in_order(spool: SqliteSpool) -> None:
    for n in range(5):
        await spool.add(b"%d" % n, NOON)
    kept = await spool.read_oldest(1000, 0)

    await spool.remove([kept[0].id, kept[3].id])
    await spool.add(b"5", NOON)

    assert await bodies(spool) == [b"1", b"2", b"4", b"5"]


async def test_nothing_of_what_is_removed_is_left_on_the_disk(spool: SqliteSpool) -> None:
    await spool.add(b"secret words" * 1000, NOON)
    await spool.add(b"kept", NOON)
    assert b"secret words" in spool.path.read_bytes()

    (old, _) = await spool.read_oldest(2, 0)
    await spool.remove([old.id])

    files = [path.read_bytes() for path in spool.path.parent.iterdir()]
    assert not any(b"secret words" in file for file in files)
    assert any(b"kept" in file for file in files)


async def test_an_id_is_never_given_again(spool: SqliteSpool) -> None:
    """Else who removes what was stored might remove what came meanwhile."""
    await spool.add(b"old", NOON)
    (old,) = await spool.read_oldest(1, 0)
    await spool.remove([old.id])
    await spool.add(b"new", NOON)

    await spool.remove([old.id])

    assert await bodies(spool) == [b"new"]


async def test_it_survives_being_opened_again(tmp_path: Path) -> None:
    for n in range(3):
        await spool_in(tmp_path).add(b"%d" % n, NOON)

    assert await bodies(spool_in(tmp_path)) == [b"0", b"1", b"2"]


async def test_nothing_is_made_on_the_disk_until_it_is_needed(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "data")

    assert await spool.read_oldest(10, 0) == []
    with spool.try_lock() as is_mine:
        assert not is_mine
    assert not (tmp_path / "data").exists()

    await spool.add(b"", NOON)
    assert await bodies(spool) == [b""]


async def test_it_has_an_end_and_room_again_once_something_is_removed(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)

    count = await fill(spool)

    assert 10 <= count <= MEGABYTE // 50_000
    assert spool.path.stat().st_size <= MEGABYTE
    kept = await spool.read_oldest(1000, 0)
    assert [each.body[:6] for each in kept] == [b"%06d" % n for n in range(count)]

    await spool.remove([each.id for each in kept[:5]])
    assert 4 <= await fill(spool) <= 6
    assert spool.path.stat().st_size <= MEGABYTE


async def test_small_deliveries_have_room_where_a_large_one_has_not(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, largest=20 * PAGE)

    with pytest.raises(
        SpoolUnavailable, match=r"spool\.sqlite3 cannot be used: database or disk is full"
    ):
        await spool.add(b"x" * 30 * PAGE, NOON)
    await spool.add(b"small", NOON)

    assert await bodies(spool) == [b"small"]


async def test_a_full_one_can_be_emptied(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, largest=1)
    assert await fill(spool, size=10) > 0

    await spool.remove([each.id for each in await spool.read_oldest(1000, 0)])

    assert await bodies(spool) == []
    await spool.add(b"again", NOON)


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    everybody_may = os.umask(0)
    try:
        spool = spool_in(tmp_path / "data")
        await spool.add(b"secret words", NOON)
        with spool.try_lock() as is_mine:
            assert is_mine
    finally:
        os.umask(everybody_may)

    with_words = [p for p in spool.path.parent.iterdir() if p.suffix != ".lock"]
    assert spool.path in with_words
    assert {stat.S_IMODE(path.stat().st_mode) for path in with_words} == {0o600}


def missing_folder(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("a file where the folder should be")


def a_folder_in_its_place(path: Path) -> None:
    path.mkdir()


def nonsense(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE deliveries (something TEXT)")
    db.close()


@pytest.mark.parametrize(
    "spoil", [missing_folder, a_folder_in_its_place, nonsense, another_database]
)
async def test_where_it_cannot_be_used_it_counts_as_full(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    spool = spool_in(folder)
    spoil(spool.path)

    with pytest.raises(SpoolUnavailable, match=r"spool\.sqlite3 cannot be used"):
        await spool.add(b"secret words", NOON)
    if spool.path.exists():
        with pytest.raises(SpoolUnavailable):
            await spool.read_oldest(10, 0)
        with pytest.raises(SpoolUnavailable):
            await spool.remove([1])


async def test_a_folder_that_cannot_be_made_counts_as_full() -> None:
    spool = spool_in(Path("/dev/null/data"))

    with pytest.raises(SpoolUnavailable, match="cannot be used"):
        await spool.add(b"", NOON)
    assert await spool.read_oldest(10, 0) == []


async def test_a_lock_that_cannot_be_made_counts_as_full(spool: SqliteSpool) -> None:
    await spool.add(b"", NOON)
    spool.path.with_suffix(".lock").mkdir()

    with pytest.raises(SpoolUnavailable, match="cannot be locked"), spool.try_lock():
        pass


async def test_a_spool_that_was_spoiled_and_repaired_works_again(spool: SqliteSpool) -> None:
    """It is opened anew for each delivery."""
    await spool.add(b"lost", NOON)
    nonsense(spool.path)
    with pytest.raises(SpoolUnavailable):
        await spool.add(b"refused", NOON)
    spool.path.unlink()

    await spool.add(b"kept", NOON)

    assert await bodies(spool) == [b"kept"]


async def test_a_writer_that_stays_too_long_is_waited_for_and_then_given_up(
    spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.spool.BUSY_SECONDS", 0.05)
    await spool.add(b"before", NOON)
    other = sqlite3.connect(spool.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(SpoolUnavailable, match="locked"):
        await spool.add(b"refused", NOON)
    other.execute("COMMIT")
    other.close()

    await spool.add(b"after", NOON)
    assert await bodies(spool) == [b"before", b"after"]


async def test_a_commit_is_on_the_disk(spool: SqliteSpool) -> None:
    full = 2
    with spool._connection() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (full,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
        assert db.execute("PRAGMA max_page_count").fetchone() == (MEGABYTE // PAGE,)
        assert db.execute("PRAGMA page_size").fetchone() == (PAGE,)


async def test_what_was_not_committed_when_the_process_ended_is_not_there(
    spool: SqliteSpool,
) -> None:
    await spool.add(b"committed", NOON)
    with spool._connection() as db:
        db.execute("INSERT INTO deliveries (arrived_at, body) VALUES (0, x'00')")

    assert await bodies(spool) == [b"committed"]


async def test_one_at_a_time_drains_while_others_put(tmp_path: Path) -> None:
    one, other = spool_in(tmp_path), spool_in(tmp_path)
    await one.add(b"1", NOON)

    with one.try_lock() as is_mine, other.try_lock() as is_theirs:
        assert (is_mine, is_theirs) == (True, False)
        with one.try_lock() as is_mine_twice:
            assert not is_mine_twice
        await other.add(b"2", NOON)
        assert await bodies(one) == [b"1", b"2"]
    with other.try_lock() as is_theirs:
        assert is_theirs


async def test_who_fails_while_draining_lets_others_drain(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await spool.add(b"", NOON)

    with pytest.raises(ZeroDivisionError), spool.try_lock():
        raise ZeroDivisionError

    with spool_in(tmp_path).try_lock() as is_mine:
        assert is_mine


PUTS, PROCESSES = 25, 4


def put_many(folder: str, process: int) -> None:
    async def put() -> None:
        spool = spool_in(Path(folder))
        for n in range(PUTS):
            await spool.add(b"%d %d" % (process, n), NOON)

    asyncio.run(put())


def hold_the_lock(folder: str, held: "multiprocessing.queues.Queue[bool]") -> None:
    with spool_in(Path(folder)).try_lock() as is_mine:
        held.put(is_mine)
        multiprocessing.Event().wait()


@pytest.fixture
def spawn() -> Iterator[Callable[..., multiprocessing.process.BaseProcess]]:
    context = multiprocessing.get_context("spawn")
    started: list[multiprocessing.process.BaseProcess] = []

    def start(
        target: Callable[..., None], *arguments: object
    ) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=target, args=arguments)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


async def test_several_processes_put_at_once_and_nothing_is_lost(
    tmp_path: Path, spawn: Callable[..., multiprocessing.process.BaseProcess]
) -> None:
    processes = [spawn(put_many, str(tmp_path), n) for n in range(PROCESSES)]
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    put = [tuple(map(int, body.split())) for body in await bodies(spool_in(tmp_path))]
    assert len(put) == PROCESSES * PUTS
    for process_number in range(PROCESSES):
        assert [n for p, n in put if p == process_number] == list(range(PUTS))


async def test_a_process_that_is_killed_while_draining_lets_others_drain(
    tmp_path: Path, spawn: Callable[..., multiprocessing.process.BaseProcess]
) -> None:
    spool = spool_in(tmp_path)
    await spool.add(b"", NOON)
    held = multiprocessing.get_context("spawn").Queue()
    drainer = spawn(hold_the_lock, str(tmp_path), held)
    assert held.get(timeout=60)
    with spool.try_lock() as is_mine:
        assert not is_mine

    drainer.kill()
    drainer.join()

    with spool.try_lock() as is_mine:
        assert is_mine
    held.close()
    held.join_thread()
