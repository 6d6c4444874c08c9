"""Alembic's environment: runs the migrations on a given connection, or else on DATABASE_URL.

The service passes its connection in `config.attributes`; the `alembic` command passes none.
"""

import os

from alembic import context

from infrastructure.postgres.migrations import connect
from infrastructure.postgres.tables import metadata

# The key of an advisory lock: of two processes that start together, the second waits for the first
# and finds its schema up to date.
LOCK = 7_358_110_021


def run() -> None:
    given = context.config.attributes.get("connection")
    connection = given or connect(os.environ["DATABASE_URL"])
    context.configure(connection=connection, target_metadata=metadata, include_schemas=True)
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.run_migrations()


run()
