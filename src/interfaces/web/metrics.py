"""Prometheus metrics: counters of messages, changes and ignored items, and the route `/metrics`.

A label holds a result, a kind, or a name of Meta's format, such as a field. No label holds a
message's text, a person's name or a phone number. `MAX_COUNTED_NAMES` bounds the number of labels.
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

disable_created_metrics()  # type: ignore[no-untyped-call]  # it would add a line for each counter

MESSAGES_TOTAL = Counter(
    "leadport_messages",
    "Messages that people sent, by result: ingested, skipped or failed.",
    ["result"],
)
TOTAL_BY_RESULT = {name: MESSAGES_TOTAL.labels(name) for name in ("ingested", "skipped", "failed")}
CHANGES_TOTAL = Counter(
    "leadport_changes",
    "Changes to messages and contacts, such as edits and reactions, by kind.",
    ["kind"],
)
IGNORED_ITEMS_TOTAL = Counter(
    "leadport_passed_over",
    "Ignored items of deliveries, by name. Verdict unknown: this version does not know the item.",
    ["verdict", "channel", "part", "name"],
)

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
"""Without the charset, which Litestar adds."""

MAX_COUNTED_NAMES = 500
"""The number of distinct ignored items that are counted by name; further ones count as `(other)`.

Without a limit, a sender with the app secret could make any number of time series (D71).
"""

_counted_items: set[IgnoredItem] = set()


def count_delivery(
    counters: Counters, changes: Iterable[IncomingChange], ignored_items: Mapping[IgnoredItem, int]
) -> None:
    """Add a delivery to the counters."""
    for result, total in TOTAL_BY_RESULT.items():
        if number := getattr(counters, result):
            total.inc(number)
    for change in changes:
        CHANGES_TOTAL.labels(change.kind).inc()
    for item, times in ignored_items.items():
        if len(_counted_items) < MAX_COUNTED_NAMES:
            _counted_items.add(item)
        labels = (
            item if item in _counted_items else item._replace(channel="(other)", name="(other)")
        )
        IGNORED_ITEMS_TOTAL.labels(*labels).inc(times)


@get("/metrics", sync_to_thread=True, include_in_schema=False)
def render_metrics() -> Response[bytes]:
    """Return the counts of all workers since the service started."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=METRICS_MEDIA_TYPE)
