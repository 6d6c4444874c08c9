"""What operators count, in Prometheus' text format.

Names come out of deliveries, never anything that people wrote; labels are bounded.
"""

import os
from collections.abc import Iterable, Mapping

from litestar import Response, get
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from application.ingestion.ingest_messages import Counters
from domain.change import IncomingChange
from interfaces.meta.parsed import IgnoredItem

disable_created_metrics()  # type: ignore[no-untyped-call]  # a line each, and nobody asks

MESSAGES = Counter(
    "leadport_messages",
    "Messages that people sent, by what became of them: ingested, skipped or failed.",
    ["result"],
)
RESULTS = {name: MESSAGES.labels(name) for name in ("ingested", "skipped", "failed")}
CHANGES = Counter(
    "leadport_changes", "Edits, deletions, reactions and the like, by kind.", ["kind"]
)
PASSED_OVER = Counter(
    "leadport_passed_over",
    "What deliveries held besides, by name. Of verdict unknown: Meta has added something.",
    ["verdict", "channel", "part", "name"],
)

MEDIA_TYPE = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
"""Litestar adds the charset."""

MOST_NAMES = 500
"""Whoever can sign deliveries could send any number of names; those beyond are counted as one."""

_names: set[IgnoredItem] = set()


def count(
    counters: Counters, changes: Iterable[IncomingChange], notes: Mapping[IgnoredItem, int]
) -> None:
    """Count a delivery."""
    for name, result in RESULTS.items():
        if number := getattr(counters, name):
            result.inc(number)
    for change in changes:
        CHANGES.labels(change.kind).inc()
    for note, times in notes.items():
        if len(_names) < MOST_NAMES:
            _names.add(note)
        known = note if note in _names else note._replace(channel="(other)", name="(other)")
        PASSED_OVER.labels(*known).inc(times)


@get("/metrics", sync_to_thread=True, include_in_schema=False)
def metrics() -> Response[bytes]:
    """Write the counts of all workers, since the service was started."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=MEDIA_TYPE)
