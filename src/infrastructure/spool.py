"""The spool: an SQLite file that holds deliveries while the database does not accept them (D59).

Workers and processes share the file. SQLite has synced a delivery to the disk before `add` returns
(`synchronous=FULL`).
"""

import asyncio
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from application.errors import SpoolFull, SpoolUnavailable
from application.ports.delivery import Spool, SpooledDelivery

T = TypeVar("T")

PAGE_BYTES = 4096
BUSY_TIMEOUT_SECONDS = 0.7
"""How long a write waits for those of other workers, which take some milliseconds each."""

RESERVE_BYTES = 256 * 1024
"""Size of the reserve file, which is deleted so that `remove` has room on a full disk."""

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, arrived_at REAL NOT NULL, body BLOB NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class SqliteSpool(Spool):
    """The spool in the file `path`, of at most about `max_bytes`.

    The file is created by the first `add`. One thread per object does all work, because SQLite's
    calls block until the disk has answered. A method that fails raises SpoolFull where SQLite or
    the operating system reports that no room is left, and SpoolUnavailable for any other reason.
    """

    path: Path
    max_bytes: int
    busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="spool")
    )

    async def add(self, body: bytes, arrived_at: datetime) -> None:
        def insert(db: sqlite3.Connection) -> None:
            row = (arrived_at.timestamp(), body)
            db.execute("INSERT INTO deliveries (arrived_at, body) VALUES (?, ?)", row)

        await self._run_in_thread(insert)

    async def read_oldest(self, limit: int, after: int) -> list[SpooledDelivery]:
        def select(db: sqlite3.Connection) -> list[SpooledDelivery]:
            query = "SELECT id, arrived_at, body FROM deliveries WHERE id > ? ORDER BY id LIMIT ?"
            return [
                SpooledDelivery(id_, datetime.fromtimestamp(arrived_at, UTC), body)
                for id_, arrived_at, body in db.execute(query, (after, limit))
            ]

        return await self._run_in_thread(select) if self.path.exists() else []

    async def remove(self, ids: Collection[int]) -> None:
        try:
            await self._run_in_thread(partial(_delete, ids=ids))
        except SpoolUnavailable:
            # On a full disk SQLite has no room for the journal of a removal. Freeing the reserve
            # makes some, and removals of one delivery each need the least.
            self._reserve_file.unlink(missing_ok=True)
            for id_ in ids:
                await self._run_in_thread(partial(_delete, ids=[id_], needs_little_space=True))
        self._ensure_reserve()

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        if not self.path.exists():
            yield False
            return
        try:
            lock = self.path.with_suffix(".lock").open("ab")
        except OSError as error:
            raise _make_error(f"the spool {self.path} cannot be locked: {error}", error) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @property
    def _reserve_file(self) -> Path:
        return self.path.with_suffix(".reserve")

    def _ensure_reserve(self) -> None:
        """Create the reserve file if it is missing; on a full disk, leave it to the next call."""
        if self._reserve_file.exists():
            return
        try:
            self._reserve_file.touch(mode=0o600)
            self._reserve_file.write_bytes(bytes(RESERVE_BYTES))
        except OSError:
            with suppress(OSError):
                self._reserve_file.unlink(missing_ok=True)

    async def _run_in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._run_and_commit, work
        )

    def _run_and_commit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Open the database, do the work, commit and close.

        Opening it each time keeps the spool usable after its file was deleted or replaced.
        """
        try:
            with self._open_database() as db:
                result = work(db)
                db.commit()
                return result
        except (sqlite3.Error, OSError) as error:
            raise _make_error(f"the spool {self.path} cannot be used: {error}", error) from error

    @contextmanager
    def _open_database(self) -> Iterator[sqlite3.Connection]:
        is_new = not self.path.exists()
        if is_new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Only the owner may read the file, because it holds customers' messages.
            os.close(os.open(self.path, os.O_CREAT, 0o600))
            self._ensure_reserve()
        db = sqlite3.connect(self.path, timeout=self.busy_timeout_seconds)
        try:
            # TRUNCATE is durable with synchronous=FULL and leaves an empty journal behind.
            db.execute("PRAGMA journal_mode=TRUNCATE")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA secure_delete=ON")  # or removed messages stay in free pages
            db.execute(f"PRAGMA max_page_count={max(self.max_bytes // PAGE_BYTES, 4)}")
            db.execute(CREATE_TABLE)
            yield db
        finally:
            db.close()


def _delete(
    db: sqlite3.Connection, ids: Collection[int], *, needs_little_space: bool = False
) -> None:
    if needs_little_space:
        # Secure deletion overwrites all pages of a delivery and journals their old contents.
        db.execute("PRAGMA secure_delete=OFF")
    db.executemany("DELETE FROM deliveries WHERE id = ?", [(id_,) for id_ in ids])


def _make_error(text: str, cause: sqlite3.Error | OSError) -> SpoolUnavailable:
    """Make the port's error: SpoolFull where the cause is a full file or a full disk."""
    if isinstance(cause, sqlite3.Error):
        # Errors that the sqlite3 module itself raises have no code.
        is_full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    else:
        is_full = cause.errno == errno.ENOSPC
    return SpoolFull(text) if is_full else SpoolUnavailable(text)
