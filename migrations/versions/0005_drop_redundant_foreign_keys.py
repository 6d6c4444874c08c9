"""Make each message cheaper: drop redundant foreign keys, leave room in pages for updates."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Each row of these tables refers to a parent row of the same organisation by a composite key. The
# topmost parent refers to the organisation, so another key on org_id is checked without need (D20).
HELD_BY_A_PARENT = (
    "contact_identities",
    "conversation_threads",
    "conversation_messages",
    "deals",
    "deal_insights",
)
CHANGE_WITH_EACH_MESSAGE = ("conversation_threads", "deal_insights")


def upgrade() -> None:
    for table in HELD_BY_A_PARENT:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT fk_{table}_organizations")
    # It applies to pages that are filled from now on.
    for table in CHANGE_WITH_EACH_MESSAGE:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 85)")


def downgrade() -> None:
    for table in CHANGE_WITH_EACH_MESSAGE:
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
    for table in HELD_BY_A_PARENT:
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_organizations"
            " FOREIGN KEY (org_id) REFERENCES organizations ON DELETE CASCADE"
        )
