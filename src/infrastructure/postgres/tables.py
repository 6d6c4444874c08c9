"""All tables on one page, as SQLAlchemy Core; the migrations make the same (a test compares them).

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


def _id(name: str = "id", *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, UUID(), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _time(name: str, *, nullable: bool = False, default_now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if default_now else None
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text("'{}'"))


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=column)


UPDATED_WITH_EACH_MESSAGE = {"postgresql_with": {"fillfactor": 85}}
"""Room in each page for a row's next version, so that no index needs to know of it."""


def _tenant_table(name: str, *parts: sa.schema.SchemaItem, **options: Any) -> sa.Table:
    """A table of rows that belong to one organisation.

    They point at it, or at another row of it that does: one of them is checked, not both, because
    each check costs as much as an index entry.
    """
    return sa.Table(
        name,
        metadata,
        _id(),
        _id("org_id"),
        _time("created_at", default_now=True),
        *parts,
        sa.PrimaryKeyConstraint("org_id", "id"),
        **options,
    )


def _belongs_to_organization() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], ondelete="CASCADE")


def _belongs_to(column: str, table: str, **options: object) -> sa.ForeignKeyConstraint:
    """Point at a row of the same organisation; what it belongs to takes it along when deleted."""
    return sa.ForeignKeyConstraint(
        ["org_id", column],
        [f"{table}.org_id", f"{table}.id"],
        **{"ondelete": "CASCADE", **options},  # type: ignore[arg-type]
    )


# Supabase has this table, with more columns; elsewhere the first migration makes it.
users = sa.Table(
    "users",
    metadata,
    _id(),
    _text("email", nullable=True),
    _text("encrypted_password", nullable=True),
    _time("created_at", nullable=True, default_now=True),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("email"),
    schema="auth",
)

organizations = sa.Table(
    "organizations",
    metadata,
    _id(),
    _text("name"),
    _time("created_at", default_now=True),
    sa.PrimaryKeyConstraint("id"),
)

# Signed out before their time; nothing but signing in and out looks here.
ended_sessions = sa.Table(
    "ended_sessions",
    metadata,
    _id(),
    _time("expires_at"),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "expires_at"),
)

org_members = _tenant_table(
    "org_members",
    _belongs_to_organization(),
    _id("user_id"),
    _text("role"),
    sa.UniqueConstraint("org_id", "user_id"),
    sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], ondelete="CASCADE"),
    sa.Index(None, "user_id"),
    _one_of("role", "owner", "admin", "member"),
)

channel_connections = _tenant_table(
    "channel_connections",
    _belongs_to_organization(),
    sa.Column("provider", sa.Text, nullable=False, server_default="meta"),
    _text("channel"),
    _text("external_id"),
    sa.Column("display_name", sa.Text, nullable=False, server_default=""),
    _text("access_token", nullable=True),
    sa.Column("is_enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    _time("updated_at", default_now=True),
    sa.UniqueConstraint("org_id", "provider", "channel", "external_id"),
    sa.Index("idx_channel_connections_org", "org_id"),
    # An enabled number belongs to one organisation; deliveries are resolved by this index.
    sa.Index(
        "idx_channel_connections_lookup",
        "provider",
        "channel",
        "external_id",
        unique=True,
        postgresql_where=sa.text("is_enabled"),
    ),
    _one_of("channel", "whatsapp", "instagram"),
)

contacts = _tenant_table(
    "contacts",
    _belongs_to_organization(),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    _text("phone", nullable=True),
    _text("email", nullable=True),
    _time("updated_at", default_now=True),
    _text("profile_name", nullable=True),
    _time("profile_seen_at", nullable=True),
    sa.Column("marketing_consent", sa.Boolean, nullable=True),
    _time("marketing_consent_at", nullable=True),
    sa.UniqueConstraint("org_id", "phone"),
    sa.UniqueConstraint("org_id", "email"),
)

contact_identities = _tenant_table(
    "contact_identities",
    _id("contact_id"),
    _text("kind"),
    _text("value"),
    sa.UniqueConstraint("org_id", "kind", "value"),
    # Deferred, because an identity is written before its contact: see ContactRepository.add.
    _belongs_to("contact_id", "contacts", deferrable=True, initially="DEFERRED"),
    sa.Index(None, "org_id", "contact_id"),
    _one_of("kind", "whatsapp_phone", "whatsapp_user", "whatsapp_parent_user", "instagram_user"),
)

conversation_threads = _tenant_table(
    "conversation_threads",
    _id("contact_id"),
    _id("connection_id", nullable=True),
    _text("channel"),
    _text("external_id", nullable=True),
    _time("last_message_at", nullable=True),
    sa.UniqueConstraint("org_id", "external_id"),
    # One person, one connection, one conversation, by whichever id they are first seen.
    sa.UniqueConstraint("org_id", "contact_id", "connection_id"),
    _belongs_to("contact_id", "contacts"),
    _belongs_to("connection_id", "channel_connections", ondelete="SET NULL (connection_id)"),
    sa.Index(None, "org_id", "connection_id"),
    **UPDATED_WITH_EACH_MESSAGE,
)

conversation_messages = _tenant_table(
    "conversation_messages",
    _id("thread_id"),
    _text("channel"),
    _text("external_id"),
    _text("direction"),
    _text("kind"),
    _text("body"),
    _json("content"),
    _time("sent_at"),
    sa.UniqueConstraint("org_id", "channel", "external_id"),
    _belongs_to("thread_id", "conversation_threads"),
    sa.Index(None, "thread_id", "sent_at"),
    _one_of("direction", "inbound", "outbound"),
)

state_changes = _tenant_table(
    "state_changes",
    _belongs_to_organization(),
    _text("channel"),
    _text("external_id"),
    _text("kind"),
    _text("subject"),
    _json("content"),
    _time("sent_at"),
    sa.Column("is_waiting", sa.Boolean, nullable=False),
    sa.UniqueConstraint("org_id", "channel", "external_id"),
    sa.Index(None, "org_id", "channel", "subject"),
    _one_of("kind", "edit", "unsend", "reaction", "consent", "identity", "echo", "conflict"),
)

deals = _tenant_table(
    "deals",
    _id("contact_id"),
    sa.Column("status", sa.Text, nullable=False, server_default="open"),
    _text("title"),
    _id("message_id", nullable=True),
    sa.Column("source", JSONB(none_as_null=True), nullable=True),
    _belongs_to("contact_id", "contacts"),
    _belongs_to("message_id", "conversation_messages", ondelete="SET NULL (message_id)"),
    sa.Index(None, "org_id", "message_id"),
    sa.Index(
        "idx_deals_one_open",
        "org_id",
        "contact_id",
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    ),
    sa.Index(None, "org_id", "contact_id"),
    _one_of("status", "open", "won", "lost"),
)

deal_insights = _tenant_table(
    "deal_insights",
    _id("deal_id"),
    _text("summary"),
    _text("intent"),
    sa.Column("score", sa.SmallInteger, nullable=False),
    _text("next_step"),
    _text("provider"),
    _time("updated_at", default_now=True),
    sa.Column("message_external_id", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("org_id", "deal_id"),
    _belongs_to("deal_id", "deals"),
    sa.CheckConstraint("score BETWEEN 0 AND 100", name="score"),
    **UPDATED_WITH_EACH_MESSAGE,
)

event_log = _tenant_table(
    "event_log",
    _belongs_to_organization(),
    _text("type"),
    _json("payload"),
    sa.Index(None, "org_id", "created_at"),
)

# The exception among the keys: a failure's organisation may be unknown.
failed_messages = sa.Table(
    "failed_messages",
    metadata,
    _id(),
    _id("org_id"),
    _json("payload"),
    _text("error"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
    _time("next_attempt_at", nullable=True),
    _time("created_at", default_now=True),
    sa.Column("digest", sa.Text, nullable=False, server_default=""),
    _time("resolved_at", nullable=True),
    sa.PrimaryKeyConstraint("id"),
    _belongs_to_organization(),
    sa.Index(None, "next_attempt_at"),
    # A failure that comes again is the same, until it is resolved.
    sa.Index(
        "idx_failed_messages_unresolved",
        "org_id",
        "digest",
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL AND digest <> ''"),
    ),
)

# Belongs to nobody: a number that no organisation has connected.
unmatched_messages = sa.Table(
    "unmatched_messages",
    metadata,
    sa.Column("id", UUID(), nullable=False, server_default=sa.func.gen_random_uuid()),
    _text("channel"),
    _text("external_id"),
    sa.Column("count", sa.BigInteger, nullable=False),
    _time("first_at"),
    _time("last_at"),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("channel", "external_id"),
)
