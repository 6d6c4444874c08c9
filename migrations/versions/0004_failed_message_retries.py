"""Add the columns for retries of failed messages, and the table `unmatched_messages`.

That table counts the messages to numbers and accounts without an enabled connection.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE failed_messages
    ADD COLUMN digest text NOT NULL DEFAULT '',
    ADD COLUMN resolved_at timestamptz;
CREATE UNIQUE INDEX idx_failed_messages_unresolved
    ON failed_messages (org_id, digest) WHERE resolved_at IS NULL AND digest <> '';

CREATE TABLE unmatched_messages (
    id uuid CONSTRAINT pk_unmatched_messages PRIMARY KEY DEFAULT gen_random_uuid(),
    channel text NOT NULL,
    external_id text NOT NULL,
    count bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT uq_unmatched_messages_channel_external_id UNIQUE (channel, external_id)
)
"""

# As in 0002: Supabase grants all privileges on new tables to its API's roles.
REVOKE = """
DO $$ BEGIN
    REVOKE ALL ON unmatched_messages FROM PUBLIC, authenticated, leadport_ingest, leadport_auth;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
        REVOKE ALL ON unmatched_messages FROM anon;
    END IF;
END $$
"""

UPDATABLE_COLUMNS = "payload, error, attempts, next_attempt_at, resolved_at"


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE unmatched_messages ENABLE ROW LEVEL SECURITY")
    op.execute(REVOKE)
    op.execute(
        "GRANT SELECT, INSERT, UPDATE (count, last_at) ON unmatched_messages TO leadport_ingest"
    )
    op.execute(f"GRANT SELECT, UPDATE ({UPDATABLE_COLUMNS}) ON failed_messages TO leadport_ingest")
    for command, rule in {
        "SELECT": "USING (true)",
        "INSERT": "WITH CHECK (true)",
        "UPDATE": "USING (true)",
    }.items():
        for table in ("unmatched_messages", "failed_messages"):
            if (table, command) != ("failed_messages", "INSERT"):
                op.execute(
                    f"CREATE POLICY ingest_{command.lower()} ON {table}"
                    f" FOR {command} TO leadport_ingest {rule}"
                )


def downgrade() -> None:
    op.execute("DROP TABLE unmatched_messages")
    op.execute("DROP POLICY ingest_select ON failed_messages")
    op.execute("DROP POLICY ingest_update ON failed_messages")
    op.execute("REVOKE SELECT ON failed_messages FROM leadport_ingest")
    op.execute(f"REVOKE UPDATE ({UPDATABLE_COLUMNS}) ON failed_messages FROM leadport_ingest")
    op.execute("ALTER TABLE failed_messages DROP COLUMN resolved_at, DROP COLUMN digest")
