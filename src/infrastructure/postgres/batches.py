"""A whole batch as one statement whose text never changes: `… FROM unnest(array, array, …)`.

So SQLAlchemy compiles it once and PostgreSQL keeps it prepared, whatever the size of the batch.
Arrays are in key order, or two batches could wait for each other for ever.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from application.errors import Contended


def columns_of(table: sa.Table, entity: type) -> list[sa.Column[Any]]:
    """The columns that bear the names of the entity's fields, so that `Entity(**row)` maps."""
    return [table.c[field.name] for field in fields(entity)]


def rows(name: str, columns: Sequence[sa.Column[Any]]) -> sa.TableValuedAlias:
    """A table that takes one array for each column: the parameter `<name>_<column>`."""
    arrays = [sa.bindparam(f"{name}_{c.name}", type_=ARRAY(c.type)) for c in columns]
    values = sa.func.unnest(*arrays).table_valued(*(sa.column(c.name, c.type) for c in columns))
    return values.render_derived(name=name)


def insert_rows(columns: Sequence[sa.Column[Any]]) -> Insert:
    """An insert of the rows `new` into these columns of their table."""
    new = rows("new", columns)
    return insert(columns[0].table).from_select([c.name for c in columns], sa.select(*new.c))


def key_arrays(
    name: str, batch: Iterable[tuple[Any, ...]], columns: Sequence[str]
) -> dict[str, Any]:
    """The arrays of keys, for `rows(name, …)`."""
    ordered = sorted(batch)
    return {f"{name}_{column}": [key[i] for key in ordered] for i, column in enumerate(columns)}


def value_arrays(batch: Mapping[Any, object], columns: Sequence[sa.Column[Any]]) -> dict[str, Any]:
    """The arrays of entities, for `insert_rows(…)`."""
    ordered = [batch[key] for key in sorted(batch)]
    return {f"new_{c.name}": [getattr(entity, c.name) for entity in ordered] for c in columns}


async def add_all(
    db: AsyncConnection,
    add: sa.Executable,
    batch: Mapping[Any, object],
    columns: Sequence[sa.Column[Any]],
) -> None:
    """Insert all rows with `add`, which must return one for each; raise Contended for fewer."""
    if batch:
        added = await db.execute(add, value_arrays(batch, columns))
        if len(added.all()) < len(batch):
            raise Contended
