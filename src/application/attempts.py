"""How a batch is stored although parts of it may be bad, or somebody else was faster."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from application.errors import Contended, StorageRefused, StorageUnavailable

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

STARTS = 8
"""How often a batch that was overtaken starts again. Each start finds the winner's rows, so more
would only help against rows that keep appearing: contact, thread and deal are three, and the
earliest name and title may move a few times in a burst."""


async def unless_overtaken(store: Callable[[Sequence[T]], Awaitable[R]], batch: Sequence[T]) -> R:
    """Start again while others were first. Raises Contended where that never ends."""
    for _ in range(STARTS - 1):
        try:
            return await store(batch)
        except Contended:
            log.debug("overtaken", extra={"size": len(batch)})
    return await store(batch)


async def in_halves(
    store: Callable[[Sequence[T]], Awaitable[R]],
    batch: Sequence[T],
    set_aside: Callable[[T, str], Awaitable[R]],
) -> list[R]:
    """Store all at once; where that fails, by halves, so that a bad one is set aside alone.

    Raises StorageUnavailable, which is nobody's fault in the batch.
    """
    if not batch:
        return []
    try:
        return [await unless_overtaken(store, batch)]
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours must be stored
        if len(batch) == 1:
            return [await set_aside(batch[0], _reason(error))]
        middle = len(batch) // 2
        first_half = await in_halves(store, batch[:middle], set_aside)
        return first_half + await in_halves(store, batch[middle:], set_aside)


def _reason(error: Exception) -> str:
    """Say what went wrong without the data: only a refusal's text is known to hold none."""
    return str(error) if isinstance(error, StorageRefused) else type(error).__name__
