"""Stores a batch although some of its items fail: by bisection (D4)."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from application.errors import ConcurrentUpdate, StorageRefused, StorageUnavailable
from application.transaction_retries import with_retries

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

MAX_LOGGED_FRAMES = 8
"""How many frames of an unexpected error's traceback are logged, the innermost last."""


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
            if not isinstance(error, StorageRefused | ConcurrentUpdate):
                _log_unexpected_error(error)
            return [await on_failure(batch[0], _describe_failure(error))]
        middle = len(batch) // 2
        first_half = await bisect_failures(store, batch[:middle], on_failure)
        return first_half + await bisect_failures(store, batch[middle:], on_failure)


def _describe_failure(error: Exception) -> str:
    """Return what happened and what an operator can do about it.

    The text of the error is left out, because it may quote data; only StorageRefused is known to
    quote none (D18).
    """
    match error:
        case StorageRefused():
            return str(error)
        case ConcurrentUpdate():
            return (
                "other deliveries changed the same data at the same time; "
                "the retry usually succeeds, and nothing needs to be done"
            )
    return (
        f"unexpected error ({type(error).__name__}); it is retried, "
        "and the log line unexpected_error has its place: report both"
    )


def _log_unexpected_error(error: Exception) -> None:
    """Log the type of the error and its place in the code, without its text."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_LOGGED_FRAMES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log.error("unexpected_error", extra={"error": type(error).__name__, "where": places})
