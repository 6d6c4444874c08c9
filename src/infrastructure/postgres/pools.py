"""Connection pools, each of which acts as one database role (D25)."""

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# The roles of migration 0002, which says what each may do.
INGEST_ROLE, AUTH_ROLE, PEOPLE_ROLE = "leadport_ingest", "leadport_auth", "authenticated"

DEFAULT_POOL_SIZE = 10


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What a connection is set to when it is opened.

    `statements` are SET statements. A statement is prepared on the server when it was executed
    `prepare_threshold` times on the connection.
    """

    statements: str = ""
    prepare_threshold: int = 5


INGEST_CONNECTION_SETTINGS = ConnectionSettings(
    statements="SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan",
    prepare_threshold=0,
)
"""The webhook writer looks every row up by its key. A plan that was made while a table had few rows
reads all of it, and is used until the table is analysed, which may be after a million rows
(D67)."""


def open_pool(
    database_url: str,
    *,
    role: str | None = None,
    settings: ConnectionSettings = ConnectionSettings(),
    size: int = DEFAULT_POOL_SIZE,
) -> AsyncEngine:
    """Open a pool of at most `size` connections to any URL or key=value string that libpq takes.

    libpq reads the URL, not SQLAlchemy, so several hosts and `target_session_attrs` work (D24).
    Each connection acts as `role` from its first statement on. Without a role it acts as the user
    of the URL, which only operators' commands do.
    """
    given = conninfo_to_dict(database_url)
    defaults: dict[str, str | int] = {"connect_timeout": 2, "application_name": "leadport"}
    conninfo = make_conninfo(database_url, **{k: defaults[k] for k in defaults.keys() - given})

    async def connect() -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(conninfo)
        if role is not None:
            await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        if settings.statements:
            await connection.execute(settings.statements)
        connection.prepare_threshold = settings.prepare_threshold
        await connection.commit()
        return connection

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_use_lifo=True,  # the connection used last has its statements prepared
        hide_parameters=True,  # message texts and numbers stay out of errors and logs (D18)
    )
