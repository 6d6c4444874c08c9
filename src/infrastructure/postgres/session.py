"""A PostgreSQL transaction that defers its writes and sends them in one round trip."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.ext.asyncio import AsyncConnection

from infrastructure.postgres.batches import recordset

DIALECT = postgresql.psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, eq=False)
class BatchWrite:
    """A write of the rows in the parameter `name`; the statement returns one for each it wrote.

    Where somebody was faster it returns fewer, and if `is_all` that is Contended.
    """

    name: str
    statement: sa.CTE
    is_all: bool = True

    @classmethod
    def of(cls, name: str, statement: Insert | sa.Update, *, is_all: bool = True) -> "BatchWrite":
        """Of a statement that returns nothing yet."""
        written = statement.returning(sa.literal_column("1").label("one")).cte(f"{name}_written")
        return cls(name, written, is_all)


class Statement(NamedTuple):
    """What the driver sends as it is: `$1` and so on stand for the parameters, all of them text."""

    text: str
    parameters: Sequence[str] = ()
    is_prepared: bool = True


# There is nothing to plan; and sent in words it can be found in the traffic, as tests/faults do.
COMMIT = Statement("COMMIT", is_prepared=False)


@dataclass(frozen=True, slots=True)
class PostgresSession:
    """A transaction that writes as late as it can, and then all at once: in one round trip.

    What is noted is written before the next statement, or at the end.
    """

    db: AsyncConnection
    _noted: dict[BatchWrite, list[Any]] = field(default_factory=dict)

    def defer_write(self, write: BatchWrite, batch: Iterable[object]) -> None:
        """Write these rows later. Contended is raised then."""
        if added := list(batch):
            self._noted.setdefault(write, []).extend(added)

    async def execute(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        """Run a statement, after all that was noted."""
        if self._noted:
            await self.run_pipelined(self._written())
        return await self.db.execute(statement, parameters)

    async def run_pipelined(
        self, *statements: Statement
    ) -> psycopg.AsyncRawCursor[tuple[Any, ...]]:
        """Have the driver run statements in one round trip; returns the result of the last one.

        What runs for every delivery goes this way: SQLAlchemy's costs as much as the statement.
        """
        connection = await self.db.get_raw_connection()
        driver = cast("psycopg.AsyncConnection[tuple[Any, ...]]", connection.driver_connection)
        async with driver.pipeline():
            for text, parameters, is_prepared in statements:
                cursor = psycopg.AsyncRawCursor(driver)
                # None: as the connection does by itself, which for the webhook's is at once.
                await cursor.execute(text, parameters, prepare=None if is_prepared else False)
        return cursor

    async def commit(self) -> None:
        """Write what was noted and end the transaction. Raises Contended."""
        if self._noted:
            await self.run_pipelined(self._written(), COMMIT)
        if self.db.in_transaction():  # as SQLAlchemy sees it; it knows nothing of `run`
            await self.db.commit()

    def _written(self) -> Statement:
        """Write what was noted: all of it, or the statement fails."""
        noted = dict(self._noted)
        self._noted.clear()
        text, names = _all_at_once(tuple(noted))
        given = {write.name: recordset(batch) for write, batch in noted.items()}
        given |= {_size(write): str(len(batch)) for write, batch in noted.items()}
        return Statement(text, [given[name] for name in names])


@lru_cache(maxsize=256)
def _all_at_once(writes: tuple[BatchWrite, ...]) -> tuple[str, Sequence[str]]:
    """One statement for all, and what its parameters are called.

    It counts the rows of each, and so runs them in this order; it divides by zero, which nothing
    else here does, where they are fewer than they must be.
    """
    results = []
    for write in writes:
        count = sa.select(sa.func.count()).select_from(write.statement).scalar_subquery()
        size = sa.bindparam(_size(write), type_=sa.Integer())
        one = sa.literal_column("1", sa.Integer()) // sa.cast(count == size, sa.Integer())
        results.append(one if write.is_all else count)
    compiled = sa.select(*results).compile(dialect=DIALECT)
    return str(compiled), compiled.positiontup or ()


def _size(write: BatchWrite) -> str:
    return f"{write.name}_size"


# Transactional, or the commit would have nothing to wait for.
EMIT = sa.select(
    sa.func.pg_logical_emit_message(
        sa.true(), sa.literal_column("'leadport'"), sa.literal_column("'known'")
    )
)


async def wait_for_standbys(db: PostgresSession) -> None:
    """Let the commit wait for what others have committed, where synchronous standbys are.

    A row can be seen although its own commit still waits, or has given that up: if the primary is
    lost then, so is the row. The commit of what only read would wait for nothing.
    """
    await db.execute(EMIT)
