"""Tests of the SQLite spool: order, size limit, durability, errors, and several processes."""

import asyncio
import errno
import multiprocessing
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from application.errors import SpoolFull, SpoolUnavailable
from infrastructure.spool import BUSY_TIMEOUT_SECONDS, PAGE_BYTES, SqliteSpool
from tests.support.builders import NOON

MEGABYTE = 2**20


def make_spool(
    folder: Path, max_bytes: int = MEGABYTE, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
) -> SqliteSpool:
    return SqliteSpool(folder / "spool.sqlite3", max_bytes, busy_timeout_seconds)


@pytest.fixture
def spool(tmp_path: Path) -> SqliteSpool:
    return make_spool(tmp_path)


async def read_bodies(spool: SqliteSpool, limit: int = 1000) -> list[bytes]:
    return [delivery.body for delivery in await spool.read_oldest(limit, 0)]


async def fill_spool(spool: SqliteSpool, size: int = 50_000) -> int:
    """Add deliveries until the spool is full; return how many it took."""
    for n in range(10_000):
        try:
            await spool.add(b"%06d" % n + os.urandom(size), NOON)
        except SpoolFull:
            return n
    raise AssertionError("the spool took 10,000 deliveries")


async def test_deliveries_are_read_unchanged_in_the_order_of_their_adding(
    spool: SqliteSpool,
) -> None:
    body = bytes(range(256)) * 1000
    arrived_at = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
    await spool.add(body, arrived_at)
    for n in range(20):
        # Each arrived earlier than the one before: the time does not decide the order.
        await spool.add(b"%d" % n, NOON - timedelta(minutes=n))

    spooled = await spool.read_oldest(1000, 0)

    assert [each.body for each in spooled] == [body, *(b"%d" % n for n in range(20))]
    assert abs(spooled[0].arrived_at - arrived_at) < timedelta(milliseconds=1)
    assert spooled[3].arrived_at == NOON - timedelta(minutes=2)
    assert await spool.read_oldest(3, 0) == spooled[:3]


async def test_removed_deliveries_are_gone_and_the_rest_stay_in_order(spool: SqliteSpool) -> None:
    for n in range(5):
        await spool.add(b"%d" % n, NOON)
    spooled = await spool.read_oldest(1000, 0)

    await spool.remove([spooled[0].id, spooled[3].id])
    await spool.add(b"5", NOON)

    assert await read_bodies(spool) == [b"1", b"2", b"4", b"5"]


async def test_the_text_of_a_removed_delivery_is_erased_from_the_disk(spool: SqliteSpool) -> None:
    await spool.add(b"secret text" * 1000, NOON)
    await spool.add(b"other text", NOON)
    assert b"secret text" in spool.path.read_bytes()

    (old, _) = await spool.read_oldest(2, 0)
    await spool.remove([old.id])

    files = [path.read_bytes() for path in spool.path.parent.iterdir()]
    assert not any(b"secret text" in file for file in files)
    assert any(b"other text" in file for file in files)


async def test_the_id_of_a_removed_delivery_is_not_used_again(spool: SqliteSpool) -> None:
    """A process that removes a stored delivery must not remove one that was added since."""
    await spool.add(b"old", NOON)
    (old,) = await spool.read_oldest(1, 0)
    await spool.remove([old.id])
    await spool.add(b"new", NOON)

    await spool.remove([old.id])

    assert await read_bodies(spool) == [b"new"]


async def test_deliveries_of_earlier_objects_are_read_by_a_new_object(tmp_path: Path) -> None:
    for n in range(3):
        await make_spool(tmp_path).add(b"%d" % n, NOON)

    assert await read_bodies(make_spool(tmp_path)) == [b"0", b"1", b"2"]


async def test_reading_and_locking_create_no_files_before_the_first_delivery(
    tmp_path: Path,
) -> None:
    spool = make_spool(tmp_path / "data")

    assert await spool.read_oldest(10, 0) == []
    with spool.try_lock() as has_lock:
        assert not has_lock
    assert not (tmp_path / "data").exists()

    await spool.add(b"", NOON)
    assert await read_bodies(spool) == [b""]


async def test_a_full_spool_keeps_its_size_and_takes_as_much_as_is_removed(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)

    count = await fill_spool(spool)

    assert 10 <= count <= MEGABYTE // 50_000
    assert spool.path.stat().st_size <= MEGABYTE
    spooled = await spool.read_oldest(1000, 0)
    assert [each.body[:6] for each in spooled] == [b"%06d" % n for n in range(count)]

    await spool.remove([each.id for each in spooled[:5]])
    assert 4 <= await fill_spool(spool) <= 6
    assert spool.path.stat().st_size <= MEGABYTE


async def test_a_spool_too_full_for_a_large_delivery_still_takes_a_small_one(
    tmp_path: Path,
) -> None:
    spool = make_spool(tmp_path, max_bytes=20 * PAGE_BYTES)

    with pytest.raises(SpoolFull, match=r"spool\.sqlite3 cannot be used: database or disk is full"):
        await spool.add(b"x" * 30 * PAGE_BYTES, NOON)
    await spool.add(b"small", NOON)

    assert await read_bodies(spool) == [b"small"]


async def test_a_disk_without_room_for_the_file_makes_the_spool_full(
    spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_to_open(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail_to_open)
        with pytest.raises(SpoolFull, match=r"cannot be used: .*No space left on device"):
            await spool.add(b"refused", NOON)

    await spool.add(b"accepted", NOON)
    assert await read_bodies(spool) == [b"accepted"]


async def test_a_full_spool_can_be_emptied_and_used_again(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, max_bytes=1)
    assert await fill_spool(spool, size=10) > 0

    await spool.remove([each.id for each in await spool.read_oldest(1000, 0)])

    assert await read_bodies(spool) == []
    await spool.add(b"again", NOON)


async def test_files_that_hold_messages_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    previous_umask = os.umask(0)
    try:
        spool = make_spool(tmp_path / "data")
        await spool.add(b"secret text", NOON)
        with spool.try_lock() as has_lock:
            assert has_lock
    finally:
        os.umask(previous_umask)

    message_files = [p for p in spool.path.parent.iterdir() if p.suffix != ".lock"]
    assert spool.path in message_files
    assert {stat.S_IMODE(path.stat().st_mode) for path in message_files} == {0o600}


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
async def test_a_damaged_spool_is_unavailable_and_not_full(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    spool = make_spool(folder)
    spoil(spool.path)

    with pytest.raises(SpoolUnavailable, match=r"spool\.sqlite3 cannot be used") as raised:
        await spool.add(b"secret text", NOON)
    assert not isinstance(raised.value, SpoolFull)
    if spool.path.exists():
        with pytest.raises(SpoolUnavailable):
            await spool.read_oldest(10, 0)
        with pytest.raises(SpoolUnavailable):
            await spool.remove([1])


async def test_a_spool_whose_folder_cannot_be_created_is_unavailable_and_empty() -> None:
    spool = make_spool(Path("/dev/null/data"))

    with pytest.raises(SpoolUnavailable, match="cannot be used") as raised:
        await spool.add(b"", NOON)
    assert not isinstance(raised.value, SpoolFull)
    assert await spool.read_oldest(10, 0) == []


async def test_a_spool_whose_lock_file_cannot_be_created_is_unavailable(
    spool: SqliteSpool,
) -> None:
    await spool.add(b"", NOON)
    spool.path.with_suffix(".lock").mkdir()

    with (
        pytest.raises(SpoolUnavailable, match="cannot be locked") as raised,
        spool.try_lock(),
    ):
        pass
    assert not isinstance(raised.value, SpoolFull)


async def test_a_damaged_spool_works_again_after_its_file_is_deleted(spool: SqliteSpool) -> None:
    """The spool opens its file for each delivery."""
    await spool.add(b"lost", NOON)
    write_nonsense(spool.path)
    with pytest.raises(SpoolUnavailable):
        await spool.add(b"refused", NOON)
    spool.path.unlink()

    await spool.add(b"accepted", NOON)

    assert await read_bodies(spool) == [b"accepted"]


async def test_a_write_blocked_by_another_writer_fails_after_the_busy_timeout(
    tmp_path: Path,
) -> None:
    spool = make_spool(tmp_path, busy_timeout_seconds=0.05)
    await spool.add(b"before", NOON)
    other_writer = sqlite3.connect(spool.path, isolation_level=None)
    other_writer.execute("BEGIN IMMEDIATE")

    with pytest.raises(SpoolUnavailable, match="locked") as raised:
        await spool.add(b"refused", NOON)
    assert not isinstance(raised.value, SpoolFull)
    other_writer.execute("COMMIT")
    other_writer.close()

    await spool.add(b"after", NOON)
    assert await read_bodies(spool) == [b"before", b"after"]


async def test_sqlite_syncs_each_commit_and_limits_the_file_size(spool: SqliteSpool) -> None:
    synchronous_full = 2
    with spool._open_database() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (synchronous_full,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
        assert db.execute("PRAGMA max_page_count").fetchone() == (MEGABYTE // PAGE_BYTES,)
        assert db.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)


async def test_an_uncommitted_delivery_is_not_read(spool: SqliteSpool) -> None:
    await spool.add(b"committed", NOON)
    with spool._open_database() as db:
        db.execute("INSERT INTO deliveries (arrived_at, body) VALUES (0, x'00')")

    assert await read_bodies(spool) == [b"committed"]


async def test_the_lock_has_one_holder_and_does_not_block_adding(tmp_path: Path) -> None:
    spool, other_spool = make_spool(tmp_path), make_spool(tmp_path)
    await spool.add(b"1", NOON)

    with spool.try_lock() as has_lock, other_spool.try_lock() as other_has_lock:
        assert (has_lock, other_has_lock) == (True, False)
        with spool.try_lock() as has_second_lock:
            assert not has_second_lock
        await other_spool.add(b"2", NOON)
        assert await read_bodies(spool) == [b"1", b"2"]
    with other_spool.try_lock() as other_has_lock:
        assert other_has_lock


async def test_an_error_of_the_lock_holder_releases_the_lock(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    await spool.add(b"", NOON)

    with pytest.raises(ZeroDivisionError), spool.try_lock():
        raise ZeroDivisionError

    with make_spool(tmp_path).try_lock() as has_lock:
        assert has_lock


DELIVERIES_PER_PROCESS, PROCESS_COUNT = 25, 4


def add_many(folder: str, process: int) -> None:
    async def add() -> None:
        # A slow disk that several tests share must not fail the test.
        spool = make_spool(Path(folder), busy_timeout_seconds=60)
        for n in range(DELIVERIES_PER_PROCESS):
            await spool.add(b"%d %d" % (process, n), NOON)

    asyncio.run(add())


def hold_lock(folder: str, results: "multiprocessing.queues.Queue[bool]") -> None:
    with make_spool(Path(folder)).try_lock() as has_lock:
        results.put(has_lock)
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


@pytest.mark.slow
async def test_deliveries_that_several_processes_add_at_once_are_all_kept_in_order(
    tmp_path: Path, spawn: Callable[..., multiprocessing.process.BaseProcess]
) -> None:
    processes = [spawn(add_many, str(tmp_path), n) for n in range(PROCESS_COUNT)]
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * PROCESS_COUNT
    added = [tuple(map(int, body.split())) for body in await read_bodies(make_spool(tmp_path))]
    assert len(added) == PROCESS_COUNT * DELIVERIES_PER_PROCESS
    for process_number in range(PROCESS_COUNT):
        numbers = [number for process, number in added if process == process_number]
        assert numbers == list(range(DELIVERIES_PER_PROCESS))


@pytest.mark.slow
async def test_killing_the_process_that_holds_the_lock_releases_it(
    tmp_path: Path, spawn: Callable[..., multiprocessing.process.BaseProcess]
) -> None:
    spool = make_spool(tmp_path)
    await spool.add(b"", NOON)
    results = multiprocessing.get_context("spawn").Queue()
    holder = spawn(hold_lock, str(tmp_path), results)
    assert results.get(timeout=60)
    with spool.try_lock() as has_lock:
        assert not has_lock

    holder.kill()
    holder.join()

    with spool.try_lock() as has_lock:
        assert has_lock
    results.close()
    results.join_thread()
