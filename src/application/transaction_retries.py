"""Repeats a transaction that lost a race against another one."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from application.errors import ConcurrentUpdate

R = TypeVar("R")

log = logging.getLogger(__name__)

MAX_TRANSACTION_ATTEMPTS = 8
"""Each attempt reads the rows of the transaction that was first, so further attempts help only
against rows that keep appearing. Contact, thread and deal of a person are three; the earliest
title and profile name may change a few times in a burst of messages (D2)."""


async def with_retries(transaction: Callable[[], Awaitable[R]]) -> R:
    """Run the transaction, and repeat it while it raises ConcurrentUpdate.

    Raises ConcurrentUpdate after MAX_TRANSACTION_ATTEMPTS attempts.
    """
    for attempt in range(1, MAX_TRANSACTION_ATTEMPTS):
        try:
            return await transaction()
        except ConcurrentUpdate:
            log.debug("overtaken", extra={"attempt": attempt})
    return await transaction()
