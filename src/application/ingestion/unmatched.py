"""What came for nobody leaves a trace without its content."""

import logging
from collections import Counter
from collections.abc import Container, Iterable

from domain.connection import MAX_EXTERNAL_ID_LENGTH, Address
from domain.inbound import Inbound

log = logging.getLogger(__name__)


def count_unmatched(
    messages: Iterable[Inbound], connections: Container[Address]
) -> Counter[Address]:
    """Count what came for nobody, by the id that nobody has connected."""
    return Counter(
        m.address._replace(external_id=m.address.external_id[:MAX_EXTERNAL_ID_LENGTH])
        for m in messages
        if m.address not in connections
    )


def log_unmatched(counted: Counter[Address]) -> None:
    """Say so in the log."""
    for (channel, external_id), count in counted.items():
        number = {"channel": channel, "external_id": external_id}
        log.info("no_connection", extra={**number, "messages": count})
