"""Migrations on managed servers, where the migrating role is no superuser, and on Supabase."""

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from application.errors import StorageRefused
from infrastructure.postgres.migrations import downgrade, migrate
from tests.support.postgres_server import run_embedded
from tests.support.rls_fixtures import (
    EXPECTED,
    EXPECTED_MOVES,
    MIGRATION_TABLE_PRIVILEGES,
    PRIVILEGES,
    SERVICE_ROLES,
    TABLES,
    Db,
    RlsFixture,
    act_as,
    list_privileges,
    read_identity,
)


@pytest.fixture(scope="module", params=["newest", "oldest"])
def separate_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of its own, because roles belong to all databases of a server."""
    with run_embedded(request.param) as url:
        yield url


@pytest.fixture
def administrator(separate_server: str) -> Iterator[Db]:
    """A superuser. After the test the server has no database and role of it."""
    with psycopg.connect(separate_server, autocommit=True) as db:
        before = list_roles(db)
        yield db
        db.execute("DROP DATABASE IF EXISTS managed WITH (FORCE)")
        db.execute(f"DROP ROLE {', '.join(list_roles(db) - before)}")


@pytest.fixture
def operator_url(administrator: Db, separate_server: str) -> str:
    """An empty database, whose owner may create roles and has no other attribute."""
    administrator.execute("CREATE ROLE operator LOGIN CREATEROLE")
    administrator.execute("CREATE DATABASE managed OWNER operator")
    return make_conninfo(separate_server, user="operator", dbname="managed")


def list_roles(db: Db) -> set[str]:
    return {name for (name,) in db.execute("SELECT rolname FROM pg_roles")}


def test_migrating_role_need_not_be_superuser(operator_url: str) -> None:
    migrate(operator_url)

    assert find_deviations(operator_url) == {}


def test_downgrade_leaves_the_roles_without_privileges(operator_url: str) -> None:
    migrate(operator_url)
    downgrade(operator_url, "0001")

    with psycopg.connect(operator_url) as db:
        dependencies = db.execute(
            "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend"
            " JOIN pg_roles ON refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid"
            " WHERE rolname = ANY (%s) AND classid <> 'pg_auth_members'::regclass",
            [[*SERVICE_ROLES]],
        ).fetchall()
        uid = db.execute("SELECT to_regprocedure('auth.uid()')").fetchone()
        secured_tables = db.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'"
        ).fetchall()

    assert dependencies == secured_tables == []
    assert uid == (None,)


def test_upgrade_after_a_downgrade_restores_every_permission(operator_url: str) -> None:
    migrate(operator_url)
    downgrade(operator_url)
    migrate(operator_url)

    assert find_deviations(operator_url) == {}


def test_roles_made_by_another_role_must_be_granted_to_the_migrating_role(
    administrator: Db, operator_url: str
) -> None:
    """Before PostgreSQL 16 a role with CREATEROLE may act as any role."""
    for role in SERVICE_ROLES:
        administrator.execute(f"CREATE ROLE {role} NOLOGIN NOINHERIT")
    grant = f"GRANT {', '.join(SERVICE_ROLES)} TO operator"

    if administrator.info.server_version >= 160000:
        with pytest.raises(StorageRefused) as refusal:
            migrate(operator_url)
        assert grant in str(refusal.value.__cause__)
        administrator.execute(grant)
    migrate(operator_url)

    with psycopg.connect(operator_url) as db:
        for role in SERVICE_ROLES:
            act_as(db, role)
            assert read_identity(db) == (role, None)


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
def supabase_url(administrator: Db, separate_server: str, operator_url: str) -> str:
    """A database like that of a new Supabase project, whose `postgres` is the operator."""
    administrator.execute(SUPABASE_ROLES)
    with psycopg.connect(make_conninfo(separate_server, dbname="managed")) as db:
        db.execute(SUPABASE)
    return operator_url


def test_permissions_on_supabase_are_the_same(supabase_url: str) -> None:
    migrate(supabase_url)

    # People sign in at Supabase, so the sign-in of the service reads none of its users.
    no_permissions = dict.fromkeys(TABLES, "----")
    sign_in = {**EXPECTED["sign_in"], "auth.users": "----"}
    assert (
        find_deviations(supabase_url, {**EXPECTED, "sign_in": sign_in, "anon": no_permissions})
        == {}
    )
    with psycopg.connect(supabase_url) as db:
        privileges = list_privileges(db)
        on_migration_table = list_privileges(db, "relname = 'alembic_version'")
    of_service_role = {pair for pair in privileges if pair[0] == "service_role"}
    assert privileges - of_service_role == PRIVILEGES
    assert on_migration_table - of_service_role == MIGRATION_TABLE_PRIVILEGES


def test_migrations_leave_supabases_schema_unchanged(supabase_url: str) -> None:
    before = read_auth_schema(supabase_url)
    migrate(supabase_url)
    migrated = read_auth_schema(supabase_url)
    downgrade(supabase_url)

    assert before == migrated == read_auth_schema(supabase_url)


def read_auth_schema(url: str) -> list[tuple[Any, ...]]:
    """Return everything in the schema `auth` that a migration could change."""
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


def find_deviations(
    url: str, expected: Mapping[str, Mapping[str, str]] = EXPECTED
) -> dict[tuple[str, str], str]:
    """Return the cells that differ from the matrix, tried by the role in the URL."""
    with psycopg.connect(url) as db:
        rls = RlsFixture(db)
        deviations = {
            (actor, table): cell
            for actor, cells in expected.items()
            for table, cell in rls.try_permissions(actor).items()
            if cell != cells[table]
        }
        moves = {(actor, "move"): rls.try_move(actor) for actor in EXPECTED_MOVES}
        db.rollback()
    return deviations | {key: move for key, move in moves.items() if move != EXPECTED_MOVES[key[0]]}
