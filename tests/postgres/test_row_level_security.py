"""Who may do what: tried as each role, on every table, never as superuser."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from application.errors import StorageRefused
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.postgres.migrations import downgrade, migrate
from tests.support.rls_fixtures import TABLES, Db, RlsFixture, act_as, add

OLDEST = Path("/usr/lib/postgresql/15/bin")
OUR_ROLES = ("authenticated", "leadport_ingest", "leadport_auth")

# Select, insert, update, delete: what happens to the rows of organisation A, a slash, what happens
# to those of B; written once where it is the same. Of A there are the member, admin and owner,
# of B the owner "elsewhere"; "both" owns A and is a member of B.
#   riud  done with all rows   s  with some   c  certain columns only   .  no row   -  refused
MATRIX = """
                      nobody member    admin     owner     elsewhere both      webhook sign_in
organizations         .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      ----    ----
org_members           .---   s---/.--- s---/.--- s---/.--- .---/s--- s---      ----    ----
channel_connections   .-..   .-..      riud/.-.. riud/.-.. .-../riud riud/.-.. c---    ----
contacts              .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      riu-    ----
contact_identities    .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      ri--    ----
conversation_threads  .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      riu-    ----
conversation_messages .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      riu-    ----
state_changes         ----   ----      ----      ----      ----      ----      riu-    ----
deals                 .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      riu-    ----
deal_insights         .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      riu-    ----
event_log             .---   r---/.--- r---/.--- r---/.--- .---/r--- r---      -i--    ----
failed_messages       ----   ----      ----      ----      ----      ----      riu-    ----
unmatched_messages    ----   ----      ----      ----      ----      ----      riu-    ----
ended_sessions        ----   ----      ----      ----      ----      ----      ----    ri--
auth.users            ----   ----      ----      ----      ----      ----      ----    c---
"""
# Putting a connection into the other organisation: m moved, . no row, - refused.
MOVES = """
                      nobody member    admin     owner     elsewhere both      webhook sign_in
channel_connections   .      .         -         -         -         -         -       -
"""


def columns_of(table: str) -> dict[str, dict[str, str]]:
    """What is expected, by who and table."""
    (*everybody,), *lines = [line.split() for line in table.strip().splitlines()]
    return {
        who: {name: cells[place] for name, *cells in lines} for place, who in enumerate(everybody)
    }


EXPECTED = columns_of(MATRIX)
EXPECTED_MOVES = {who: moves["channel_connections"] for who, moves in columns_of(MOVES).items()}
# Every kind of right that one of our roles has to any table or column in public.
RIGHTS = {
    *(("authenticated", right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    *(("leadport_ingest", right) for right in ("SELECT", "INSERT", "UPDATE")),
    *(("leadport_auth", right) for right in ("SELECT", "INSERT")),
}
LISTED = {(role, "SELECT") for role in OUR_ROLES}
SIGNED_IN = ("member", "admin", "owner", "elsewhere", "both")


@pytest.fixture(scope="module")
def unused_url(server_url: str) -> Iterator[str]:
    """A migrated database that nobody writes to for good, so that nothing has to be emptied."""
    with psycopg.connect(server_url, autocommit=True) as db:
        db.execute("CREATE DATABASE unused")
        url = make_conninfo(server_url, dbname="unused")
        migrate(url)
        yield url
        db.execute("DROP DATABASE unused WITH (FORCE)")


@pytest.fixture
def db(unused_url: str) -> Iterator[Db]:
    """A transaction as the database's owner; nothing of it stays."""
    with psycopg.connect(unused_url) as db:
        yield db
        db.rollback()


@pytest.fixture
def world(db: Db) -> RlsFixture:
    return RlsFixture(db)


def test_the_matrix_speaks_of_every_table(db: Db) -> None:
    tables = db.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    )

    assert {*TABLES} == {name for (name,) in tables} | {"auth.users"}
    assert all({*cells} == {*TABLES} for cells in EXPECTED.values())


def test_the_rows_that_are_tried_would_fit(world: RlsFixture) -> None:
    """Whoever is refused is refused for who they are."""
    for org in (world.a, world.b):
        for table, row in org.offered.items():
            add(world.db, table, **row)


@pytest.mark.parametrize("who", EXPECTED)
def test_each_may_do_what_the_matrix_says_and_nothing_else(world: RlsFixture, who: str) -> None:
    assert world.permissions(who) == EXPECTED[who]


@pytest.mark.parametrize("who", EXPECTED)
def test_nobody_moves_a_connection_to_another_organisation(world: RlsFixture, who: str) -> None:
    assert world.moves(who) == EXPECTED_MOVES[who]


@pytest.mark.parametrize(
    "claims", ["", "{}", '{"sub": ""}', '{"sub": "00000000-0000-7000-8000-000000000000"}']
)
def test_claims_of_nobody_show_nothing(world: RlsFixture, claims: str) -> None:
    with world.acting("nobody") as db:
        db.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
        seen = {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table, cell in EXPECTED["nobody"].items()
            if cell[0] == "."
        }

    assert set(seen.values()) == {(0,)}


@pytest.mark.parametrize("who", SIGNED_IN)
def test_each_sees_their_own_memberships_only(world: RlsFixture, who: str) -> None:
    with world.acting(who) as db:
        seen = db.execute("SELECT DISTINCT user_id FROM org_members").fetchall()

    assert seen == [(world.people[who],)]


COLUMN_RIGHTS = """
SELECT role, relation::text, command,
    array_agg(attname::text) FILTER (WHERE allowed), bool_and(allowed)
FROM unnest(%s::text[]) AS role, unnest(%s::regclass[]) AS relation,
    unnest('{SELECT,INSERT,UPDATE}'::text[]) AS command,
    pg_attribute, has_column_privilege(role, attrelid, attnum, command) AS allowed
WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
GROUP BY role, relation, command
"""


def test_some_may_use_certain_columns_only(db: Db) -> None:
    """The whole list of them: everything else is all columns of a table or none."""
    found = db.execute(COLUMN_RIGHTS, [[*OUR_ROLES], [*TABLES]])

    assert {
        (role, table, command): {*columns}
        for role, table, command, columns, is_whole in found
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
def test_the_webhook_does_not_get_at(world: RlsFixture, query: str) -> None:
    with pytest.raises(InsufficientPrivilege), world.acting("webhook") as db:
        db.execute(query)


def test_rights_that_no_policy_can_narrow_are_nobodys(db: Db) -> None:
    """TRUNCATE, REFERENCES, TRIGGER and MAINTAIN ask no policy."""
    assert rights(db) == RIGHTS


def test_the_list_of_migrations_can_only_be_read(db: Db) -> None:
    assert rights(db, "relname = 'alembic_version'") == LISTED


def test_a_deleted_connection_leaves_the_conversation_that_its_owner_may_not_write(
    world: RlsFixture,
) -> None:
    world.db.execute(
        "UPDATE conversation_threads AS t SET connection_id = c.id"
        " FROM channel_connections AS c WHERE c.org_id = t.org_id AND t.channel = 'instagram'"
    )

    with world.acting("owner") as db:
        db.execute("DELETE FROM channel_connections")
        threads = db.execute("SELECT connection_id FROM conversation_threads").fetchall()

    assert threads == [(None,)] * len(world.a.ids["conversation_threads"])


def rights(db: Db, which: str = "true") -> set[tuple[str, str]]:
    """Who but its owner has which right to a table of ours or to a column of one."""
    found = db.execute(
        "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END,"
        " privilege_type FROM (SELECT relname, relowner, relacl AS acl FROM pg_class"
        "   WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
        "  UNION ALL SELECT relname, relowner, attacl FROM pg_class JOIN pg_attribute"
        "   ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace"
        f" ) AS ours, aclexplode(acl) WHERE grantee <> relowner AND {which}"
    )
    return {(role, right) for role, right in found}


# What a new table or policy must not forget.


def test_every_table_of_an_organisation_is_secured(db: Db) -> None:
    tables = db.execute(
        "SELECT relname, relrowsecurity, polname IS NOT NULL"
        " FROM pg_class LEFT JOIN pg_policy ON polrelid = pg_class.oid"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND (relname = 'organizations' OR EXISTS (SELECT FROM pg_attribute"
        "  WHERE attrelid = pg_class.oid AND attname = 'org_id'))"
    ).fetchall()

    assert {name for name, *_ in tables} >= {"organizations", "org_members", "contacts"}
    assert [name for name, *secured in tables if not all(secured)] == []


def test_no_policy_is_for_all_commands_or_for_all_roles(db: Db) -> None:
    loose = db.execute(
        "SELECT tablename, policyname FROM pg_policies"
        " WHERE cmd = 'ALL' OR 'public' = ANY (roles) OR permissive <> 'PERMISSIVE'"
    )

    assert loose.fetchall() == []


def test_connections_have_one_policy_a_command(db: Db) -> None:
    policies = db.execute(
        "SELECT roles::text[], cmd, qual IS NOT NULL, with_check IS NOT NULL FROM pg_policies"
        " WHERE tablename = 'channel_connections' ORDER BY roles, cmd"
    ).fetchall()

    assert [policy for policy in policies if policy[0] == ["authenticated"]] == [
        (["authenticated"], "DELETE", True, False),
        (["authenticated"], "INSERT", False, True),
        (["authenticated"], "SELECT", True, False),
        (["authenticated"], "UPDATE", True, True),
    ]
    assert [policy for policy in policies if policy[0] != ["authenticated"]] == [
        (["leadport_ingest"], "SELECT", True, False)
    ]


def test_our_roles_are_nothing_but_roles(db: Db) -> None:
    roles = db.execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb,"
        " EXISTS (SELECT FROM pg_class WHERE relowner = r.oid),"
        " EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid),"
        " has_schema_privilege(r.oid, 'public', 'CREATE'),"
        " has_schema_privilege(r.oid, 'auth', 'CREATE'),"
        " has_database_privilege(r.oid, current_database(), 'CREATE')"
        " FROM pg_roles AS r WHERE rolname = ANY (%s)",
        [[*OUR_ROLES]],
    ).fetchall()

    assert {name for name, *_ in roles} == {*OUR_ROLES}
    assert [role for role in roles if any(role[1:])] == []


def test_no_function_acts_as_its_owner(db: Db) -> None:
    functions = db.execute(
        "SELECT proname FROM pg_proc WHERE prosecdef"
        " AND pronamespace IN ('public'::regnamespace, 'auth'::regnamespace)"
    )

    assert functions.fetchall() == []


# Asked once a statement, however many rows there are.

CONNECT_500 = """
INSERT INTO channel_connections (org_id, id, channel, external_id)
    SELECT o.id, gen_random_uuid(), 'whatsapp', gen_random_uuid()
    FROM organizations AS o, generate_series(1, 500)
"""
CROWD = f"""
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
def test_memberships_and_person_are_asked_once_a_statement(
    world: RlsFixture, statement: str
) -> None:
    world.db.execute(CROWD)

    assert asked(world, statement) == "once"


@pytest.mark.parametrize(
    "rule",
    [
        "(SELECT count(*) FROM org_members AS m WHERE m.org_id = contacts.org_id) > 0",
        "org_id IN (SELECT org_id FROM org_members WHERE user_id = auth.uid())",
    ],
)
def test_asking_once_a_row_would_be_noticed(world: RlsFixture, rule: str) -> None:
    world.db.execute(CROWD)
    world.db.execute(f"ALTER POLICY members_read ON contacts USING ({rule})")

    assert asked(world, "SELECT * FROM contacts") == "again and again"


def asked(world: RlsFixture, statement: str) -> str:
    """How often the owner's memberships and id were asked for, over the crowd's rows."""
    with world.acting("owner") as db:
        answer = db.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}").fetchone()
    assert answer is not None
    nodes = list(below(answer[0][0]["Plan"]))
    memberships = [node for node in nodes if node.get("Relation Name") == "org_members"]
    people = [node for node in nodes if node.get("Parent Relationship") == "InitPlan"]
    assert max(node["Actual Rows"] for node in nodes) >= 500
    assert memberships
    assert people
    loops = {node["Actual Loops"] for node in (*memberships, *people)}
    # Elsewhere than in an InitPlan the id would be asked for by a condition on rows.
    hidden = any(uid in json.dumps(answer) for uid in ("current_setting", "auth.uid"))
    return "once" if loops == {1} and not hidden else "again and again"


def below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from below(child)


# The next transaction on it is somebody else's.


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "fail"])
def test_nothing_stays_on_it(database_url: str, end: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        before = whose(db)
        db.execute("BEGIN")
        world = RlsFixture(db)
        act_as(db, "authenticated", world.people["owner"])
        assert db.execute("SELECT name FROM organizations").fetchall() == [("A",)]
        assert whose(db) == ("authenticated", str(world.people["owner"]))
        if end == "fail":
            with pytest.raises(InsufficientPrivilege):
                db.execute("DELETE FROM contacts")
            end = "ROLLBACK"
        db.execute(end)

        after = whose(db)
        db.execute("BEGIN")
        db.execute("SET LOCAL ROLE authenticated")
        seen = db.execute("SELECT name FROM organizations").fetchall()
        uid = db.execute("SELECT auth.uid()").fetchone()

    assert before == after
    assert after[1] is None
    assert after[0] not in OUR_ROLES
    assert seen == []
    assert uid == (None,)


def whose(db: Db) -> tuple[str, str | None]:
    row = db.execute(
        "SELECT current_user::text,"
        " nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


# Each policy broken once: the matrix notices.


def test_without_any_policy_a_cell_changes(world: RlsFixture) -> None:
    unnoticed = []
    for name, table, *_ in policies(world.db):
        with world.db.transaction(force_rollback=True):
            world.db.execute(f"DROP POLICY {name} ON {table}")
            if not noticed(world, table):
                unnoticed.append((name, table))

    assert unnoticed == []


@pytest.mark.parametrize(
    "wider",
    ["true", "org_id IN (SELECT org_id FROM org_members)"],
    ids=["everybody", "every member"],
)
def test_with_a_wider_condition_a_cell_changes(world: RlsFixture, wider: str) -> None:
    unnoticed, tried = [], 0
    for name, table, *conditions in policies(world.db):
        if wider != "true" and table != "channel_connections":
            continue
        for part, condition in zip(("USING", "WITH CHECK"), conditions, strict=True):
            if condition in {None, "true"}:
                continue
            with world.db.transaction(force_rollback=True):
                world.db.execute(f"ALTER POLICY {name} ON {table} {part} ({wider})")
                tried += 1
                if not noticed(world, table):
                    unnoticed.append((name, table, part))

    assert unnoticed == []
    assert tried == (14 if wider == "true" else 5)


def policies(db: Db) -> list[tuple[str, str, str | None, str | None]]:
    found = db.execute(
        "SELECT policyname::text, (CASE schemaname WHEN 'public' THEN '' ELSE schemaname || '.'"
        " END) || tablename, qual, with_check FROM pg_policies ORDER BY 2, 1"
    )
    return [(name, table, qual, check) for name, table, qual, check in found]


def noticed(world: RlsFixture, table: str) -> bool:
    """Whether anything is now done otherwise than the matrix says."""
    return any(
        world.permissions(who, {table: TABLES[table]}) != {table: cells[table]}
        for who, cells in EXPECTED.items()
    ) or (
        table == "channel_connections"
        and any(world.moves(who) != moves for who, moves in EXPECTED_MOVES.items())
    )


# Wherever the migrating role is no superuser, as on managed servers.


@pytest.fixture(scope="module", params=["newest", "oldest"])
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server without our roles: they belong to all of its databases."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("own"), options={"fsync": "off"})
    if request.param == "oldest":
        if not OLDEST.exists():
            pytest.skip(f"no PostgreSQL 15 in {OLDEST} (Debian 12: apt install postgresql-15)")
        server.programs, server.locale = OLDEST, ["--locale=C"]
    yield server.start()
    server.stop()


@pytest.fixture
def administrator(own_server: str) -> Iterator[Db]:
    """A superuser, in whose server nothing stays."""
    with psycopg.connect(own_server, autocommit=True) as db:
        before = role_names(db)
        yield db
        db.execute("DROP DATABASE IF EXISTS managed WITH (FORCE)")
        db.execute(f"DROP ROLE {', '.join(role_names(db) - before)}")


@pytest.fixture
def operator_url(administrator: Db, own_server: str) -> str:
    """An empty database whose owner may make roles, and nothing else."""
    administrator.execute("CREATE ROLE operator LOGIN CREATEROLE")
    administrator.execute("CREATE DATABASE managed OWNER operator")
    return make_conninfo(own_server, user="operator", dbname="managed")


def role_names(db: Db) -> set[str]:
    return {name for (name,) in db.execute("SELECT rolname FROM pg_roles")}


def test_a_migrator_needs_not_be_superuser(operator_url: str) -> None:
    migrate(operator_url)

    assert deviations(operator_url) == {}


def test_a_downgrade_leaves_nothing_to_our_roles(operator_url: str) -> None:
    migrate(operator_url)
    downgrade(operator_url, "0001")

    with psycopg.connect(operator_url) as db:
        left = db.execute(
            "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend"
            " JOIN pg_roles ON refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid"
            " WHERE rolname = ANY (%s) AND classid <> 'pg_auth_members'::regclass",
            [[*OUR_ROLES]],
        ).fetchall()
        uid = db.execute("SELECT to_regprocedure('auth.uid()')").fetchone()
        secured = db.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'"
        ).fetchall()

    assert left == secured == []
    assert uid == (None,)


def test_an_upgrade_after_a_downgrade_is_an_upgrade(operator_url: str) -> None:
    migrate(operator_url)
    downgrade(operator_url)
    migrate(operator_url)

    assert deviations(operator_url) == {}


def test_roles_that_somebody_else_made_have_to_be_granted(
    administrator: Db, operator_url: str
) -> None:
    """Before PostgreSQL 16 whoever may make roles may act as any."""
    for role in OUR_ROLES:
        administrator.execute(f"CREATE ROLE {role} NOLOGIN NOINHERIT")
    grant = f"GRANT {', '.join(OUR_ROLES)} TO operator"

    if administrator.info.server_version >= 160000:
        with pytest.raises(StorageRefused) as refusal:
            migrate(operator_url)
        assert grant in str(refusal.value.__cause__)
        administrator.execute(grant)
    migrate(operator_url)

    with psycopg.connect(operator_url) as db:
        for role in OUR_ROLES:
            act_as(db, role)
            assert whose(db) == (role, None)


SUPABASE_ROLES = """
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE supabase_auth_admin NOLOGIN NOINHERIT;
ALTER ROLE operator BYPASSRLS;
GRANT anon, authenticated, service_role TO operator WITH ADMIN OPTION
"""
SUPABASE = """
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE operator IN SCHEMA public
    GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE operator IN SCHEMA public
    GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE operator IN SCHEMA public
    GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;

CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;
GRANT USAGE ON SCHEMA auth TO operator, anon, authenticated, service_role;
SET ROLE supabase_auth_admin;
CREATE TABLE auth.users (
    instance_id uuid,
    id uuid NOT NULL PRIMARY KEY,
    aud varchar(255),
    role varchar(255),
    email varchar(255),
    encrypted_password varchar(255),
    raw_user_meta_data jsonb,
    is_super_admin boolean,
    created_at timestamptz,
    phone text UNIQUE DEFAULT NULL::varchar,
    is_sso_user boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE auth.users IS 'Auth: Stores user login data within a secure schema.';
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
GRANT ALL ON auth.users TO operator;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;
RESET ROLE
"""


@pytest.fixture
def supabase_url(administrator: Db, own_server: str, operator_url: str) -> str:
    """Like a new project there, whose `postgres` is our operator."""
    administrator.execute(SUPABASE_ROLES)
    with psycopg.connect(make_conninfo(own_server, dbname="managed")) as db:
        db.execute(SUPABASE)
    return operator_url


def test_on_supabase_everybody_may_do_the_same(supabase_url: str) -> None:
    migrate(supabase_url)

    # There people sign in at Supabase, so our sign-in reads none of its users.
    nothing = dict.fromkeys(TABLES, "----")
    sign_in = {**EXPECTED["sign_in"], "auth.users": "----"}
    assert deviations(supabase_url, {**EXPECTED, "sign_in": sign_in, "anon": nothing}) == {}
    with psycopg.connect(supabase_url) as db:
        assert {right for right in rights(db) if right[0] != "service_role"} == RIGHTS
        listed = rights(db, "relname = 'alembic_version'")
        assert {right for right in listed if right[0] != "service_role"} == LISTED


def test_what_is_supabases_stays_as_it_was(supabase_url: str) -> None:
    before = schema_auth(supabase_url)
    migrate(supabase_url)
    migrated = schema_auth(supabase_url)
    downgrade(supabase_url)

    assert before == migrated == schema_auth(supabase_url)


def schema_auth(url: str) -> list[tuple[Any, ...]]:
    """All of it that a migration could change."""
    with psycopg.connect(url) as db:
        return db.execute(
            "SELECT 'function', proname, pg_get_functiondef(p.oid), proacl::text,"
            "  obj_description(p.oid, 'pg_proc') FROM pg_proc AS p"
            "  WHERE pronamespace = 'auth'::regnamespace"
            " UNION ALL SELECT 'table', relname, relrowsecurity::text, relacl::text,"
            "  obj_description(c.oid, 'pg_class') FROM pg_class AS c"
            "  WHERE relnamespace = 'auth'::regnamespace"
            " UNION ALL SELECT 'column', attname, format_type(atttypid, atttypmod), attacl::text,"
            "  attrelid::regclass::text FROM pg_attribute WHERE attrelid = 'auth.users'::regclass"
            " UNION ALL SELECT 'policy', policyname, cmd, qual, with_check FROM pg_policies"
            "  WHERE schemaname = 'auth'"
            " UNION ALL SELECT 'schema', nspname, nspowner::regrole::text, nspacl::text, ''"
            "  FROM pg_namespace WHERE nspname = 'auth'"
            " ORDER BY 1, 2, 3"
        ).fetchall()


def deviations(
    url: str, expected: Mapping[str, Mapping[str, str]] = EXPECTED
) -> dict[tuple[str, str], str]:
    """Where the matrix says something else, tried by the role in the URL."""
    with psycopg.connect(url) as db:
        world = RlsFixture(db)
        found = {
            (who, table): cell
            for who, cells in expected.items()
            for table, cell in world.permissions(who).items()
            if cell != cells[table]
        }
        moves = {(who, "move"): world.moves(who) for who in EXPECTED_MOVES}
        db.rollback()
    return found | {key: move for key, move in moves.items() if move != EXPECTED_MOVES[key[0]]}
