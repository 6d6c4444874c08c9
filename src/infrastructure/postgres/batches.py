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

KEY = ("org_id", "id")


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


def swap_rows(columns: Sequence[sa.Column[Any]]) -> sa.Update:
    """An update of these columns from `old` to `new`, where they still hold `old`."""
    table = columns[0].table
    keys = [table.c.org_id, table.c.id]
    parts = [*(("key", c) for c in keys), *((name, c) for name in ("old", "new") for c in columns)]
    arrays = [sa.bindparam(f"{name}_{c.name}", type_=ARRAY(c.type)) for name, c in parts]
    names = [sa.column(f"{name}_{c.name}", c.type) for name, c in parts]
    swap = sa.func.unnest(*arrays).table_valued(*names).render_derived(name="swap")
    return (
        sa.update(table)
        .where(
            *(key == swap.c[f"key_{key.name}"] for key in keys),
            *(c.is_not_distinct_from(swap.c[f"old_{c.name}"]) for c in columns),
        )
        .values({c.name: swap.c[f"new_{c.name}"] for c in columns})
    )


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


async def swap_all(
    db: AsyncConnection,
    swap: sa.Update,
    batch: Mapping[Any, tuple[Any, Any]],
    columns: Sequence[sa.Column[Any]],
) -> None:
    """Change all rows with `swap`, from the first of each two; raise Contended for fewer."""
    if batch:
        ordered = [batch[key] for key in sorted(batch)]
        keys = {f"key_{name}": [getattr(old, name) for old, _ in ordered] for name in KEY}
        old = {f"old_{c.name}": [getattr(old, c.name) for old, _ in ordered] for c in columns}
        new = {f"new_{c.name}": [getattr(new, c.name) for _, new in ordered] for c in columns}
        changed = await db.execute(swap, keys | old | new)
        if changed.rowcount < len(batch):
            raise Contended


# Transactional, or the commit would have nothing to wait for.
EMIT = sa.select(
    sa.func.pg_logical_emit_message(
        sa.true(), sa.literal_column("'leadport'"), sa.literal_column("'known'")
    )
)


async def wait_for_standbys(db: AsyncConnection) -> None:
    """Let the commit wait for what others have committed, where synchronous standbys are.

    A row can be seen although its own commit still waits, or has given that up: if the primary is
    lost then, so is the row. The commit of what only read would wait for nothing.
    """
    await db.execute(EMIT)
