"""The list_policies: their form, their cost, and whether the matrix detects each broken one."""

import json

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.support.query_plans import walk_plan
from tests.support.rls_fixtures import (
    EXPECTED,
    EXPECTED_MOVES,
    SERVICE_ROLES,
    TABLES,
    Db,
    RlsFixture,
    act_as,
    read_identity,
)


def test_every_tenant_table_has_row_level_security_and_a_policy(db: Db) -> None:
    tables = db.execute(
        "SELECT relname, relrowsecurity, polname IS NOT NULL"
        " FROM pg_class LEFT JOIN pg_policy ON polrelid = pg_class.oid"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND (relname = 'organizations' OR EXISTS (SELECT FROM pg_attribute"
        "  WHERE attrelid = pg_class.oid AND attname = 'org_id'))"
    ).fetchall()

    assert {name for name, *_ in tables} >= {"organizations", "org_members", "contacts"}
    assert [name for name, *secured in tables if not all(secured)] == []


def test_no_policy_applies_to_all_commands_or_all_roles(db: Db) -> None:
    broad_policies = db.execute(
        "SELECT tablename, policyname FROM pg_policies"
        " WHERE cmd = 'ALL' OR 'public' = ANY (roles) OR permissive <> 'PERMISSIVE'"
    )

    assert broad_policies.fetchall() == []


def test_connections_have_one_policy_for_each_command(db: Db) -> None:
    rows = db.execute(
        "SELECT roles::text[], cmd, qual IS NOT NULL, with_check IS NOT NULL FROM pg_policies"
        " WHERE tablename = 'channel_connections' ORDER BY roles, cmd"
    ).fetchall()

    assert [policy for policy in rows if policy[0] == ["authenticated"]] == [
        (["authenticated"], "DELETE", True, False),
        (["authenticated"], "INSERT", False, True),
        (["authenticated"], "SELECT", True, False),
        (["authenticated"], "UPDATE", True, True),
    ]
    assert [policy for policy in rows if policy[0] != ["authenticated"]] == [
        (["leadport_ingest"], "SELECT", True, False)
    ]


def test_roles_of_the_service_have_no_attributes_and_own_nothing(db: Db) -> None:
    roles = db.execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb,"
        " EXISTS (SELECT FROM pg_class WHERE relowner = r.oid),"
        " EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid),"
        " has_schema_privilege(r.oid, 'public', 'CREATE'),"
        " has_schema_privilege(r.oid, 'auth', 'CREATE'),"
        " has_database_privilege(r.oid, current_database(), 'CREATE')"
        " FROM pg_roles AS r WHERE rolname = ANY (%s)",
        [[*SERVICE_ROLES]],
    ).fetchall()

    assert {name for name, *_ in roles} == {*SERVICE_ROLES}
    assert [role for role in roles if any(role[1:])] == []


def test_no_function_is_security_definer(db: Db) -> None:
    functions = db.execute(
        "SELECT proname FROM pg_proc WHERE prosecdef"
        " AND pronamespace IN ('public'::regnamespace, 'auth'::regnamespace)"
    )

    assert functions.fetchall() == []


CONNECT_500 = """
INSERT INTO channel_connections (org_id, id, channel, external_id)
    SELECT o.id, gen_random_uuid(), 'whatsapp', gen_random_uuid()
    FROM organizations AS o, generate_series(1, 500)
"""

ADD_500_ROWS_EACH = f"""
INSERT INTO contacts (org_id, id)
    SELECT o.id, gen_random_uuid() FROM organizations AS o, generate_series(1, 500);
INSERT INTO deals (org_id, id, contact_id, title)
    SELECT org_id, gen_random_uuid(), id, 'cake' FROM contacts ON CONFLICT DO NOTHING;
{CONNECT_500}
"""


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM contacts",
        "SELECT * FROM contacts JOIN deals ON contacts.id = deals.contact_id",
        "SELECT * FROM channel_connections",
        "UPDATE channel_connections SET display_name = 'x'",
        "DELETE FROM channel_connections",
        CONNECT_500,
    ],
)
def test_policies_read_memberships_and_person_once_per_statement(
    rls: RlsFixture, statement: str
) -> None:
    rls.db.execute(ADD_500_ROWS_EACH)

    assert are_memberships_read_once(rls, statement)


@pytest.mark.parametrize(
    "rule",
    [
        "(SELECT count(*) FROM org_members AS m WHERE m.org_id = contacts.org_id) > 0",
        "org_id IN (SELECT org_id FROM org_members WHERE user_id = auth.uid())",
    ],
)
def test_policy_that_reads_memberships_per_row_is_detected(rls: RlsFixture, rule: str) -> None:
    rls.db.execute(ADD_500_ROWS_EACH)
    rls.db.execute(f"ALTER POLICY members_read ON contacts USING ({rule})")

    assert not are_memberships_read_once(rls, "SELECT * FROM contacts")


def are_memberships_read_once(rls: RlsFixture, statement: str) -> bool:
    """Whether the policies read the owner's memberships and id once for at least 500 rows."""
    with rls.act_as("owner") as db:
        answer = db.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}").fetchone()
    assert answer is not None
    nodes = list(walk_plan(answer[0][0]["Plan"]))
    memberships = [node for node in nodes if node.get("Relation Name") == "org_members"]
    init_plans = [node for node in nodes if node.get("Parent Relationship") == "InitPlan"]
    assert max(node["Actual Rows"] for node in nodes) >= 500
    assert memberships
    assert init_plans
    loops = {node["Actual Loops"] for node in (*memberships, *init_plans)}
    # Outside of an InitPlan, a condition on rows would read the id for each row.
    is_in_condition = any(uid in json.dumps(answer) for uid in ("current_setting", "auth.uid"))
    return loops == {1} and not is_in_condition


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "fail"])
def test_role_and_claims_end_with_their_transaction(database_url: str, end: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        before = read_identity(db)
        db.execute("BEGIN")
        rls = RlsFixture(db)
        act_as(db, "authenticated", rls.people["owner"])
        assert db.execute("SELECT name FROM organizations").fetchall() == [("A",)]
        assert read_identity(db) == ("authenticated", str(rls.people["owner"]))
        if end == "fail":
            with pytest.raises(InsufficientPrivilege):
                db.execute("DELETE FROM contacts")
            end = "ROLLBACK"
        db.execute(end)

        after = read_identity(db)
        db.execute("BEGIN")
        db.execute("SET LOCAL ROLE authenticated")
        names = db.execute("SELECT name FROM organizations").fetchall()
        uid = db.execute("SELECT auth.uid()").fetchone()

    assert before == after
    assert after[1] is None
    assert after[0] not in SERVICE_ROLES
    assert names == []
    assert uid == (None,)


def test_matrix_changes_without_each_policy(rls: RlsFixture) -> None:
    undetected = []
    for name, table, *_ in list_policies(rls.db):
        with rls.db.transaction(force_rollback=True):
            rls.db.execute(f"DROP POLICY {name} ON {table}")
            if not is_detected(rls, table):
                undetected.append((name, table))

    assert undetected == []


@pytest.mark.parametrize(
    "wider",
    ["true", "org_id IN (SELECT org_id FROM org_members)"],
    ids=["all rows", "every member"],
)
def test_matrix_changes_with_each_policy_widened(rls: RlsFixture, wider: str) -> None:
    undetected, tried = [], 0
    for name, table, *conditions in list_policies(rls.db):
        if wider != "true" and table != "channel_connections":
            continue
        for part, condition in zip(("USING", "WITH CHECK"), conditions, strict=True):
            if condition in {None, "true"}:
                continue
            with rls.db.transaction(force_rollback=True):
                rls.db.execute(f"ALTER POLICY {name} ON {table} {part} ({wider})")
                tried += 1
                if not is_detected(rls, table):
                    undetected.append((name, table, part))

    assert undetected == []
    assert tried == (14 if wider == "true" else 5)


def list_policies(db: Db) -> list[tuple[str, str, str | None, str | None]]:
    """Return name, table, USING and WITH CHECK of every policy."""
    rows = db.execute(
        "SELECT policyname::text, (CASE schemaname WHEN 'public' THEN '' ELSE schemaname || '.'"
        " END) || tablename, qual, with_check FROM pg_policies ORDER BY 2, 1"
    )
    return [(name, table, qual, check) for name, table, qual, check in rows]


def is_detected(rls: RlsFixture, table: str) -> bool:
    """Whether any actor may now do something else than the matrix says."""
    return any(
        rls.try_permissions(actor, {table: TABLES[table]}) != {table: cells[table]}
        for actor, cells in EXPECTED.items()
    ) or (
        table == "channel_connections"
        and any(rls.try_move(actor) != moves for actor, moves in EXPECTED_MOVES.items())
    )
