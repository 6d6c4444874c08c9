"""Two organisations with a row in every table, and what each role manages to do to them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.errors import InsufficientPrivilege

Db = psycopg.Connection[tuple[Any, ...]]
Row = Mapping[str, object]

NOON = "2026-11-22T12:00Z"
MARK = "20991231"  # as a text, as a time and as JSON

# Every table, and a column to change in it.
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

# Who acts as which role.
ROLES = {
    "nobody": "authenticated",  # without claims
    "member": "authenticated",
    "admin": "authenticated",
    "owner": "authenticated",
    "elsewhere": "authenticated",  # owner of organisation B
    "both": "authenticated",  # owner of A and member of B
    "webhook": "leadport_ingest",
    "sign_in": "leadport_auth",
    "anon": "anon",  # Supabase's, for those who did not sign in
}
MEMBERSHIPS = {
    "A": {"member": "member", "admin": "admin", "owner": "owner", "both": "owner"},
    "B": {"elsewhere": "owner", "both": "member"},
}


@dataclass
class Organization:
    """Its rows' ids by table, and a row for each table that would fit in."""

    name: str
    id: UUID = field(default_factory=uuid4)
    ids: dict[str, set[UUID]] = field(default_factory=lambda: {table: set() for table in TABLES})
    offered: dict[str, Row] = field(default_factory=dict)


@dataclass
class RlsFixture:
    """What was written to `db`, as its owner, in the transaction that is open there."""

    db: Db
    people: dict[str, UUID] = field(default_factory=dict)
    a: Organization = field(default_factory=lambda: Organization("A"))
    b: Organization = field(default_factory=lambda: Organization("B"))

    def __post_init__(self) -> None:
        everybody = sorted({who for members in MEMBERSHIPS.values() for who in members})
        self.people = {who: add(self.db, "auth.users", **a_user(who)) for who in everybody}
        self._fill(self.a, owner="owner")
        self._fill(self.b, owner="elsewhere")
        self.db.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def _fill(self, org: Organization, owner: str) -> None:
        def rows(contact: UUID, deal: UUID, thread: UUID) -> dict[str, Row]:
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

        def keep(table: str, **row: object) -> UUID:
            added = add(self.db, table, **row)
            org.ids[table].add(added)
            return added

        keep("organizations", id=org.id, name=org.name)
        org.ids["auth.users"] = {self.people[owner]}
        for who, role in MEMBERSHIPS[org.name].items():
            keep("org_members", org_id=org.id, user_id=self.people[who], role=role)
        contact = keep("contacts", org_id=org.id)
        newcomer = keep("contacts", org_id=org.id)
        thread = keep(
            "conversation_threads", org_id=org.id, contact_id=contact, channel="instagram"
        )
        deal = keep("deals", org_id=org.id, contact_id=contact, title="cake")
        won = keep("deals", org_id=org.id, contact_id=contact, title="bread", status="won")
        for table, row in rows(contact, deal, thread).items():
            keep(table, org_id=org.id, **row)
        keep("ended_sessions", expires_at=NOON)
        keep("unmatched_messages", **a_number())

        stranger = add(self.db, "auth.users", **a_user("stranger"))
        org.offered = {
            "organizations": {"name": "C"},
            "org_members": {"org_id": org.id, "user_id": stranger, "role": "owner"},
            "contacts": {"org_id": org.id},
            "deals": {"org_id": org.id, "contact_id": newcomer, "title": "tart"},
            "ended_sessions": {"expires_at": NOON},
            "unmatched_messages": a_number(),
            "auth.users": a_user("newcomer"),
        }
        for table, row in rows(newcomer, won, thread).items():
            org.offered[table] = {"org_id": org.id, **row}

    @contextmanager
    def acting(self, who: str) -> Iterator[Db]:
        """As that role and person, until a savepoint takes everything back."""
        with self.db.transaction(force_rollback=True):
            act_as(self.db, ROLES[who], self.people.get(who))
            yield self.db

    def permissions(self, who: str, tables: Mapping[str, str] = TABLES) -> dict[str, str]:
        """What they manage to do in each table: `riud` to A's rows, a slash, `riud` to B's.

        The command's letter stands for all of that organisation's rows, `c` for a select that gets certain columns only, `s` for some of the rows, `.` for none of
        them, `-` for a refusal. Only one half is written where both are the same.
        """
        return {table: self._cell(who, table, column) for table, column in tables.items()}

    def _cell(self, who: str, table: str, column: str) -> str:
        letter, seen = self._select(who, table)
        updated = self._update(who, table, column)
        deleted = self._delete(who, table)
        a, b = (
            share(letter, seen, org.ids[table])
            + ("i" if self._insert(who, table, org.offered[table]) else "-")
            + share("u", updated, org.ids[table])
            + share("d", deleted, org.ids[table])
            for org in (self.a, self.b)
        )
        return a if a == b else f"{a}/{b}"

    def _select(self, who: str, table: str) -> tuple[str, set[UUID] | None]:
        # The planner may drop the inner columns, but the rights to them are asked for.
        for letter, rows in {"r": f"(SELECT * FROM {table}) AS rows", "c": table}.items():
            try:
                with self.acting(who) as db:
                    return letter, ids(db, f"SELECT id FROM {rows}")
            except InsufficientPrivilege:
                continue
        return "-", None

    def _insert(self, who: str, table: str, row: Row) -> bool:
        try:
            with self.acting(who) as db:
                add(db, table, **row)
                return True
        except InsufficientPrivilege:
            return False

    # Neither has a condition, so what stops it is not the right to read.

    def _update(self, who: str, table: str, column: str) -> set[UUID] | None:
        try:
            with self.acting(who) as db:
                db.execute(f"UPDATE {table} SET {column} = '{MARK}'")
                db.execute("SET LOCAL ROLE NONE")
                return ids(db, f"SELECT id FROM {table} WHERE {column} = '{MARK}'")
        except InsufficientPrivilege:
            return None

    def _delete(self, who: str, table: str) -> set[UUID] | None:
        try:
            with self.acting(who) as db:
                db.execute(f"DELETE FROM {table}")
                db.execute("SET LOCAL ROLE NONE")
                left = ids(db, f"SELECT id FROM {table}")
        except InsufficientPrivilege:
            return None
        return (self.a.ids[table] | self.b.ids[table]) - left

    def moves(self, who: str) -> str:
        """Put every connection one may change into the other organisation: `m`, `.` or `-`."""
        target = self.a if who == "elsewhere" else self.b
        try:
            with self.acting(who) as db:
                moved = db.execute("UPDATE channel_connections SET org_id = %s", [target.id])
                return "m" if moved.rowcount else "."
        except InsufficientPrivilege:
            return "-"


def share(letter: str, reached: set[UUID] | None, wanted: set[UUID]) -> str:
    if reached is None:
        return "-"
    if not reached & wanted:
        return "."
    return letter if reached >= wanted else "s"


def act_as(db: Db, role: str, person: UUID | None = None) -> None:
    """Until the transaction ends, as Leadport's own transactions do it."""
    claims = "" if person is None else json.dumps({"sub": str(person), "role": role})
    db.execute(f"SET LOCAL ROLE {role}")
    db.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])


def ids(db: Db, query: str) -> set[UUID]:
    return {found for (found,) in db.execute(query)}


def add(db: Db, table: str, **row: object) -> UUID:
    row = {"id": uuid4(), **row}
    names, places = ", ".join(row), ", ".join(["%s"] * len(row))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))
    added = row["id"]
    assert isinstance(added, UUID)
    return added


def a_number() -> Row:
    times = {"first_at": NOON, "last_at": NOON}
    return {"channel": "whatsapp", "external_id": uuid4().hex, "count": 1, **times}


def a_user(name: str) -> dict[str, str]:
    return {"email": f"{name}-{uuid4().hex}@example.com", "encrypted_password": "$argon2id$"}
