"""Create roles, grants and row-level security policies, and the table of ended sessions."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Roles belong to the whole server, so another database's migration may have created them (D27).
# The migrating role must be able to act as each of them: as a superuser, or by a grant.
# Since PostgreSQL 16 only the role's creator, or a member with ADMIN OPTION, may give that grant.
ROLES = """
DO $$
DECLARE
    wanted text;
    me text := current_setting('role');
    refused text[] := '{}';
BEGIN
    FOREACH wanted IN ARRAY ARRAY['authenticated', 'leadport_ingest', 'leadport_auth'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOBYPASSRLS', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database's migration made it just now
            END;
        END IF;
        BEGIN
            PERFORM set_config('role', wanted, true);
            PERFORM set_config('role', me, true);
        EXCEPTION WHEN insufficient_privilege THEN
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
            EXCEPTION WHEN insufficient_privilege THEN
                refused := refused || wanted;
            END;
        END;
    END LOOP;
    IF refused <> '{}' THEN
        RAISE insufficient_privilege USING MESSAGE = format(
            'roles that another account made must be granted by an administrator: GRANT %s TO %I',
            array_to_string(refused, ', '), current_user
        );
    END IF;
END $$
"""

# Supabase has auth.uid(). Elsewhere this migration creates it with the same meaning: the user ID in
# the transaction's JWT claims, or null.
UID = """
DO $outer$ BEGIN
    IF to_regprocedure('auth.uid()') IS NULL THEN
        CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
            SELECT nullif(
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''
            )::uuid
        $$;
        COMMENT ON FUNCTION auth.uid() IS 'made by leadport';
        GRANT USAGE ON SCHEMA auth TO authenticated;
    END IF;
    IF obj_description('auth.users'::regclass, 'pg_class') = 'made by leadport' THEN
        ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
        CREATE POLICY leadport_auth_reads ON auth.users
            FOR SELECT TO leadport_auth USING (true);
        GRANT USAGE ON SCHEMA auth TO leadport_auth;
        GRANT SELECT (id, email, encrypted_password) ON auth.users TO leadport_auth;
    END IF;
END $outer$
"""

# Supabase grants all privileges on new tables to its API's roles, including `anon`. Row-level
# security does not apply to TRUNCATE, so the grants themselves are revoked.
REVOKE = """
DO $$ BEGIN
    REVOKE ALL ON {table} FROM PUBLIC, authenticated, leadport_ingest, leadport_auth;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
        REVOKE ALL ON {table} FROM anon;
    END IF;
END $$
"""

SESSIONS = """
CREATE TABLE ended_sessions (
    id uuid CONSTRAINT pk_ended_sessions PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX idx_ended_sessions_expires_at ON ended_sessions (expires_at)
"""

# Tables that members may read, with the column that holds the organisation's ID.
READ_BY_MEMBERS = {
    "organizations": "id",
    "contacts": "org_id",
    "contact_identities": "org_id",
    "conversation_threads": "org_id",
    "conversation_messages": "org_id",
    "deals": "org_id",
    "deal_insights": "org_id",
    "event_log": "org_id",
}

# Privileges of the webhook's role by table. It cannot delete, cannot read memberships, and cannot
# read access tokens.
INGEST = {
    "channel_connections": "SELECT (id, org_id, provider, channel, external_id, is_enabled)",
    "contacts": "SELECT, INSERT",
    "contact_identities": "SELECT, INSERT",
    "conversation_threads": "SELECT, INSERT, UPDATE (last_message_at, connection_id)",
    "conversation_messages": "SELECT, INSERT",
    "deals": "SELECT, INSERT",
    "deal_insights": "SELECT, INSERT, UPDATE",
    "event_log": "INSERT",
    "failed_messages": "INSERT",
}

SECURED = [
    *READ_BY_MEMBERS,
    "org_members",
    "channel_connections",
    "failed_messages",
    "ended_sessions",
]

# The policy of org_members shows users only their own rows and queries no other table, so other
# policies may query org_members without recursion. auth.uid() is in a sub-select, so PostgreSQL
# evaluates it and the memberships once per statement, not per row.
MY_ORGANIZATIONS = "SELECT org_id FROM org_members WHERE user_id = (SELECT auth.uid())"
MANAGED_BY_ME = f"org_id IN ({MY_ORGANIZATIONS} AND role IN ('owner', 'admin'))"


def upgrade() -> None:
    op.execute(ROLES)
    op.execute(UID)
    op.execute(SESSIONS)
    for table in SECURED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for table in (*SECURED, "alembic_version"):
        op.execute(REVOKE.format(table=table))
    op.execute("GRANT SELECT ON alembic_version TO authenticated, leadport_ingest, leadport_auth")
    _let_members_read()
    _let_owners_and_admins_manage_connections()
    _let_the_webhook_write()
    op.execute("GRANT SELECT, INSERT ON ended_sessions TO leadport_auth")
    op.execute(
        "CREATE POLICY leadport_auth_reads ON ended_sessions FOR SELECT TO leadport_auth USING (true)"
    )
    op.execute(
        "CREATE POLICY leadport_auth_adds ON ended_sessions FOR INSERT TO leadport_auth WITH CHECK (true)"
    )


def _let_members_read() -> None:
    op.execute("GRANT SELECT ON org_members TO authenticated")
    op.execute(
        "CREATE POLICY people_read_their_own ON org_members"
        " FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()))"
    )
    for table, column in READ_BY_MEMBERS.items():
        op.execute(f"GRANT SELECT ON {table} TO authenticated")
        op.execute(
            f"CREATE POLICY members_read ON {table}"
            f" FOR SELECT TO authenticated USING ({column} IN ({MY_ORGANIZATIONS}))"
        )


def _let_owners_and_admins_manage_connections() -> None:
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON channel_connections TO authenticated")
    for command, rule in {
        "SELECT": f"USING ({MANAGED_BY_ME})",
        "INSERT": f"WITH CHECK ({MANAGED_BY_ME})",
        "UPDATE": f"USING ({MANAGED_BY_ME}) WITH CHECK ({MANAGED_BY_ME})",
        "DELETE": f"USING ({MANAGED_BY_ME})",
    }.items():
        op.execute(
            f"CREATE POLICY owners_and_admins_{command.lower()} ON channel_connections"
            f" FOR {command} TO authenticated {rule}"
        )


def _let_the_webhook_write() -> None:
    rules = {"SELECT": "USING (true)", "INSERT": "WITH CHECK (true)", "UPDATE": "USING (true)"}
    for table, grants in INGEST.items():
        op.execute(f"GRANT {grants} ON {table} TO leadport_ingest")
        for command, rule in rules.items():
            if command in grants:
                op.execute(
                    f"CREATE POLICY ingest_{command.lower()} ON {table}"
                    f" FOR {command} TO leadport_ingest {rule}"
                )


def downgrade() -> None:
    """Drop everything except the roles, which other databases of the server may use."""
    op.execute("DROP TABLE ended_sessions")
    for table in SECURED:
        if table != "ended_sessions":
            op.execute(DROP_POLICIES.format(table=table))
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            op.execute(f"REVOKE ALL ON {table} FROM authenticated, leadport_ingest")
    op.execute("REVOKE ALL ON alembic_version FROM authenticated, leadport_ingest, leadport_auth")
    op.execute(DROP_UID)


DROP_POLICIES = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT polname FROM pg_policy WHERE polrelid = '{table}'::regclass LOOP
        EXECUTE format('DROP POLICY %I ON {table}', name);
    END LOOP;
END $$
"""

DROP_UID = """
DO $$ BEGIN
    IF obj_description('auth.users'::regclass, 'pg_class') = 'made by leadport' THEN
        DROP POLICY leadport_auth_reads ON auth.users;
        ALTER TABLE auth.users DISABLE ROW LEVEL SECURITY;
        REVOKE SELECT (id, email, encrypted_password) ON auth.users FROM leadport_auth;
        REVOKE USAGE ON SCHEMA auth FROM leadport_auth;
    END IF;
    IF obj_description(to_regprocedure('auth.uid()'), 'pg_proc') = 'made by leadport' THEN
        REVOKE USAGE ON SCHEMA auth FROM authenticated;
        DROP FUNCTION auth.uid();
    END IF;
END $$
"""
