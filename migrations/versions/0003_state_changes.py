"""Add state changes, marketing consent, profile names, and the message and source of a deal."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE contact_identities
    DROP CONSTRAINT ck_contact_identities_kind,
    ADD CONSTRAINT ck_contact_identities_kind CHECK (kind IN (
        'whatsapp_phone', 'whatsapp_user', 'whatsapp_parent_user', 'instagram_user'
    ));

ALTER TABLE contacts
    ADD COLUMN profile_name text,
    ADD COLUMN profile_seen_at timestamptz,
    ADD COLUMN marketing_consent boolean,
    ADD COLUMN marketing_consent_at timestamptz;

ALTER TABLE deals
    ADD COLUMN message_id uuid,
    ADD COLUMN source jsonb,
    ADD CONSTRAINT fk_deals_conversation_messages
        FOREIGN KEY (org_id, message_id) REFERENCES conversation_messages (org_id, id)
        ON DELETE SET NULL (message_id);
CREATE INDEX idx_deals_org_id_message_id ON deals (org_id, message_id);

ALTER TABLE deal_insights
    ADD COLUMN message_external_id text NOT NULL DEFAULT '';

CREATE TABLE state_changes (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_state_changes_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    channel text NOT NULL,
    external_id text NOT NULL,
    kind text NOT NULL CONSTRAINT ck_state_changes_kind CHECK (kind IN (
        'edit', 'unsend', 'reaction', 'consent', 'identity', 'echo', 'conflict'
    )),
    subject text NOT NULL,
    content jsonb NOT NULL DEFAULT '{}',
    sent_at timestamptz NOT NULL,
    is_waiting boolean NOT NULL,
    CONSTRAINT pk_state_changes PRIMARY KEY (org_id, id),
    CONSTRAINT uq_state_changes_org_id_channel_external_id UNIQUE (org_id, channel, external_id)
);
CREATE INDEX idx_state_changes_org_id_channel_subject ON state_changes (org_id, channel, subject)
"""

# As in 0002: Supabase grants all privileges on new tables to its API's roles.
REVOKE = """
DO $$ BEGIN
    REVOKE ALL ON state_changes FROM PUBLIC, authenticated, leadport_ingest, leadport_auth;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
        REVOKE ALL ON state_changes FROM anon;
    END IF;
END $$
"""

# Columns that the webhook's role may now update. No other role may read state_changes.
CONTACT = "name, phone, profile_name, profile_seen_at, marketing_consent, marketing_consent_at, updated_at"
UPDATES = {
    "contacts": CONTACT,
    "conversation_messages": "body, content",
    "deals": "title, message_id, source",
    "state_changes": "content, is_waiting",
}


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE state_changes ENABLE ROW LEVEL SECURITY")
    op.execute(REVOKE)
    op.execute("GRANT SELECT, INSERT ON state_changes TO leadport_ingest")
    op.execute(
        "CREATE POLICY ingest_select ON state_changes FOR SELECT TO leadport_ingest USING (true)"
    )
    op.execute(
        "CREATE POLICY ingest_insert ON state_changes FOR INSERT TO leadport_ingest WITH CHECK (true)"
    )
    for table, columns in UPDATES.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO leadport_ingest")
        op.execute(
            f"CREATE POLICY ingest_update ON {table} FOR UPDATE TO leadport_ingest USING (true)"
        )


def downgrade() -> None:
    """Drop the additions, with the data that only they hold: parent IDs, consent, sources."""
    for table, columns in UPDATES.items():
        op.execute(f"DROP POLICY ingest_update ON {table}")
        op.execute(f"REVOKE UPDATE ({columns}) ON {table} FROM leadport_ingest")
    op.execute(DROP)


DROP = """
DROP TABLE state_changes;
ALTER TABLE deal_insights DROP COLUMN message_external_id;
ALTER TABLE deals DROP COLUMN source, DROP COLUMN message_id;
ALTER TABLE contacts
    DROP COLUMN profile_name,
    DROP COLUMN profile_seen_at,
    DROP COLUMN marketing_consent,
    DROP COLUMN marketing_consent_at;
DELETE FROM contact_identities WHERE kind = 'whatsapp_parent_user';
ALTER TABLE contact_identities
    DROP CONSTRAINT ck_contact_identities_kind,
    ADD CONSTRAINT ck_contact_identities_kind
        CHECK (kind IN ('whatsapp_phone', 'whatsapp_user', 'instagram_user'))
"""
