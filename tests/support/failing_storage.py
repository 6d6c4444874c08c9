"""A storage that has its troubles when a test says so, and is the real one underneath."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from application.errors import StorageRefused, StorageUnavailable
from application.ports.storage import Repositories, Transactions
from domain.change import StateChange
from domain.message import Message, MessageKey
from domain.organization import UserId


async def away() -> None:
    raise StorageUnavailable("away")


async def hanging() -> None:
    await asyncio.Event().wait()


@dataclass
class Troubled(Transactions):
    """`trouble` comes before each transaction and each look whether it is ready.

    Messages and changes whose words contain one of `refused` are refused.
    """

    real: Transactions
    trouble: Callable[[], Awaitable[None]] | None = None
    refused: set[str] = field(default_factory=set)
    asked: int = 0

    @asynccontextmanager
    async def begin(self, person: UserId | None = None) -> AsyncIterator[Repositories]:
        await self._troubles()
        async with self.real.begin(person) as repos:
            yield replace(
                repos,
                messages=Refusing(repos.messages, self.refused),
                changes=Refusing(repos.changes, self.refused),
            )

    async def ready(self) -> None:
        await self._troubles()
        await self.real.ready()

    async def _troubles(self) -> None:
        self.asked += 1
        if self.trouble:
            await self.trouble()


@dataclass
class Refusing:
    """A repository that refuses to add some words, and else is the real one."""

    real: Any
    refused: set[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def add(self, things: Mapping[MessageKey, Message | StateChange]) -> Any:
        for thing in things.values():
            if any(word in str(thing) for word in self.refused):
                raise StorageRefused("CheckViolation (23514) test_rule")
        return await self.real.add(things)
