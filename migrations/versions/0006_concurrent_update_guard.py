"""Guard of the ingest statements: a function that raises SQLSTATE LP001.

Also: failed messages always belong to an organisation.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Called where a statement wrote fewer rows than expected: another transaction was first.
    # VOLATILE, so that the planner does not call it ahead of time.
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
    # No version of Leadport has written such a row.
    op.execute("ALTER TABLE failed_messages ALTER COLUMN org_id SET NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE failed_messages ALTER COLUMN org_id DROP NOT NULL")
    op.execute("DROP FUNCTION leadport_raise_concurrent_update()")
