"""Stores a batch although some of its items fail: by bisection."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from application.errors import StorageRefused, StorageUnavailable
from application.retries import with_retries

T = TypeVar("T")
R = TypeVar("R")


async def bisect_failures(
    store: Callable[[Sequence[T]], Awaitable[R]],
    batch: Sequence[T],
    on_failure: Callable[[T, str], Awaitable[R]],
) -> list[R]:
    """Store the batch in one transaction; where that fails, store its halves, down to one item.

    An item that fails alone is passed to `on_failure` with the reason. Returns the results of the
    transactions and of `on_failure`, in the order of the batch; an empty list for an empty batch.
    Raises StorageUnavailable: then no item is at fault.
    """
    if not batch:
        return []
    try:
        return [await with_retries(partial(store, batch))]
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other items must be stored
        if len(batch) == 1:
            return [await on_failure(batch[0], _describe_failure(error))]
        middle = len(batch) // 2
        first_half = await bisect_failures(store, batch[:middle], on_failure)
        return first_half + await bisect_failures(store, batch[middle:], on_failure)


def _describe_failure(error: Exception) -> str:
    """Name the error without its text: only StorageRefused is known to quote no data."""
    return str(error) if isinstance(error, StorageRefused) else type(error).__name__
