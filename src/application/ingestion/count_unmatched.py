"""Counts and logs messages for addresses without an enabled connection, not their content (D63)."""

import logging
from collections import Counter
from collections.abc import Container, Iterable

from domain.connection import MAX_EXTERNAL_ID_CHARACTERS, Address
from domain.inbound import Inbound

log = logging.getLogger(__name__)


def count_unmatched(
    messages: Iterable[Inbound], connections: Container[Address]
) -> Counter[Address]:
    """Count the messages whose address is not among the connections, by that address.

    External ids are cut to the length that a connection may have.
    """
    return Counter(
        m.address._replace(external_id=m.address.external_id[:MAX_EXTERNAL_ID_CHARACTERS])
        for m in messages
        if m.address not in connections
    )


def log_unmatched(counts: Counter[Address]) -> None:
    """Log a line for each address."""
    for (channel, external_id), count in counts.items():
        number = {"channel": channel, "external_id": external_id}
        log.info("no_connection", extra={**number, "messages": count})
