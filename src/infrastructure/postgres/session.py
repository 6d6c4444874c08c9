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

from infrastructure.postgres.batches import encode_entities

DIALECT = postgresql.psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, eq=False)
class BatchWrite:
    """A write of the rows in the batch parameter `name`. It returns one row for each it wrote.

    Where it writes fewer rows than the batch has, another transaction was first: with
    `must_write_all` that is ConcurrentUpdate (D2). Every instance is a module constant: the
    compiled statements are cached by the instances' identity.
    """

    name: str
    statement: sa.CTE
    must_write_all: bool = True

    @classmethod
    def build(
        cls, name: str, statement: Insert | sa.Update, *, must_write_all: bool = True
    ) -> "BatchWrite":
        """Build it from a statement without RETURNING."""
        written = statement.returning(sa.literal_column("1").label("one")).cte(f"{name}_written")
        return cls(name, written, must_write_all)


class RawStatement(NamedTuple):
    """A statement for the driver itself, with `$1`, `$2`, … for its parameters, all of them text."""

    text: str
    parameters: Sequence[str] = ()
    is_prepared: bool = True


# A COMMIT has no plan to keep. Sent as text it can be found in the traffic, as tests/faults do.
COMMIT = RawStatement("COMMIT", is_prepared=False)


@dataclass(frozen=True, slots=True)
class PostgresSession:
    """The session of one transaction, which all its repositories share.

    Deferred writes are sent together: before the next statement, or with the commit. So a batch of
    any size takes a lock, a read, a write and a commit, in two round trips (D66).
    """

    connection: AsyncConnection
    _deferred: dict[BatchWrite, list[Any]] = field(default_factory=dict)

    def defer_write(self, write: BatchWrite, batch: Iterable[object]) -> None:
        """Write these rows later. The statement that sends them may raise ConcurrentUpdate."""
        if rows := list(batch):
            self._deferred.setdefault(write, []).extend(rows)

    async def execute(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        """Execute a statement through SQLAlchemy, after the deferred writes."""
        if self._deferred:
            await self.run_pipelined(self._take_deferred())
        return await self.connection.execute(statement, parameters)

    async def run_pipelined(
        self, *statements: RawStatement
    ) -> psycopg.AsyncRawCursor[tuple[Any, ...]]:
        """Run statements in one round trip, and return the result of the last one.

        They go to psycopg directly. For what runs with every delivery, SQLAlchemy's own execution
        costs as much as the statement.
        """
        raw_connection = await self.connection.get_raw_connection()
        driver = cast("psycopg.AsyncConnection[tuple[Any, ...]]", raw_connection.driver_connection)
        async with driver.pipeline():
            for text, parameters, is_prepared in statements:
                cursor = psycopg.AsyncRawCursor(driver)
                # None: as the connection's prepare_threshold says; for ingestion that is at once.
                await cursor.execute(text, parameters, prepare=None if is_prepared else False)
        return cursor

    async def commit(self) -> None:
        """Send the deferred writes and commit, in one round trip. Raises ConcurrentUpdate."""
        if self._deferred:
            await self.run_pipelined(self._take_deferred(), COMMIT)
        if self.connection.in_transaction():  # as SQLAlchemy sees it; it does not see the pipeline
            await self.connection.commit()

    def _take_deferred(self) -> RawStatement:
        """Build the statement of all deferred writes. It writes all of them, or fails."""
        deferred = dict(self._deferred)
        self._deferred.clear()
        text, names = _compile_writes(tuple(deferred))
        parameters = {write.name: encode_entities(batch) for write, batch in deferred.items()}
        parameters |= {_make_size_name(write): str(len(batch)) for write, batch in deferred.items()}
        return RawStatement(text, [parameters[name] for name in names])


@lru_cache(maxsize=256)
def _compile_writes(writes: tuple[BatchWrite, ...]) -> tuple[str, Sequence[str]]:
    """Compile one statement for all writes; return its text and the names of its parameters.

    The outer SELECT counts the rows of each write, which also runs them in this order. If a count
    is not the expected one, `leadport_raise_concurrent_update()` (migration 0006) raises SQLSTATE
    LP001 (D28). The function is called in that case only.
    """
    results: list[sa.ColumnElement[Any]] = []
    for write in writes:
        count = sa.select(sa.func.count()).select_from(write.statement).scalar_subquery()
        if write.must_write_all:
            size = sa.bindparam(_make_size_name(write), type_=sa.Integer())
            guard = sa.func.leadport_raise_concurrent_update(type_=sa.Integer)
            results.append(sa.case((count == size, sa.literal_column("1")), else_=guard))
        else:
            results.append(count)
    compiled = sa.select(*results).compile(dialect=DIALECT)
    return str(compiled), compiled.positiontup or ()


def _make_size_name(write: BatchWrite) -> str:
    return f"{write.name}_size"


# Transactional: a message outside the transaction would give the commit nothing to wait for.
EMIT_WAL_MESSAGE = sa.select(
    sa.func.pg_logical_emit_message(
        sa.true(), sa.literal_column("'leadport'"), sa.literal_column("'known'")
    )
)


async def make_commit_wait_for_standbys(session: PostgresSession) -> None:
    """Make the commit wait for synchronous standbys, where there are any, although it only read.

    A row can be visible while its own commit still waits for a standby, or has given up waiting. If
    the primary is lost then, so is the row. The commit of a transaction that wrote nothing waits
    for no standby; a WAL message makes it wait as the other commit had to (D29).
    """
    await session.execute(EMIT_WAL_MESSAGE)
