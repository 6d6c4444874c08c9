"""Row-level security: each actor may do what the matrix says, tried on every table."""

import pytest
from psycopg.errors import InsufficientPrivilege

from tests.support.rls_fixtures import (
    EXPECTED,
    EXPECTED_MOVES,
    MIGRATION_TABLE_PRIVILEGES,
    PRIVILEGES,
    SERVICE_ROLES,
    TABLES,
    Db,
    RlsFixture,
    insert_row,
    list_privileges,
)

SIGNED_IN_ACTORS = ("member", "admin", "owner", "other_owner", "both")


def test_matrix_covers_every_table(db: Db) -> None:
    tables = db.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    )

    assert {*TABLES} == {name for (name,) in tables} | {"auth.users"}
    assert all({*cells} == {*TABLES} for cells in EXPECTED.values())


def test_offered_rows_violate_no_constraint(rls: RlsFixture) -> None:
    """An actor that is refused is then refused for lack of a permission."""
    for org in (rls.a, rls.b):
        for table, row in org.offered.items():
            insert_row(rls.db, table, **row)


@pytest.mark.parametrize("actor", EXPECTED)
def test_each_actor_may_do_what_the_matrix_says_and_nothing_else(
    rls: RlsFixture, actor: str
) -> None:
    assert rls.try_permissions(actor) == EXPECTED[actor]


@pytest.mark.parametrize("actor", EXPECTED)
def test_no_actor_moves_a_connection_to_another_organisation(rls: RlsFixture, actor: str) -> None:
    assert rls.try_move(actor) == EXPECTED_MOVES[actor]


@pytest.mark.parametrize(
    "claims", ["", "{}", '{"sub": ""}', '{"sub": "00000000-0000-7000-8000-000000000000"}']
)
def test_claims_without_a_person_show_no_rows(rls: RlsFixture, claims: str) -> None:
    with rls.act_as("no_claims") as db:
        db.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
        counts = {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table, cell in EXPECTED["no_claims"].items()
            if cell[0] == "."
        }

    assert set(counts.values()) == {(0,)}


@pytest.mark.parametrize("actor", SIGNED_IN_ACTORS)
def test_each_person_sees_their_own_memberships_only(rls: RlsFixture, actor: str) -> None:
    with rls.act_as(actor) as db:
        users = db.execute("SELECT DISTINCT user_id FROM org_members").fetchall()

    assert users == [(rls.people[actor],)]


COLUMN_PRIVILEGES = """
SELECT role, relation::text, command,
    array_agg(attname::text) FILTER (WHERE allowed), bool_and(allowed)
FROM unnest(%s::text[]) AS role, unnest(%s::regclass[]) AS relation,
    unnest('{SELECT,INSERT,UPDATE}'::text[]) AS command,
    pg_attribute, has_column_privilege(role, attrelid, attnum, command) AS allowed
WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
GROUP BY role, relation, command
"""


def test_column_privileges_are_as_listed(db: Db) -> None:
    """The list is complete: every other privilege is for all columns of a table, or for none."""
    privileges = db.execute(COLUMN_PRIVILEGES, [[*SERVICE_ROLES], [*TABLES]])

    assert {
        (role, table, command): {*columns}
        for role, table, command, columns, is_whole in privileges
        if columns and not is_whole
    } == {
        ("leadport_ingest", "channel_connections", "SELECT"): {
            "id",
            "org_id",
            "provider",
            "channel",
            "external_id",
            "is_enabled",
        },
        ("leadport_ingest", "contacts", "UPDATE"): {
            "name",
            "phone",
            "profile_name",
            "profile_seen_at",
            "marketing_consent",
            "marketing_consent_at",
            "updated_at",
        },
        ("leadport_ingest", "conversation_threads", "UPDATE"): {"connection_id", "last_message_at"},
        ("leadport_ingest", "conversation_messages", "UPDATE"): {"body", "content"},
        ("leadport_ingest", "state_changes", "UPDATE"): {"content", "is_waiting"},
        ("leadport_ingest", "failed_messages", "UPDATE"): {
            *("payload", "error", "attempts", "next_attempt_at", "resolved_at")
        },
        ("leadport_ingest", "unmatched_messages", "UPDATE"): {"count", "last_at"},
        ("leadport_ingest", "deals", "UPDATE"): {"title", "message_id", "source"},
        ("leadport_auth", "auth.users", "SELECT"): {"id", "email", "encrypted_password"},
    }


@pytest.mark.parametrize(
    "query",
    [
        "SELECT access_token FROM channel_connections",
        "SELECT id FROM channel_connections WHERE access_token > ''",
        "SELECT id FROM channel_connections ORDER BY access_token",
        "SELECT channel_connections FROM channel_connections",
        "SELECT count(*) FROM channel_connections GROUP BY access_token",
        "SELECT org_id FROM org_members",
        "SELECT id FROM auth.users",
        "SELECT name FROM contacts, channel_connections WHERE access_token = name",
        "UPDATE conversation_threads SET contact_id = id",
        "UPDATE contacts SET email = 'x'",
        "UPDATE contacts SET org_id = id",
        "UPDATE conversation_messages SET thread_id = id",
        "UPDATE conversation_messages SET direction = 'outbound'",
        "UPDATE deals SET status = 'won'",
        "UPDATE state_changes SET subject = 'x'",
    ],
)
def test_webhook_writer_is_refused(rls: RlsFixture, query: str) -> None:
    with pytest.raises(InsufficientPrivilege), rls.act_as("webhook") as db:
        db.execute(query)


def test_no_role_has_a_privilege_that_policies_do_not_narrow(db: Db) -> None:
    """No policy applies to TRUNCATE, REFERENCES, TRIGGER and MAINTAIN."""
    assert list_privileges(db) == PRIVILEGES


def test_migration_table_can_only_be_read(db: Db) -> None:
    assert list_privileges(db, "relname = 'alembic_version'") == MIGRATION_TABLE_PRIVILEGES


def test_deleted_connection_leaves_threads_that_its_owner_may_not_write(
    rls: RlsFixture,
) -> None:
    rls.db.execute(
        "UPDATE conversation_threads AS t SET connection_id = c.id"
        " FROM channel_connections AS c WHERE c.org_id = t.org_id AND t.channel = 'instagram'"
    )

    with rls.act_as("owner") as db:
        db.execute("DELETE FROM channel_connections")
        threads = db.execute("SELECT connection_id FROM conversation_threads").fetchall()

    assert threads == [(None,)] * len(rls.a.ids["conversation_threads"])
