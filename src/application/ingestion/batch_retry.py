"""Stores a batch although some of its items fail: by bisection."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from application.errors import StorageRefused, StorageUnavailable
from application.retries import with_retries

T = TypeVar("T")

R = TypeVar("R")

log = logging.getLogger(__name__)


async def bisect_failures(
    store: Callable[[Sequence[T]], Awaitable[R]],
    batch: Sequence[T],
    on_failure: Callable[[T, str], Awaitable[R]],
) -> list[R]:
    """Store all at once; where that fails, by halves, so that a bad one is set aside alone.

    Raises StorageUnavailable, which is nobody's fault in the batch.
    """
    if not batch:
        return []
    try:
        return [await with_retries(store, batch)]
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours must be stored
        if len(batch) == 1:
            return [await on_failure(batch[0], _reason(error))]
        middle = len(batch) // 2
        first_half = await bisect_failures(store, batch[:middle], on_failure)
        return first_half + await bisect_failures(store, batch[middle:], on_failure)


def _reason(error: Exception) -> str:
    """Say what went wrong without the data: only a refusal's text is known to hold none."""
    return str(error) if isinstance(error, StorageRefused) else type(error).__name__
