"""A whole batch as one statement whose text never changes: `… FROM json_to_recordset(…)`.

So it is compiled once and PostgreSQL keeps it prepared, whatever the size of the batch. The rows
are one JSON parameter: psycopg takes far longer over arrays of Python objects. They are written in
key order, or two batches could wait for each other for ever.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Insert, insert

KEY = ("org_id", "id")


def columns_of(table: sa.Table, entity: type) -> list[sa.Column[Any]]:
    """The columns that bear the names of the entity's fields, so that `Entity(**row)` maps."""
    return [table.c[field.name] for field in fields(entity)]


def json_rows(name: str, columns: Sequence[sa.ColumnElement[Any]]) -> sa.TableValuedAlias:
    """A table of the rows in the parameter `name`, as `recordset` makes it."""
    given = sa.func.json_to_recordset(sa.cast(sa.bindparam(name, type_=sa.Text()), postgresql.JSON))
    values = given.table_valued(*(sa.column(c.name, c.type) for c in columns))
    return values.render_derived(name=name, with_types=True)


def recordset(batch: Iterable[object]) -> str:
    """Entities or mappings as the value of a parameter of `rows`: columns go by their names."""
    return msgspec.json.encode(list(batch)).decode()


def key_rows(batch: Iterable[tuple[Any, ...]], names: Sequence[str]) -> str:
    """Tuples as the value of a parameter of `rows`."""
    return recordset([dict(zip(names, key, strict=True)) for key in batch])


def insert_rows(name: str, columns: Sequence[sa.Column[Any]], key: Sequence[str] = KEY) -> Insert:
    """An insert of the rows `name` into these columns of their table, in the order of the key."""
    new = json_rows(name, columns)
    ordered = sa.select(*new.c).order_by(*(new.c[column] for column in key))
    return insert(columns[0].table).from_select([c.name for c in columns], ordered)


def compare_and_swap(name: str, columns: Sequence[sa.Column[Any]]) -> sa.Update:
    """An update of these columns from `old` to `new`, where they still hold `old`."""
    table = columns[0].table
    parts = [*(("key", table.c[c]) for c in KEY), *(("old", c) for c in columns)]
    parts += [("new", c) for c in columns]
    swap = json_rows(name, [sa.column(f"{part}_{c.name}", c.type) for part, c in parts])
    return (
        sa.update(table)
        .where(
            *(table.c[c] == swap.c[f"key_{c}"] for c in KEY),
            *(c.is_not_distinct_from(swap.c[f"old_{c.name}"]) for c in columns),
        )
        .values({c.name: swap.c[f"new_{c.name}"] for c in columns})
    )


def cas_rows(
    batch: Iterable[tuple[Any, Any]], columns: Sequence[sa.Column[Any]]
) -> list[Mapping[str, object]]:
    """The rows of `swap_rows` in key order: what each entity was, and what it shall be."""
    names = [column.name for column in columns]
    return [
        {f"key_{name}": getattr(old, name) for name in KEY}
        | {f"old_{name}": getattr(old, name) for name in names}
        | {f"new_{name}": getattr(new, name) for name in names}
        for old, new in sorted(batch, key=lambda two: attrgetter(*KEY)(two[0]))
    ]
