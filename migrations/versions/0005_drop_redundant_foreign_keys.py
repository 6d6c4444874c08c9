"""Drop redundant foreign keys and reserve page space for updates, which makes messages cheaper."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Each row of these tables refers to a parent row of the same organisation by a composite key. The
# topmost parent refers to the organisation, so a second key on org_id is redundant (D20).
TABLES_WITH_PARENT = (
    "contact_identities",
    "conversation_threads",
    "conversation_messages",
    "deals",
    "deal_insights",
)
TABLES_UPDATED_PER_MESSAGE = ("conversation_threads", "deal_insights")


def upgrade() -> None:
    for table in TABLES_WITH_PARENT:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT fk_{table}_organizations")
    # The fill factor applies only to pages that are written after this migration.
    for table in TABLES_UPDATED_PER_MESSAGE:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 85)")


def downgrade() -> None:
    for table in TABLES_UPDATED_PER_MESSAGE:
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
    for table in TABLES_WITH_PARENT:
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_organizations"
            " FOREIGN KEY (org_id) REFERENCES organizations ON DELETE CASCADE"
        )
