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


def _uuid_column(name: str = "id", *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, UUID(), nullable=nullable)


def _text_column(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _timestamp_column(
    name: str, *, nullable: bool = False, default_now: bool = False
) -> sa.Column[object]:
    default = sa.func.now() if default_now else None
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _jsonb_column(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text("'{}'"))


def _check_one_of(column: str, *values: str) -> sa.CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=column)


ROOM_FOR_UPDATES = {"postgresql_with": {"fillfactor": 85}}
"""For tables updated with each message: pages keep room for the next version of a row, so that no
index needs a new entry for it."""


def _make_tenant_table(name: str, *parts: sa.schema.SchemaItem, **options: Any) -> sa.Table:
    """Make a table whose rows belong to one organisation.

    Each table has one foreign-key path to `organizations`: directly, or through its parent row. A
    second key on `org_id` would cost another index lookup for each inserted row.
    """
    return sa.Table(
        name,
        metadata,
        _uuid_column(),
        _uuid_column("org_id"),
        _timestamp_column("created_at", default_now=True),
        *parts,
        sa.PrimaryKeyConstraint("org_id", "id"),
        **options,
    )


def _reference_organization() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], ondelete="CASCADE")


def _reference(column: str, table: str, **options: object) -> sa.ForeignKeyConstraint:
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
    _uuid_column(),
    _text_column("email", nullable=True),
    _text_column("encrypted_password", nullable=True),
    _timestamp_column("created_at", nullable=True, default_now=True),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("email"),
    schema="auth",
)

organizations = sa.Table(
    "organizations",
    metadata,
    _uuid_column(),
    _text_column("name"),
    _timestamp_column("created_at", default_now=True),
    sa.PrimaryKeyConstraint("id"),
)

# Sessions that were ended before their tokens expire. Only sign-in and sign-out use the table.
ended_sessions = sa.Table(
    "ended_sessions",
    metadata,
    _uuid_column(),
    _timestamp_column("expires_at"),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "expires_at"),
)

org_members = _make_tenant_table(
    "org_members",
    _reference_organization(),
    _uuid_column("user_id"),
    _text_column("role"),
    sa.UniqueConstraint("org_id", "user_id"),
    sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], ondelete="CASCADE"),
    sa.Index(None, "user_id"),
    _check_one_of("role", "owner", "admin", "member"),
)

channel_connections = _make_tenant_table(
    "channel_connections",
    _reference_organization(),
    sa.Column("provider", sa.Text, nullable=False, server_default="meta"),
    _text_column("channel"),
    _text_column("external_id"),
    sa.Column("display_name", sa.Text, nullable=False, server_default=""),
    _text_column("access_token", nullable=True),
    sa.Column("is_enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    _timestamp_column("updated_at", default_now=True),
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
    _check_one_of("channel", "whatsapp", "instagram"),
)

contacts = _make_tenant_table(
    "contacts",
    _reference_organization(),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    _text_column("phone", nullable=True),
    _text_column("email", nullable=True),
    _timestamp_column("updated_at", default_now=True),
    _text_column("profile_name", nullable=True),
    _timestamp_column("profile_seen_at", nullable=True),
    sa.Column("marketing_consent", sa.Boolean, nullable=True),
    _timestamp_column("marketing_consent_at", nullable=True),
    sa.UniqueConstraint("org_id", "phone"),
    sa.UniqueConstraint("org_id", "email"),
)

contact_identities = _make_tenant_table(
    "contact_identities",
    _uuid_column("contact_id"),
    _text_column("kind"),
    _text_column("value"),
    sa.UniqueConstraint("org_id", "kind", "value"),
    # Deferred to the commit: an identity is written before its contact (contacts.py).
    _reference("contact_id", "contacts", deferrable=True, initially="DEFERRED"),
    sa.Index(None, "org_id", "contact_id"),
    _check_one_of(
        "kind", "whatsapp_phone", "whatsapp_user", "whatsapp_parent_user", "instagram_user"
    ),
)

conversation_threads = _make_tenant_table(
    "conversation_threads",
    _uuid_column("contact_id"),
    _uuid_column("connection_id", nullable=True),
    _text_column("channel"),
    _text_column("external_id", nullable=True),
    _timestamp_column("last_message_at", nullable=True),
    sa.UniqueConstraint("org_id", "external_id"),
    # A contact has one thread over a connection, whichever identity is seen first.
    sa.UniqueConstraint("org_id", "contact_id", "connection_id"),
    _reference("contact_id", "contacts"),
    _reference("connection_id", "channel_connections", ondelete="SET NULL (connection_id)"),
    sa.Index(None, "org_id", "connection_id"),
    **ROOM_FOR_UPDATES,
)

conversation_messages = _make_tenant_table(
    "conversation_messages",
    _uuid_column("thread_id"),
    _text_column("channel"),
    _text_column("external_id"),
    _text_column("direction"),
    _text_column("kind"),
    _text_column("body"),
    _jsonb_column("content"),
    _timestamp_column("sent_at"),
    sa.UniqueConstraint("org_id", "channel", "external_id"),
    _reference("thread_id", "conversation_threads"),
    sa.Index(None, "thread_id", "sent_at"),
    _check_one_of("direction", "inbound", "outbound"),
)

state_changes = _make_tenant_table(
    "state_changes",
    _reference_organization(),
    _text_column("channel"),
    _text_column("external_id"),
    _text_column("kind"),
    _text_column("subject"),
    _jsonb_column("content"),
    _timestamp_column("sent_at"),
    sa.Column("is_waiting", sa.Boolean, nullable=False),
    sa.UniqueConstraint("org_id", "channel", "external_id"),
    sa.Index(None, "org_id", "channel", "subject"),
    _check_one_of("kind", "edit", "unsend", "reaction", "consent", "identity", "echo", "conflict"),
)

deals = _make_tenant_table(
    "deals",
    _uuid_column("contact_id"),
    sa.Column("status", sa.Text, nullable=False, server_default="open"),
    _text_column("title"),
    _uuid_column("message_id", nullable=True),
    sa.Column("source", JSONB(none_as_null=True), nullable=True),
    _reference("contact_id", "contacts"),
    _reference("message_id", "conversation_messages", ondelete="SET NULL (message_id)"),
    sa.Index(None, "org_id", "message_id"),
    sa.Index(
        "idx_deals_one_open",
        "org_id",
        "contact_id",
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    ),
    sa.Index(None, "org_id", "contact_id"),
    _check_one_of("status", "open", "won", "lost"),
)

deal_insights = _make_tenant_table(
    "deal_insights",
    _uuid_column("deal_id"),
    _text_column("summary"),
    _text_column("intent"),
    sa.Column("score", sa.SmallInteger, nullable=False),
    _text_column("next_step"),
    _text_column("provider"),
    _timestamp_column("updated_at", default_now=True),
    sa.Column("message_external_id", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("org_id", "deal_id"),
    _reference("deal_id", "deals"),
    sa.CheckConstraint("score BETWEEN 0 AND 100", name="score"),
    **ROOM_FOR_UPDATES,
)

event_log = _make_tenant_table(
    "event_log",
    _reference_organization(),
    _text_column("type"),
    _jsonb_column("payload"),
    sa.Index(None, "org_id", "created_at"),
)

# An exception among the keys: one statement claims failures of several organisations.
failed_messages = sa.Table(
    "failed_messages",
    metadata,
    _uuid_column(),
    _uuid_column("org_id"),
    _jsonb_column("payload"),
    _text_column("error"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
    _timestamp_column("next_attempt_at", nullable=True),
    _timestamp_column("created_at", default_now=True),
    sa.Column("digest", sa.Text, nullable=False, server_default=""),
    _timestamp_column("resolved_at", nullable=True),
    sa.PrimaryKeyConstraint("id"),
    _reference_organization(),
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

# Belongs to no organisation: the address has no enabled connection.
unmatched_messages = sa.Table(
    "unmatched_messages",
    metadata,
    sa.Column("id", UUID(), nullable=False, server_default=sa.func.gen_random_uuid()),
    _text_column("channel"),
    _text_column("external_id"),
    sa.Column("count", sa.BigInteger, nullable=False),
    _timestamp_column("first_at"),
    _timestamp_column("last_at"),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("channel", "external_id"),
)
