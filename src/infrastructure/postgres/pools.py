"""Connection pools, each of which acts as one database role."""

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# What the roles of migration 0002 are for.
INGEST_ROLE, AUTH_ROLE, PEOPLE_ROLE = "leadport_ingest", "leadport_auth", "authenticated"

INGEST_PLANNER_SETTINGS = (
    "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan"
)
"""The webhook writer looks everything up by its key. A plan that was made for a table of some rows
would read all of it, and go on when it has a million: until somebody analyses the table."""


def open_pool(database_url: str, *, role: str | None = None, size: int = 10) -> AsyncEngine:
    """A pool of at most `size` connections to any URL or key=value string that libpq takes.

    libpq reads it, not SQLAlchemy: so several hosts and `target_session_attrs` work. Each
    connection acts as `role` from its first statement on; without one as its owner, which only
    operators' commands do.
    """
    given = conninfo_to_dict(database_url)
    defaults: dict[str, str | int] = {"connect_timeout": 2, "application_name": "leadport"}
    conninfo = make_conninfo(database_url, **{k: defaults[k] for k in defaults.keys() - given})

    async def connect() -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(conninfo)
        if role is not None:
            await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        if role == INGEST_ROLE:
            await connection.execute(INGEST_PLANNER_SETTINGS)
            connection.prepare_threshold = 0
        await connection.commit()
        return connection

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_use_lifo=True,  # the one that was used last has its statements prepared
        hide_parameters=True,  # message texts and numbers stay out of errors and logs
    )
