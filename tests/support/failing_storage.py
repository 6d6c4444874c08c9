"""A storage that has its troubles when a test says so, and is the real one underneath."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from application.errors import StorageRefused, StorageUnavailable
from application.ports.storage import Repositories, Transactions
from domain.actor import Actor
from domain.change import ChangeRecord
from domain.message import Message, MessageKey


async def raise_unavailable() -> None:
    raise StorageUnavailable("away")


async def block_forever() -> None:
    await asyncio.Event().wait()


@dataclass
class FailingTransactions(Transactions):
    """`trouble` comes before each transaction and each look whether it is ready.

    Messages and changes whose words contain one of `refused` are refused.
    """

    real: Transactions
    fault: Callable[[], Awaitable[None]] | None = None
    rejected_words: set[str] = field(default_factory=set)
    calls: int = 0

    @asynccontextmanager
    async def begin(self, actor: Actor) -> AsyncIterator[Repositories]:
        await self._raise_fault()
        async with self.real.begin(actor) as repos:
            yield replace(
                repos,
                messages=RejectingRepository(repos.messages, self.rejected_words),
                changes=RejectingRepository(repos.changes, self.rejected_words),
            )

    async def check_ready(self) -> None:
        await self._raise_fault()
        await self.real.check_ready()

    async def _raise_fault(self) -> None:
        self.calls += 1
        if self.fault:
            await self.fault()


@dataclass
class RejectingRepository:
    """A repository that refuses to add some words, and else is the real one."""

    real: Any
    rejected_words: set[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def add(self, things: Mapping[MessageKey, Message | ChangeRecord]) -> Any:
        for thing in things.values():
            if any(word in str(thing) for word in self.rejected_words):
                raise StorageRefused("CheckViolation (23514) test_rule")
        return await self.real.add(things)
