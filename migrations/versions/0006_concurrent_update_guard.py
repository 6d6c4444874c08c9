"""Add a function that raises SQLSTATE LP001, and require an organisation for failed messages.

The statements that store messages call the function where a concurrent transaction interfered.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A statement calls the function where it wrote fewer rows than expected, because another
    # transaction wrote them first. The function is VOLATILE, so that the planner does not call it
    # while it plans the statement.
    op.execute("""
        CREATE FUNCTION leadport_raise_concurrent_update() RETURNS integer
        LANGUAGE plpgsql VOLATILE SET search_path = '' AS $$
        BEGIN
            RAISE EXCEPTION 'another transaction was first' USING ERRCODE = 'LP001';
        END
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION leadport_raise_concurrent_update() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION leadport_raise_concurrent_update() TO leadport_ingest")
    # No version of Leadport has written a failed message without an organisation.
    op.execute("ALTER TABLE failed_messages ALTER COLUMN org_id SET NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE failed_messages ALTER COLUMN org_id DROP NOT NULL")
    op.execute("DROP FUNCTION leadport_raise_concurrent_update()")
