"""What a transaction writes, as few statements as it can be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.ext.asyncio import AsyncConnection

from application.errors import Contended
from infrastructure.postgres.batches import recordset

DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A write of the rows in the parameter `name`; the statement returns one for each it wrote.

    Where somebody was faster it returns fewer, and if `is_all` that is Contended.
    """

    name: str
    statement: sa.CTE
    is_all: bool = True

    @classmethod
    def of(cls, name: str, statement: Insert | sa.Update, *, is_all: bool = True) -> "Write":
        """Of a statement that returns nothing yet."""
        written = statement.returning(sa.literal_column("1").label("one")).cte(f"{name}_written")
        return cls(name, written, is_all)


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """A transaction that writes as late as it can, and then all at once: in one round trip.

    What is noted is written before the next statement, or at the end.
    """

    db: AsyncConnection
    _noted: dict[Write, list[Any]] = field(default_factory=dict)

    def note(self, write: Write, batch: Iterable[object]) -> None:
        """Write these rows later. Contended is raised then."""
        if added := list(batch):
            self._noted.setdefault(write, []).extend(added)

    async def execute(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        """Run a statement, after all that was noted."""
        await self.flush()
        return await self.db.execute(statement, parameters)

    async def run(
        self, *statements: str, parameters: Mapping[str, str] | None = None
    ) -> list[tuple[Any, ...]]:
        """Have the driver run statements in its own words, in one round trip.

        Returns the rows of the last one, which takes the parameters. What runs for every delivery
        goes this way: SQLAlchemy's costs as much as the statement.
        """
        connection = await self.db.get_raw_connection()
        driver = cast("psycopg.AsyncConnection[tuple[Any, ...]]", connection.driver_connection)
        *before, last = statements
        async with driver.pipeline():
            for statement in before:
                await driver.execute(statement)
            found = await driver.execute(last, parameters)
        return await found.fetchall()

    async def flush(self) -> None:
        """Write what was noted. Raises Contended."""
        if not self._noted:
            return
        noted = dict(self._noted)
        self._noted.clear()
        given = {write.name: recordset(batch) for write, batch in noted.items()}
        (written,) = await self.run(_all_at_once(tuple(noted)), parameters=given)
        expected = [len(batch) for batch in noted.values()]
        if any(
            write.is_all and count < wanted
            for write, count, wanted in zip(noted, written, expected, strict=True)
        ):
            raise Contended


@lru_cache(maxsize=256)
def _all_at_once(writes: tuple[Write, ...]) -> str:
    """One statement for all: it counts the rows of each, and so runs them in this order."""
    counts = (
        sa.select(sa.func.count()).select_from(write.statement).scalar_subquery()
        for write in writes
    )
    return str(sa.select(*counts).compile(dialect=DIALECT))


# Transactional, or the commit would have nothing to wait for.
EMIT = sa.select(
    sa.func.pg_logical_emit_message(
        sa.true(), sa.literal_column("'leadport'"), sa.literal_column("'known'")
    )
)


async def wait_for_standbys(db: UnitOfWork) -> None:
    """Let the commit wait for what others have committed, where synchronous standbys are.

    A row can be seen although its own commit still waits, or has given that up: if the primary is
    lost then, so is the row. The commit of what only read would wait for nothing.
    """
    await db.execute(EMIT)
