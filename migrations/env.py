"""Alembic's environment: runs the migrations on a passed connection or on DATABASE_URL.

The service passes its connection in `config.attributes`; the `alembic` command passes none.
"""

import os

from alembic import context

from infrastructure.postgres.migrations import connect
from infrastructure.postgres.tables import metadata

# The key of an advisory lock. If two processes migrate at the same time, the second waits for the
# first and then finds an up-to-date schema.
MIGRATION_LOCK_KEY = 7_358_110_021


def run_migrations() -> None:
    """Run the pending migrations in one transaction that holds the lock."""
    passed_connection = context.config.attributes.get("connection")
    connection = passed_connection or connect(os.environ["DATABASE_URL"])
    context.configure(connection=connection, target_metadata=metadata, include_schemas=True)
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK_KEY})")
        context.run_migrations()


run_migrations()
