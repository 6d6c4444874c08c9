"""Runs migrations on the connection it is given, or on DATABASE_URL when alembic is called."""

import os

from alembic import context

from infrastructure.postgres.migrations import connect
from infrastructure.postgres.tables import metadata

# Two processes that start together take turns; the second finds nothing left to do.
LOCK = 7_358_110_021


def run() -> None:
    given = context.config.attributes.get("connection")
    connection = given or connect(os.environ["DATABASE_URL"])
    context.configure(connection=connection, target_metadata=metadata, include_schemas=True)
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.run_migrations()


run()
