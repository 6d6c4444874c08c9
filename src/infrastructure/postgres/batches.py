"""Statements over a whole batch: its rows are one JSON parameter (`json_to_recordset`).

The text of such a statement does not depend on the size of the batch, so SQLAlchemy compiles it
once and PostgreSQL keeps it prepared (D5). psycopg adapts arrays of Python objects far more slowly
than one JSON text (D66). Rows are written in key order, so that two batches cannot deadlock (D3).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Insert, insert

PRIMARY_KEY = ("org_id", "id")


class BatchParameter:
    """A parameter that holds the rows of a batch, and the table that a statement sees of it.

    `columns` give the names and types. `c` are the columns of that table.
    """

    def __init__(self, name: str, columns: Sequence[sa.ColumnElement[Any]]) -> None:
        self.name = name
        self._names = [column.name for column in columns]
        text = sa.cast(sa.bindparam(name, type_=sa.Text()), postgresql.JSON)
        values = sa.func.json_to_recordset(text).table_valued(
            *(sa.column(column.name, column.type) for column in columns)
        )
        self.c = values.render_derived(name=name, with_types=True).c

    def bind(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, str]:
        """Return the parameter for rows as tuples, in the order of the columns."""
        return {self.name: encode_rows(rows, self._names)}

    def bind_entities(self, entities: Iterable[object]) -> dict[str, str]:
        """Return the parameter for entities: their fields have the columns' names."""
        return {self.name: encode_entities(entities)}


def list_columns(table: sa.Table, entity: type) -> list[sa.Column[Any]]:
    """Return the columns named like the entity's fields, so that `Entity(**row)` maps a row."""
    return [table.c[field.name] for field in fields(entity)]


def encode_entities(batch: Iterable[object]) -> str:
    """Encode entities or mappings as a JSON list of objects."""
    return msgspec.json.encode(list(batch)).decode()


def encode_rows(batch: Iterable[tuple[Any, ...]], names: Sequence[str]) -> str:
    """Encode tuples as a JSON list of objects with these names."""
    return encode_entities(dict(zip(names, row, strict=True)) for row in batch)


def build_batch_insert(
    name: str, columns: Sequence[sa.Column[Any]], key: Sequence[str] = PRIMARY_KEY
) -> Insert:
    """Build an insert of the batch parameter `name` into these columns, in the order of the key."""
    batch = BatchParameter(name, columns)
    ordered = sa.select(*batch.c).order_by(*(batch.c[column] for column in key))
    return insert(columns[0].table).from_select([c.name for c in columns], ordered)


def build_batch_compare_and_swap(name: str, columns: Sequence[sa.Column[Any]]) -> sa.Update:
    """Build an update of these columns where they still have their old values.

    The batch parameter `name` has rows as `make_compare_and_swap_rows` makes them.
    """
    table = columns[0].table
    parts = [*(("key", table.c[c]) for c in PRIMARY_KEY), *(("old", c) for c in columns)]
    parts += [("new", c) for c in columns]
    batch = BatchParameter(name, [sa.column(f"{part}_{c.name}", c.type) for part, c in parts])
    return (
        sa.update(table)
        .where(
            *(table.c[c] == batch.c[f"key_{c}"] for c in PRIMARY_KEY),
            *(c.is_not_distinct_from(batch.c[f"old_{c.name}"]) for c in columns),
        )
        .values({c.name: batch.c[f"new_{c.name}"] for c in columns})
    )


def make_compare_and_swap_rows(
    pairs: Iterable[tuple[Any, Any]], columns: Sequence[sa.Column[Any]]
) -> list[Mapping[str, object]]:
    """Make the rows of a compare-and-swap from pairs of an old and a new entity, in key order."""
    names = [column.name for column in columns]
    return [
        {f"key_{name}": getattr(old, name) for name in PRIMARY_KEY}
        | {f"old_{name}": getattr(old, name) for name in names}
        | {f"new_{name}": getattr(new, name) for name in names}
        for old, new in sorted(pairs, key=lambda pair: attrgetter(*PRIMARY_KEY)(pair[0]))
    ]
