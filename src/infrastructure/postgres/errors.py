"""What PostgreSQL says, in the application's words and without any of the data."""

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from application.errors import ConcurrentUpdate, StorageRefused, StorageUnavailable

# Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html
UNAVAILABLE_CODES = (
    "08",  # connection exception
    "25006",  # read-only: a standby, or a disk that filled up
    "28",  # invalid authorization: a password being rotated
    "3D",  # invalid catalog name: the database is not there (yet)
    "42P01",  # undefined table: not migrated (yet)
    "53",  # insufficient resources: disk, memory, connections
    "57",  # operator intervention: shutdown, starting up, cancelled
    "58",  # system error outside PostgreSQL: I/O
)
CONCURRENT_UPDATE_CODES = (
    "22012",  # division by zero: `unit_of_work` has written fewer rows than it must
    "40",  # serialization failure, deadlock
    "23503",  # foreign key: the parent row was removed meanwhile
    "23505",  # unique: somebody was first
    "55P03",  # lock not available
)


def translate_error(error: DBAPIError | psycopg.Error | PoolTimeout | OSError) -> Exception:
    """The application's error for one of the driver's, the pool's or the network's.

    The driver's own may come as it is, or in SQLAlchemy's wrapping.
    """
    given = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(given, psycopg.Error):
        return StorageUnavailable(f"the database does not answer ({type(error).__name__})")
    state = given.sqlstate
    if state is None:
        # Not from the server, so it quotes no data: libpq says which host it could not reach.
        return StorageUnavailable(f"the database does not answer: {_first_line(given)}")
    kind = f"{type(given).__name__} ({state})"
    is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if is_lost or state.startswith(UNAVAILABLE_CODES):
        return StorageUnavailable(f"the database is not available: {kind}")
    if state.startswith(CONCURRENT_UPDATE_CODES):
        return ConcurrentUpdate(kind)
    # Only what names parts of the schema: the message itself may quote what was to be stored.
    diagnosis = given.diag
    parts = [diagnosis.table_name, diagnosis.column_name, diagnosis.constraint_name]
    return StorageRefused(" ".join([kind, *filter(None, parts)]))


def violated_constraint(error: DBAPIError) -> str | None:
    """The constraint or unique index that an insert or update broke."""
    name: str | None = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return name


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0]
