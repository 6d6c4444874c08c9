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
from infrastructure.spool import PAGE_BYTES, SqliteSpool
from tests.support.builders import NOON

MEGABYTE = 2**20


def make_spool(folder: Path, largest: int = MEGABYTE) -> SqliteSpool:
    return SqliteSpool(folder / "spool.sqlite3", largest)


@pytest.fixture
def spool(tmp_path: Path) -> SqliteSpool:
    return make_spool(tmp_path)


async def read_bodies(spool: SqliteSpool, limit: int = 1000) -> list[bytes]:
    return [kept.body for kept in await spool.read_oldest(limit, 0)]


async def fill_spool(spool: SqliteSpool, size: int = 50_000) -> int:
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

    assert await read_bodies(spool) == [b"1", b"2", b"4", b"5"]


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

    assert await read_bodies(spool) == [b"new"]


async def test_it_survives_being_opened_again(tmp_path: Path) -> None:
    for n in range(3):
        await make_spool(tmp_path).add(b"%d" % n, NOON)

    assert await read_bodies(make_spool(tmp_path)) == [b"0", b"1", b"2"]


async def test_nothing_is_made_on_the_disk_until_it_is_needed(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "data")

    assert await spool.read_oldest(10, 0) == []
    with spool.try_lock() as has_lock:
        assert not has_lock
    assert not (tmp_path / "data").exists()

    await spool.add(b"", NOON)
    assert await read_bodies(spool) == [b""]


async def test_it_has_an_end_and_room_again_once_something_is_removed(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)

    count = await fill_spool(spool)

    assert 10 <= count <= MEGABYTE // 50_000
    assert spool.path.stat().st_size <= MEGABYTE
    kept = await spool.read_oldest(1000, 0)
    assert [each.body[:6] for each in kept] == [b"%06d" % n for n in range(count)]

    await spool.remove([each.id for each in kept[:5]])
    assert 4 <= await fill_spool(spool) <= 6
    assert spool.path.stat().st_size <= MEGABYTE


async def test_small_deliveries_have_room_where_a_large_one_has_not(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, largest=20 * PAGE_BYTES)

    with pytest.raises(
        SpoolUnavailable, match=r"spool\.sqlite3 cannot be used: database or disk is full"
    ):
        await spool.add(b"x" * 30 * PAGE_BYTES, NOON)
    await spool.add(b"small", NOON)

    assert await read_bodies(spool) == [b"small"]


async def test_a_full_one_can_be_emptied(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, largest=1)
    assert await fill_spool(spool, size=10) > 0

    await spool.remove([each.id for each in await spool.read_oldest(1000, 0)])

    assert await read_bodies(spool) == []
    await spool.add(b"again", NOON)


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    everybody_may = os.umask(0)
    try:
        spool = make_spool(tmp_path / "data")
        await spool.add(b"secret words", NOON)
        with spool.try_lock() as has_lock:
            assert has_lock
    finally:
        os.umask(everybody_may)

    with_words = [p for p in spool.path.parent.iterdir() if p.suffix != ".lock"]
    assert spool.path in with_words
    assert {stat.S_IMODE(path.stat().st_mode) for path in with_words} == {0o600}


def replace_folder_with_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("a file where the folder should be")


def replace_file_with_folder(path: Path) -> None:
    path.mkdir()


def write_nonsense(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def write_other_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE deliveries (something TEXT)")
    db.close()


@pytest.mark.parametrize(
    "spoil",
    [replace_folder_with_file, replace_file_with_folder, write_nonsense, write_other_database],
)
async def test_where_it_cannot_be_used_it_counts_as_full(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    spool = make_spool(folder)
    spoil(spool.path)

    with pytest.raises(SpoolUnavailable, match=r"spool\.sqlite3 cannot be used"):
        await spool.add(b"secret words", NOON)
    if spool.path.exists():
        with pytest.raises(SpoolUnavailable):
            await spool.read_oldest(10, 0)
        with pytest.raises(SpoolUnavailable):
            await spool.remove([1])


async def test_a_folder_that_cannot_be_made_counts_as_full() -> None:
    spool = make_spool(Path("/dev/null/data"))

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
    write_nonsense(spool.path)
    with pytest.raises(SpoolUnavailable):
        await spool.add(b"refused", NOON)
    spool.path.unlink()

    await spool.add(b"kept", NOON)

    assert await read_bodies(spool) == [b"kept"]


async def test_a_writer_that_stays_too_long_is_waited_for_and_then_given_up(
    spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.spool.BUSY_TIMEOUT_SECONDS", 0.05)
    await spool.add(b"before", NOON)
    other = sqlite3.connect(spool.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(SpoolUnavailable, match="locked"):
        await spool.add(b"refused", NOON)
    other.execute("COMMIT")
    other.close()

    await spool.add(b"after", NOON)
    assert await read_bodies(spool) == [b"before", b"after"]


async def test_a_commit_is_on_the_disk(spool: SqliteSpool) -> None:
    full = 2
    with spool._open_database() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (full,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
        assert db.execute("PRAGMA max_page_count").fetchone() == (MEGABYTE // PAGE_BYTES,)
        assert db.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)


async def test_what_was_not_committed_when_the_process_ended_is_not_there(
    spool: SqliteSpool,
) -> None:
    await spool.add(b"committed", NOON)
    with spool._open_database() as db:
        db.execute("INSERT INTO deliveries (arrived_at, body) VALUES (0, x'00')")

    assert await read_bodies(spool) == [b"committed"]


async def test_one_at_a_time_drains_while_others_put(tmp_path: Path) -> None:
    one, other = make_spool(tmp_path), make_spool(tmp_path)
    await one.add(b"1", NOON)

    with one.try_lock() as has_lock, other.try_lock() as other_has_lock:
        assert (has_lock, other_has_lock) == (True, False)
        with one.try_lock() as has_second_lock:
            assert not has_second_lock
        await other.add(b"2", NOON)
        assert await read_bodies(one) == [b"1", b"2"]
    with other.try_lock() as other_has_lock:
        assert other_has_lock


async def test_who_fails_while_draining_lets_others_drain(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    await spool.add(b"", NOON)

    with pytest.raises(ZeroDivisionError), spool.try_lock():
        raise ZeroDivisionError

    with make_spool(tmp_path).try_lock() as has_lock:
        assert has_lock


DELIVERIES_PER_PROCESS, PROCESS_COUNT = 25, 4


def add_many(folder: str, process: int) -> None:
    async def put() -> None:
        spool = make_spool(Path(folder))
        for n in range(DELIVERIES_PER_PROCESS):
            await spool.add(b"%d %d" % (process, n), NOON)

    asyncio.run(put())


def hold_lock(folder: str, held: "multiprocessing.queues.Queue[bool]") -> None:
    with make_spool(Path(folder)).try_lock() as has_lock:
        held.put(has_lock)
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
    processes = [spawn(add_many, str(tmp_path), n) for n in range(PROCESS_COUNT)]
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * PROCESS_COUNT
    put = [tuple(map(int, body.split())) for body in await read_bodies(make_spool(tmp_path))]
    assert len(put) == PROCESS_COUNT * DELIVERIES_PER_PROCESS
    for process_number in range(PROCESS_COUNT):
        assert [n for p, n in put if p == process_number] == list(range(DELIVERIES_PER_PROCESS))


async def test_a_process_that_is_killed_while_draining_lets_others_drain(
    tmp_path: Path, spawn: Callable[..., multiprocessing.process.BaseProcess]
) -> None:
    spool = make_spool(tmp_path)
    await spool.add(b"", NOON)
    held = multiprocessing.get_context("spawn").Queue()
    drainer = spawn(hold_lock, str(tmp_path), held)
    assert held.get(timeout=60)
    with spool.try_lock() as has_lock:
        assert not has_lock

    drainer.kill()
    drainer.join()

    with spool.try_lock() as has_lock:
        assert has_lock
    held.close()
    held.join_thread()
