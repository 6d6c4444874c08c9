"""Walks the plans of PostgreSQL, as EXPLAIN (FORMAT JSON) returns them."""

from collections.abc import Iterator
from typing import Any, TypeAlias

PlanNode: TypeAlias = dict[str, Any]


def walk_plan(node: PlanNode) -> Iterator[PlanNode]:
    """Return the node and all nodes below it."""
    yield node
    for child in node.get("Plans", []):
        yield from walk_plan(child)
