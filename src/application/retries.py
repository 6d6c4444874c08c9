"""Repeats a transaction that lost a race."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from application.errors import ConcurrentUpdate

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
"""How often a batch that was overtaken starts again. Each start finds the winner's rows, so more
would only help against rows that keep appearing: contact, thread and deal are three, and the
earliest name and title may move a few times in a burst."""


async def with_retries(store: Callable[[Sequence[T]], Awaitable[R]], batch: Sequence[T]) -> R:
    """Start again while others were first. Raises Contended where that never ends."""
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return await store(batch)
        except ConcurrentUpdate:
            log.debug("overtaken", extra={"size": len(batch)})
    return await store(batch)
