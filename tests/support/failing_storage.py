"""A storage that fails when a test says so, over a real storage adapter."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from application.errors import StorageRefused, StorageUnavailable
from application.ports.storage import Repositories, Transactions
from domain.actor import Actor
from domain.change import ChangeRecord
from domain.message import Message, MessageKey

REJECTION = "CheckViolation (23514) test_rule"
"""The reason that a rejected message or change fails with."""

Fault: TypeAlias = Callable[[], Awaitable[object]]


async def raise_unavailable() -> None:
    """Fail as a storage that does not answer."""
    raise StorageUnavailable("away")


async def block_forever() -> None:
    """Hang as a storage that takes connections and stores nothing."""
    await asyncio.Event().wait()


@dataclass
class FailingTransactions(Transactions):
    """Runs `fault` before each transaction and each check of readiness, and counts both.

    A repository refuses to add messages and changes that contain one of `rejected_words`.
    """

    real: Transactions
    fault: Fault | None = None
    rejected_words: set[str] = field(default_factory=set)
    calls: int = 0

    @asynccontextmanager
    async def begin(self, actor: Actor) -> AsyncIterator[Repositories]:
        await self._run_fault()
        async with self.real.begin(actor) as repos:
            yield replace(
                repos,
                messages=RejectingRepository(repos.messages, self.rejected_words),
                changes=RejectingRepository(repos.changes, self.rejected_words),
            )

    async def check_ready(self) -> None:
        await self._run_fault()
        await self.real.check_ready()

    async def _run_fault(self) -> None:
        self.calls += 1
        if self.fault:
            await self.fault()


@contextmanager
def storage_down(storage: FailingTransactions) -> Iterator[None]:
    """Let every transaction of the storage raise StorageUnavailable until the block ends."""
    storage.fault = raise_unavailable
    try:
        yield
    finally:
        storage.fault = None


@dataclass
class RejectingRepository:
    """A repository that refuses to add rows with certain words, as a CHECK constraint would."""

    real: Any
    rejected_words: set[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def add(self, rows: Mapping[MessageKey, Message | ChangeRecord]) -> Any:
        for row in rows.values():
            if any(word in str(row) for word in self.rejected_words):
                raise StorageRefused(REJECTION)
        return await self.real.add(rows)
