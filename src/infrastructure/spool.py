"""Deliveries on the local disk, while the database cannot take them.

SQLite keeps them in one file that workers and processes share; a commit is on the disk before
`put` returns (`synchronous=FULL`).
"""

import asyncio
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

from application.errors import SpoolUnavailable
from application.ports.delivery import Spool, SpooledDelivery

T = TypeVar("T")

PAGE_BYTES = 4096
BUSY_TIMEOUT_SECONDS = 0.7
"""How long to wait for other workers' writes: each takes the disk some milliseconds."""

RESERVE_BYTES = 256 * 1024
"""Bytes of disk that are kept back, for removing when the disk is full."""

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, arrived_at REAL NOT NULL, body BLOB NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class SqliteSpool(Spool):
    """The file `path`, of at most about `largest` bytes; it is made when it is first needed.

    One thread does all the work, because SQLite waits for the disk.
    """

    path: Path
    largest: int
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
            # SQLite needs room to remove anything, and the disk has none: a little was kept back.
            self._reserve_file.unlink(missing_ok=True)
            for id_ in ids:
                await self._run_in_thread(partial(_delete, ids=[id_], needs_little_space=True))
        self._keep_reserve()

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        if not self.path.exists():
            yield False
            return
        try:
            lock = self.path.with_suffix(".lock").open("ab")
        except OSError as error:
            raise SpoolUnavailable(f"the spool {self.path} cannot be locked: {error}") from error
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

    def _keep_reserve(self) -> None:
        """Hold some room on the disk; where there is none, the next time will do."""
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
        """Open, work, commit, close: that survives whatever happens to the file meanwhile."""
        try:
            with self._open_database() as db:
                result = work(db)
                db.commit()
                return result
        except (sqlite3.Error, OSError) as error:
            raise SpoolUnavailable(f"the spool {self.path} cannot be used: {error}") from error

    @contextmanager
    def _open_database(self) -> Iterator[sqlite3.Connection]:
        is_new = not self.path.exists()
        if is_new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT, 0o600))  # it holds what people wrote
            self._keep_reserve()
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS)
        try:
            # Of the journals that FULL makes durable, the one that is left behind empty.
            db.execute("PRAGMA journal_mode=TRUNCATE")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA secure_delete=ON")  # else what is removed stays in free pages
            db.execute(f"PRAGMA max_page_count={max(self.largest // PAGE_BYTES, 4)}")
            db.execute(CREATE_TABLE)
            yield db
        finally:
            db.close()


def _delete(
    db: sqlite3.Connection, ids: Collection[int], *, needs_little_space: bool = False
) -> None:
    if needs_little_space:
        db.execute("PRAGMA secure_delete=OFF")  # it writes every page, and to the journal too
    db.executemany("DELETE FROM deliveries WHERE id = ?", [(id_,) for id_ in ids])
