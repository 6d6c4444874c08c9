"""Translates errors of PostgreSQL, driver and pool into the application's, without any data."""

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from application.errors import ConcurrentUpdate, StorageRefused, StorageUnavailable

# Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html
UNAVAILABLE_SQLSTATE_PREFIXES = (
    "08",  # connection exception
    "25006",  # read-only: a standby, or a disk that filled up
    "28",  # invalid authorization: a password being rotated
    "3D",  # invalid catalog name: the database is not there (yet)
    "42P01",  # undefined table: not migrated (yet)
    "53",  # insufficient resources: disk, memory, connections
    "57",  # operator intervention: shutdown, starting up, cancelled
    "58",  # system error outside PostgreSQL: I/O
)
CONCURRENT_UPDATE_SQLSTATE_PREFIXES = (
    "LP001",  # ours: `leadport_raise_concurrent_update` (D28)
    "40",  # serialization failure, deadlock
    "23503",  # foreign key violation: the parent row was removed
    "23505",  # unique violation: another transaction was first
    "55P03",  # lock not available
)


def translate_error(error: DBAPIError | psycopg.Error | PoolTimeout | OSError) -> Exception:
    """Return the application's error for one of the driver, the pool or the network.

    The driver's error may come as it is, or wrapped by SQLAlchemy.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return StorageUnavailable(f"the database does not answer ({type(error).__name__})")
    state = cause.sqlstate
    if state is None:
        # libpq's own error, which quotes no data: it names the host that it could not reach.
        return StorageUnavailable(f"the database does not answer: {_take_first_line(cause)}")
    kind = f"{type(cause).__name__} ({state})"
    is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if is_lost or state.startswith(UNAVAILABLE_SQLSTATE_PREFIXES):
        return StorageUnavailable(f"the database is not available: {kind}")
    if state.startswith(CONCURRENT_UPDATE_SQLSTATE_PREFIXES):
        return ConcurrentUpdate(kind)
    # Only names of the schema: the server's message may quote the data (D18).
    diagnosis = cause.diag
    parts = [diagnosis.table_name, diagnosis.column_name, diagnosis.constraint_name]
    return StorageRefused(" ".join([kind, *filter(None, parts)]))


def get_violated_constraint(error: DBAPIError) -> str | None:
    """Return the name of the violated constraint or unique index, or None."""
    name: str | None = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return name


def _take_first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0]
