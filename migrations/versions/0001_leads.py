"""Create the tables of organisations, connections, conversations, deals, events and failures."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Supabase has auth.users. In other databases this migration creates the table. Its comment marks it
# for later migrations and the downgrade, which must not change Supabase's table.
USERS = """
DO $$ BEGIN
    IF to_regclass('auth.users') IS NULL THEN
        CREATE SCHEMA IF NOT EXISTS auth;
        CREATE TABLE auth.users (
            id uuid CONSTRAINT pk_users PRIMARY KEY,
            email text CONSTRAINT uq_users_email UNIQUE,
            encrypted_password text,
            created_at timestamptz DEFAULT now()
        );
        COMMENT ON TABLE auth.users IS 'made by leadport';
    END IF;
END $$
"""

TABLES = """
CREATE TABLE organizations (
    id uuid CONSTRAINT pk_organizations PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE org_members (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_org_members_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    user_id uuid NOT NULL
        CONSTRAINT fk_org_members_users REFERENCES auth.users (id) ON DELETE CASCADE,
    role text NOT NULL CONSTRAINT ck_org_members_role CHECK (role IN ('owner', 'admin', 'member')),
    CONSTRAINT pk_org_members PRIMARY KEY (org_id, id),
    CONSTRAINT uq_org_members_org_id_user_id UNIQUE (org_id, user_id)
);
CREATE INDEX idx_org_members_user_id ON org_members (user_id);

CREATE TABLE channel_connections (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_channel_connections_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    provider text NOT NULL DEFAULT 'meta',
    channel text NOT NULL
        CONSTRAINT ck_channel_connections_channel CHECK (channel IN ('whatsapp', 'instagram')),
    external_id text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    access_token text,
    is_enabled boolean NOT NULL DEFAULT true,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_channel_connections PRIMARY KEY (org_id, id),
    CONSTRAINT uq_channel_connections_org_id_provider_channel_external_id
        UNIQUE (org_id, provider, channel, external_id)
);
CREATE INDEX idx_channel_connections_org ON channel_connections (org_id);
CREATE UNIQUE INDEX idx_channel_connections_lookup
    ON channel_connections (provider, channel, external_id) WHERE is_enabled;

CREATE TABLE contacts (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_contacts_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL DEFAULT '',
    phone text,
    email text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_contacts PRIMARY KEY (org_id, id),
    CONSTRAINT uq_contacts_org_id_phone UNIQUE (org_id, phone),
    CONSTRAINT uq_contacts_org_id_email UNIQUE (org_id, email)
);

CREATE TABLE contact_identities (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_contact_identities_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    contact_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT ck_contact_identities_kind
        CHECK (kind IN ('whatsapp_phone', 'whatsapp_user', 'instagram_user')),
    value text NOT NULL,
    CONSTRAINT pk_contact_identities PRIMARY KEY (org_id, id),
    CONSTRAINT uq_contact_identities_org_id_kind_value UNIQUE (org_id, kind, value),
    CONSTRAINT fk_contact_identities_contacts
        FOREIGN KEY (org_id, contact_id) REFERENCES contacts (org_id, id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX idx_contact_identities_org_id_contact_id ON contact_identities (org_id, contact_id);

CREATE TABLE conversation_threads (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_conversation_threads_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    contact_id uuid NOT NULL,
    connection_id uuid,
    channel text NOT NULL,
    external_id text,
    last_message_at timestamptz,
    CONSTRAINT pk_conversation_threads PRIMARY KEY (org_id, id),
    CONSTRAINT uq_conversation_threads_org_id_external_id UNIQUE (org_id, external_id),
    CONSTRAINT uq_conversation_threads_org_id_contact_id_connection_id
        UNIQUE (org_id, contact_id, connection_id),
    CONSTRAINT fk_conversation_threads_contacts
        FOREIGN KEY (org_id, contact_id) REFERENCES contacts (org_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_conversation_threads_channel_connections
        FOREIGN KEY (org_id, connection_id) REFERENCES channel_connections (org_id, id)
        ON DELETE SET NULL (connection_id)
);
CREATE INDEX idx_conversation_threads_org_id_connection_id
    ON conversation_threads (org_id, connection_id);

CREATE TABLE conversation_messages (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_conversation_messages_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    thread_id uuid NOT NULL,
    channel text NOT NULL,
    external_id text NOT NULL,
    direction text NOT NULL CONSTRAINT ck_conversation_messages_direction
        CHECK (direction IN ('inbound', 'outbound')),
    kind text NOT NULL,
    body text NOT NULL,
    content jsonb NOT NULL DEFAULT '{}',
    sent_at timestamptz NOT NULL,
    CONSTRAINT pk_conversation_messages PRIMARY KEY (org_id, id),
    CONSTRAINT uq_conversation_messages_org_id_channel_external_id
        UNIQUE (org_id, channel, external_id),
    CONSTRAINT fk_conversation_messages_conversation_threads
        FOREIGN KEY (org_id, thread_id) REFERENCES conversation_threads (org_id, id)
        ON DELETE CASCADE
);
CREATE INDEX idx_conversation_messages_thread_id_sent_at
    ON conversation_messages (thread_id, sent_at);

CREATE TABLE deals (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_deals_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    contact_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'open'
        CONSTRAINT ck_deals_status CHECK (status IN ('open', 'won', 'lost')),
    title text NOT NULL,
    CONSTRAINT pk_deals PRIMARY KEY (org_id, id),
    CONSTRAINT fk_deals_contacts
        FOREIGN KEY (org_id, contact_id) REFERENCES contacts (org_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX idx_deals_one_open ON deals (org_id, contact_id) WHERE status = 'open';
CREATE INDEX idx_deals_org_id_contact_id ON deals (org_id, contact_id);

CREATE TABLE deal_insights (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_deal_insights_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    deal_id uuid NOT NULL,
    summary text NOT NULL,
    intent text NOT NULL,
    score smallint NOT NULL CONSTRAINT ck_deal_insights_score CHECK (score BETWEEN 0 AND 100),
    next_step text NOT NULL,
    provider text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_deal_insights PRIMARY KEY (org_id, id),
    CONSTRAINT uq_deal_insights_org_id_deal_id UNIQUE (org_id, deal_id),
    CONSTRAINT fk_deal_insights_deals
        FOREIGN KEY (org_id, deal_id) REFERENCES deals (org_id, id) ON DELETE CASCADE
);

CREATE TABLE event_log (
    id uuid NOT NULL,
    org_id uuid NOT NULL
        CONSTRAINT fk_event_log_organizations REFERENCES organizations ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    type text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT pk_event_log PRIMARY KEY (org_id, id)
);
CREATE INDEX idx_event_log_org_id_created_at ON event_log (org_id, created_at);

CREATE TABLE failed_messages (
    id uuid CONSTRAINT pk_failed_messages PRIMARY KEY,
    org_id uuid
        CONSTRAINT fk_failed_messages_organizations REFERENCES organizations ON DELETE CASCADE,
    payload jsonb NOT NULL DEFAULT '{}',
    error text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    next_attempt_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_failed_messages_next_attempt_at ON failed_messages (next_attempt_at)
"""

DROP = """
DROP TABLE failed_messages, event_log, deal_insights, deals, conversation_messages,
    conversation_threads, contact_identities, contacts, channel_connections, org_members,
    organizations;
DO $$ BEGIN
    IF obj_description('auth.users'::regclass) = 'made by leadport' THEN
        DROP TABLE auth.users;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute(USERS)
    op.execute(TABLES)


def downgrade() -> None:
    op.execute(DROP)
