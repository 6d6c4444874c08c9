"""Two organisations with a row in every table, and what each actor may do to these rows."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import psycopg
from psycopg.errors import InsufficientPrivilege

Db: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Row: TypeAlias = Mapping[str, object]

NOON = "2026-11-22T12:00Z"

MARK = "20991231"
"""A value that is valid as a text, as a time and as JSON."""

TABLES = {
    "organizations": "name",
    "org_members": "created_at",
    "channel_connections": "display_name",
    "contacts": "name",
    "contact_identities": "value",
    "conversation_threads": "last_message_at",
    "conversation_messages": "body",
    "state_changes": "content",
    "deals": "title",
    "deal_insights": "summary",
    "event_log": "type",
    "failed_messages": "error",
    "unmatched_messages": "last_at",
    "ended_sessions": "expires_at",
    "auth.users": "encrypted_password",
}
"""Every table, and a column that the tests change in it."""

SERVICE_ROLES = ("authenticated", "leadport_ingest", "leadport_auth")

ROLES = {
    "no_claims": "authenticated",
    "member": "authenticated",
    "admin": "authenticated",
    "owner": "authenticated",
    "other_owner": "authenticated",  # owner of organisation B
    "both": "authenticated",  # owner of A and member of B
    "webhook": "leadport_ingest",
    "sign_in": "leadport_auth",
    "anon": "anon",  # Supabase's role for requests without a session
}
"""The database role of each actor."""

MEMBERSHIPS = {
    "A": {"member": "member", "admin": "admin", "owner": "owner", "both": "owner"},
    "B": {"other_owner": "owner", "both": "member"},
}

# Select, insert, update, delete: what happens to the rows of organisation A, a slash, what happens
# to those of B; written once where it is the same.
#   riud  done with all rows   s  with some   c  certain columns only   .  no row   -  refused
MATRIX = """
                      no_claims member    admin     owner     other_owner both      webhook sign_in
organizations         .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      ----    ----
org_members           .---      s---/.--- s---/.--- s---/.--- .---/s---   s---      ----    ----
channel_connections   .-..      .-..      riud/.-.. riud/.-.. .-../riud   riud/.-.. c---    ----
contacts              .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      riu-    ----
contact_identities    .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      ri--    ----
conversation_threads  .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      riu-    ----
conversation_messages .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      riu-    ----
state_changes         ----      ----      ----      ----      ----        ----      riu-    ----
deals                 .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      riu-    ----
deal_insights         .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      riu-    ----
event_log             .---      r---/.--- r---/.--- r---/.--- .---/r---   r---      -i--    ----
failed_messages       ----      ----      ----      ----      ----        ----      riu-    ----
unmatched_messages    ----      ----      ----      ----      ----        ----      riu-    ----
ended_sessions        ----      ----      ----      ----      ----        ----      ----    ri--
auth.users            ----      ----      ----      ----      ----        ----      ----    c---
"""
# Moving a connection into the other organisation: m moved, . no row, - refused.
MOVES = """
                      no_claims member    admin     owner     other_owner both      webhook sign_in
channel_connections   .         .         -         -         -           -         -       -
"""


def _parse_matrix(table: str) -> dict[str, dict[str, str]]:
    """Return the expected cells by actor and table."""
    (*actors,), *lines = [line.split() for line in table.strip().splitlines()]
    return {
        actor: {name: cells[column] for name, *cells in lines}
        for column, actor in enumerate(actors)
    }


EXPECTED = _parse_matrix(MATRIX)
EXPECTED_MOVES = {
    actor: moves["channel_connections"] for actor, moves in _parse_matrix(MOVES).items()
}

PRIVILEGES = {
    *(("authenticated", privilege) for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    *(("leadport_ingest", privilege) for privilege in ("SELECT", "INSERT", "UPDATE")),
    *(("leadport_auth", privilege) for privilege in ("SELECT", "INSERT")),
}
"""Every kind of privilege that a role of the service has on any table or column in `public`."""

MIGRATION_TABLE_PRIVILEGES = {(role, "SELECT") for role in SERVICE_ROLES}


@dataclass
class OrganizationRows:
    """The ids of an organisation's rows by table, and a further row that each table would take."""

    name: str
    id: UUID = field(default_factory=uuid4)
    ids: dict[str, set[UUID]] = field(default_factory=lambda: {table: set() for table in TABLES})
    offered: dict[str, Row] = field(default_factory=dict)


@dataclass
class RlsFixture:
    """Rows of two organisations, added as the owner of `db` in its open transaction."""

    db: Db
    people: dict[str, UUID] = field(default_factory=dict)
    a: OrganizationRows = field(default_factory=lambda: OrganizationRows("A"))
    b: OrganizationRows = field(default_factory=lambda: OrganizationRows("B"))

    def __post_init__(self) -> None:
        actors = sorted({actor for members in MEMBERSHIPS.values() for actor in members})
        self.people = {
            actor: insert_row(self.db, "auth.users", **_make_user_row(actor)) for actor in actors
        }
        self._fill(self.a, owner="owner")
        self._fill(self.b, owner="other_owner")
        self.db.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def _fill(self, org: OrganizationRows, owner: str) -> None:
        def insert(table: str, **row: object) -> UUID:
            id_ = insert_row(self.db, table, **row)
            org.ids[table].add(id_)
            return id_

        insert("organizations", id=org.id, name=org.name)
        org.ids["auth.users"] = {self.people[owner]}
        for actor, role in MEMBERSHIPS[org.name].items():
            insert("org_members", org_id=org.id, user_id=self.people[actor], role=role)
        contact = insert("contacts", org_id=org.id)
        contact_without_deal = insert("contacts", org_id=org.id)
        thread = insert(
            "conversation_threads", org_id=org.id, contact_id=contact, channel="instagram"
        )
        deal = insert("deals", org_id=org.id, contact_id=contact, title="cake")
        won = insert("deals", org_id=org.id, contact_id=contact, title="bread", status="won")
        for table, row in _make_rows(contact, deal, thread).items():
            insert(table, org_id=org.id, **row)
        insert("ended_sessions", expires_at=NOON)
        insert("unmatched_messages", **_make_unmatched_row())

        person = insert_row(self.db, "auth.users", **_make_user_row("person"))
        org.offered = {
            "organizations": {"name": "C"},
            "org_members": {"org_id": org.id, "user_id": person, "role": "owner"},
            "contacts": {"org_id": org.id},
            "deals": {"org_id": org.id, "contact_id": contact_without_deal, "title": "tart"},
            "ended_sessions": {"expires_at": NOON},
            "unmatched_messages": _make_unmatched_row(),
            "auth.users": _make_user_row("offered"),
        }
        for table, row in _make_rows(contact_without_deal, won, thread).items():
            org.offered[table] = {"org_id": org.id, **row}

    @contextmanager
    def act_as(self, actor: str) -> Iterator[Db]:
        """Act as the actor until the block ends; then roll everything in it back."""
        with self.db.transaction(force_rollback=True):
            act_as(self.db, ROLES[actor], self.people.get(actor))
            yield self.db

    def try_permissions(self, actor: str, tables: Mapping[str, str] = TABLES) -> dict[str, str]:
        """Try what the actor may do in each table; return cells of the matrix."""
        return {table: self._try_table(actor, table, column) for table, column in tables.items()}

    def _try_table(self, actor: str, table: str, column: str) -> str:
        letter, selected = self._select(actor, table)
        updated = self._update(actor, table, column)
        deleted = self._delete(actor, table)
        a, b = (
            _format_share(letter, selected, org.ids[table])
            + ("i" if self._insert(actor, table, org.offered[table]) else "-")
            + _format_share("u", updated, org.ids[table])
            + _format_share("d", deleted, org.ids[table])
            for org in (self.a, self.b)
        )
        return a if a == b else f"{a}/{b}"

    def _select(self, actor: str, table: str) -> tuple[str, set[UUID] | None]:
        # The planner may drop the inner columns, but their privileges are checked.
        for letter, rows in {"r": f"(SELECT * FROM {table}) AS rows", "c": table}.items():
            try:
                with self.act_as(actor) as db:
                    return letter, _select_ids(db, f"SELECT id FROM {rows}")
            except InsufficientPrivilege:
                continue
        return "-", None

    def _insert(self, actor: str, table: str, row: Row) -> bool:
        try:
            with self.act_as(actor) as db:
                insert_row(db, table, **row)
                return True
        except InsufficientPrivilege:
            return False

    # Neither statement has a condition, so a missing privilege to read does not stop it.

    def _update(self, actor: str, table: str, column: str) -> set[UUID] | None:
        try:
            with self.act_as(actor) as db:
                db.execute(f"UPDATE {table} SET {column} = '{MARK}'")
                db.execute("SET LOCAL ROLE NONE")
                return _select_ids(db, f"SELECT id FROM {table} WHERE {column} = '{MARK}'")
        except InsufficientPrivilege:
            return None

    def _delete(self, actor: str, table: str) -> set[UUID] | None:
        try:
            with self.act_as(actor) as db:
                db.execute(f"DELETE FROM {table}")
                db.execute("SET LOCAL ROLE NONE")
                remaining = _select_ids(db, f"SELECT id FROM {table}")
        except InsufficientPrivilege:
            return None
        return (self.a.ids[table] | self.b.ids[table]) - remaining

    def try_move(self, actor: str) -> str:
        """Try to move every connection into the other organisation; return `m`, `.` or `-`."""
        target = self.a if actor == "other_owner" else self.b
        try:
            with self.act_as(actor) as db:
                moved = db.execute("UPDATE channel_connections SET org_id = %s", [target.id])
                return "m" if moved.rowcount else "."
        except InsufficientPrivilege:
            return "-"


def _format_share(letter: str, reached: set[UUID] | None, rows: set[UUID]) -> str:
    if reached is None:
        return "-"
    if not reached & rows:
        return "."
    return letter if reached >= rows else "s"


def _make_rows(contact: UUID, deal: UUID, thread: UUID) -> dict[str, Row]:
    """Make a row for each table whose rows hang on a contact, a deal or a thread."""
    return {
        "channel_connections": {"channel": "whatsapp", "external_id": uuid4().hex},
        "contact_identities": {
            "contact_id": contact,
            "kind": "whatsapp_user",
            "value": uuid4().hex,
        },
        "conversation_threads": {"contact_id": contact, "channel": "whatsapp"},
        "conversation_messages": {
            "thread_id": thread,
            "channel": "whatsapp",
            "external_id": uuid4().hex,
            "direction": "inbound",
            "kind": "text",
            "body": "hola",
            "sent_at": NOON,
        },
        "state_changes": {
            "channel": "whatsapp",
            "external_id": uuid4().hex,
            "kind": "edit",
            "subject": uuid4().hex,
            "sent_at": NOON,
            "is_waiting": True,
        },
        "deal_insights": {
            "deal_id": deal,
            "summary": "wants a cake",
            "intent": "purchase",
            "score": 80,
            "next_step": "call",
            "provider": "dummy",
        },
        "event_log": {"type": "lead_captured"},
        "failed_messages": {"error": "DiskFull"},
    }


def _make_unmatched_row() -> Row:
    times = {"first_at": NOON, "last_at": NOON}
    return {"channel": "whatsapp", "external_id": uuid4().hex, "count": 1, **times}


def _make_user_row(name: str) -> dict[str, str]:
    return {"email": f"{name}-{uuid4().hex}@example.com", "encrypted_password": "$argon2id$"}


def act_as(db: Db, role: str, person: UUID | None = None) -> None:
    """Act as role and person until the transaction ends, as the service's transactions do."""
    claims = "" if person is None else json.dumps({"sub": str(person), "role": role})
    db.execute(f"SET LOCAL ROLE {role}")
    db.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])


def insert_row(db: Db, table: str, **row: object) -> UUID:
    """Insert the row; return its id, which is made where the row has none."""
    row = {"id": uuid4(), **row}
    names, places = ", ".join(row), ", ".join(["%s"] * len(row))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))
    id_ = row["id"]
    assert isinstance(id_, UUID)
    return id_


def read_identity(db: Db) -> tuple[str, str | None]:
    """Return the current role, and the person of the claims."""
    row = db.execute(
        "SELECT current_user::text,"
        " nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def list_privileges(db: Db, condition: str = "true") -> set[tuple[str, str]]:
    """Return role and kind of each privilege on a table of `public`, or on a column of one.

    The owner's privileges are left out.
    """
    rows = db.execute(
        "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END,"
        " privilege_type FROM (SELECT relname, relowner, relacl AS acl FROM pg_class"
        "   WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
        "  UNION ALL SELECT relname, relowner, attacl FROM pg_class JOIN pg_attribute"
        "   ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace"
        f" ) AS relations, aclexplode(acl) WHERE grantee <> relowner AND {condition}"
    )
    return {(role, privilege) for role, privilege in rows}


def _select_ids(db: Db, query: str) -> set[UUID]:
    return {id_ for (id_,) in db.execute(query)}
