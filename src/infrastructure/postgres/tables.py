"""All tables as SQLAlchemy Core; a test compares them with the schema that the migrations make.

Keys lead with `org_id`, so that a row cannot point into another organisation (D19).
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    }
)


def _make_uuid_column(name: str = "id", *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, UUID(), nullable=nullable)


def _make_text_column(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _make_timestamp_column(
    name: str, *, nullable: bool = False, default_now: bool = False
) -> sa.Column[object]:
    default = sa.func.now() if default_now else None
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _make_jsonb_column(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text("'{}'"))


def _make_one_of_check(column: str, *values: str) -> sa.CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=column)


ROOM_FOR_UPDATES = {"postgresql_with": {"fillfactor": 85}}
"""For tables updated with each message: pages keep room for the next version of a row, so that no
index needs a new entry for it (D68)."""


def _make_tenant_table(name: str, *parts: sa.schema.SchemaItem, **options: Any) -> sa.Table:
    """Make a table whose rows belong to one organisation.

    Each table has one foreign-key path to `organizations`: directly or by its parent row (D20).
    """
    return sa.Table(
        name,
        metadata,
        _make_uuid_column(),
        _make_uuid_column("org_id"),
        _make_timestamp_column("created_at", default_now=True),
        *parts,
        sa.PrimaryKeyConstraint("org_id", "id"),
        **options,
    )


def _make_organization_reference() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], ondelete="CASCADE")


def _make_reference(column: str, table: str, **options: object) -> sa.ForeignKeyConstraint:
    """Reference a row of the same organisation; deleting that row deletes this one."""
    return sa.ForeignKeyConstraint(
        ["org_id", column],
        [f"{table}.org_id", f"{table}.id"],
        **{"ondelete": "CASCADE", **options},  # type: ignore[arg-type]
    )


# Supabase has this table, with more columns. Elsewhere the first migration makes it.
users = sa.Table(
    "users",
    metadata,
    _make_uuid_column(),
    _make_text_column("email", nullable=True),
    _make_text_column("encrypted_password", nullable=True),
    _make_timestamp_column("created_at", nullable=True, default_now=True),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("email"),
    schema="auth",
)

organizations = sa.Table(
    "organizations",
    metadata,
    _make_uuid_column(),
    _make_text_column("name"),
    _make_timestamp_column("created_at", default_now=True),
    sa.PrimaryKeyConstraint("id"),
)

# Sessions that were ended before their tokens expire. Only sign-in and sign-out use the table.
ended_sessions = sa.Table(
    "ended_sessions",
    metadata,
    _make_uuid_column(),
    _make_timestamp_column("expires_at"),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "expires_at"),
)

org_members = _make_tenant_table(
    "org_members",
    _make_organization_reference(),
    _make_uuid_column("user_id"),
    _make_text_column("role"),
    sa.UniqueConstraint("org_id", "user_id"),
    sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], ondelete="CASCADE"),
    sa.Index(None, "user_id"),
    _make_one_of_check("role", "owner", "admin", "member"),
)

channel_connections = _make_tenant_table(
    "channel_connections",
    _make_organization_reference(),
    sa.Column("provider", sa.Text, nullable=False, server_default="meta"),
    _make_text_column("channel"),
    _make_text_column("external_id"),
    sa.Column("display_name", sa.Text, nullable=False, server_default=""),
    _make_text_column("access_token", nullable=True),
    sa.Column("is_enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    _make_timestamp_column("updated_at", default_now=True),
    sa.UniqueConstraint("org_id", "provider", "channel", "external_id"),
    sa.Index("idx_channel_connections_org", "org_id"),
    # An address is enabled in one organisation at most. The ingest snapshot reads by this index.
    sa.Index(
        "idx_channel_connections_lookup",
        "provider",
        "channel",
        "external_id",
        unique=True,
        postgresql_where=sa.text("is_enabled"),
    ),
    _make_one_of_check("channel", "whatsapp", "instagram"),
)

contacts = _make_tenant_table(
    "contacts",
    _make_organization_reference(),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    _make_text_column("phone", nullable=True),
    _make_text_column("email", nullable=True),
    _make_timestamp_column("updated_at", default_now=True),
    _make_text_column("profile_name", nullable=True),
    _make_timestamp_column("profile_seen_at", nullable=True),
    sa.Column("marketing_consent", sa.Boolean, nullable=True),
    _make_timestamp_column("marketing_consent_at", nullable=True),
    sa.UniqueConstraint("org_id", "phone"),
    sa.UniqueConstraint("org_id", "email"),
)

contact_identities = _make_tenant_table(
    "contact_identities",
    _make_uuid_column("contact_id"),
    _make_text_column("kind"),
    _make_text_column("value"),
    sa.UniqueConstraint("org_id", "kind", "value"),
    # Deferred to the commit: an identity is written before its contact (D22).
    _make_reference("contact_id", "contacts", deferrable=True, initially="DEFERRED"),
    sa.Index(None, "org_id", "contact_id"),
    _make_one_of_check(
        "kind", "whatsapp_phone", "whatsapp_user", "whatsapp_parent_user", "instagram_user"
    ),
)

conversation_threads = _make_tenant_table(
    "conversation_threads",
    _make_uuid_column("contact_id"),
    _make_uuid_column("connection_id", nullable=True),
    _make_text_column("channel"),
    _make_text_column("external_id", nullable=True),
    _make_timestamp_column("last_message_at", nullable=True),
    sa.UniqueConstraint("org_id", "external_id"),
    # A contact has one thread over a connection, whichever identity is seen first (D21).
    sa.UniqueConstraint("org_id", "contact_id", "connection_id"),
    _make_reference("contact_id", "contacts"),
    _make_reference("connection_id", "channel_connections", ondelete="SET NULL (connection_id)"),
    sa.Index(None, "org_id", "connection_id"),
    **ROOM_FOR_UPDATES,
)

conversation_messages = _make_tenant_table(
    "conversation_messages",
    _make_uuid_column("thread_id"),
    _make_text_column("channel"),
    _make_text_column("external_id"),
    _make_text_column("direction"),
    _make_text_column("kind"),
    _make_text_column("body"),
    _make_jsonb_column("content"),
    _make_timestamp_column("sent_at"),
    sa.UniqueConstraint("org_id", "channel", "external_id"),
    _make_reference("thread_id", "conversation_threads"),
    sa.Index(None, "thread_id", "sent_at"),
    _make_one_of_check("direction", "inbound", "outbound"),
)

state_changes = _make_tenant_table(
    "state_changes",
    _make_organization_reference(),
    _make_text_column("channel"),
    _make_text_column("external_id"),
    _make_text_column("kind"),
    _make_text_column("subject"),
    _make_jsonb_column("content"),
    _make_timestamp_column("sent_at"),
    sa.Column("is_waiting", sa.Boolean, nullable=False),
    sa.UniqueConstraint("org_id", "channel", "external_id"),
    sa.Index(None, "org_id", "channel", "subject"),
    _make_one_of_check(
        "kind", "edit", "unsend", "reaction", "consent", "identity", "echo", "conflict"
    ),
)

deals = _make_tenant_table(
    "deals",
    _make_uuid_column("contact_id"),
    sa.Column("status", sa.Text, nullable=False, server_default="open"),
    _make_text_column("title"),
    _make_uuid_column("message_id", nullable=True),
    sa.Column("source", JSONB(none_as_null=True), nullable=True),
    _make_reference("contact_id", "contacts"),
    _make_reference("message_id", "conversation_messages", ondelete="SET NULL (message_id)"),
    sa.Index(None, "org_id", "message_id"),
    sa.Index(
        "idx_deals_one_open",
        "org_id",
        "contact_id",
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    ),
    sa.Index(None, "org_id", "contact_id"),
    _make_one_of_check("status", "open", "won", "lost"),
)

deal_insights = _make_tenant_table(
    "deal_insights",
    _make_uuid_column("deal_id"),
    _make_text_column("summary"),
    _make_text_column("intent"),
    sa.Column("score", sa.SmallInteger, nullable=False),
    _make_text_column("next_step"),
    _make_text_column("provider"),
    _make_timestamp_column("updated_at", default_now=True),
    sa.Column("message_external_id", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("org_id", "deal_id"),
    _make_reference("deal_id", "deals"),
    sa.CheckConstraint("score BETWEEN 0 AND 100", name="score"),
    **ROOM_FOR_UPDATES,
)

event_log = _make_tenant_table(
    "event_log",
    _make_organization_reference(),
    _make_text_column("type"),
    _make_jsonb_column("payload"),
    sa.Index(None, "org_id", "created_at"),
)

# An exception among the keys (D19): one statement claims failures of several organisations.
failed_messages = sa.Table(
    "failed_messages",
    metadata,
    _make_uuid_column(),
    _make_uuid_column("org_id"),
    _make_jsonb_column("payload"),
    _make_text_column("error"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
    _make_timestamp_column("next_attempt_at", nullable=True),
    _make_timestamp_column("created_at", default_now=True),
    sa.Column("digest", sa.Text, nullable=False, server_default=""),
    _make_timestamp_column("resolved_at", nullable=True),
    sa.PrimaryKeyConstraint("id"),
    _make_organization_reference(),
    sa.Index(None, "next_attempt_at"),
    # A failure with the same payload is stored once until it is resolved.
    sa.Index(
        "idx_failed_messages_unresolved",
        "org_id",
        "digest",
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL AND digest <> ''"),
    ),
)

# Belongs to no organisation (D19, D63): the address has no enabled connection.
unmatched_messages = sa.Table(
    "unmatched_messages",
    metadata,
    sa.Column("id", UUID(), nullable=False, server_default=sa.func.gen_random_uuid()),
    _make_text_column("channel"),
    _make_text_column("external_id"),
    sa.Column("count", sa.BigInteger, nullable=False),
    _make_timestamp_column("first_at"),
    _make_timestamp_column("last_at"),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("channel", "external_id"),
)
