"""The plan of the ingest snapshot reads no table whole, whatever the statistics of the tables."""

import pytest

from infrastructure.postgres.ingest_snapshot import READ_SNAPSHOT
from infrastructure.postgres.pools import INGEST_CONNECTION_SETTINGS, INGEST_ROLE
from tests.support.query_plans import PlanNode, walk_plan
from tests.support.rls_fixtures import Db

SNAPSHOT_TABLES = {
    "channel_connections",
    "contact_identities",
    "contacts",
    "conversation_messages",
    "conversation_threads",
    "deals",
    "state_changes",
}
"""The tables that the snapshot reads."""

MANY_ROWS = 20_000

# The tables are as if new: without statistics, and with pages for these rows only. Foreign keys
# are not checked.
FILL = """
TRUNCATE organizations, auth.users CASCADE;
SET LOCAL session_replication_role = replica;
CREATE TEMPORARY TABLE numbers ON COMMIT DROP AS
    SELECT n, gen_random_uuid() AS id, md5((n / 2000)::text)::uuid AS org_id
    FROM generate_series(1, {rows}) AS n;
INSERT INTO channel_connections (org_id, id, channel, external_id)
    SELECT org_id, id, 'whatsapp', n FROM numbers;
INSERT INTO contacts (org_id, id, phone)
    SELECT org_id, id, n FROM numbers;
INSERT INTO contact_identities (org_id, id, contact_id, kind, value)
    SELECT org_id, id, id, 'whatsapp_phone', n FROM numbers;
INSERT INTO conversation_threads (org_id, id, contact_id, connection_id, channel, external_id)
    SELECT org_id, id, id, id, 'whatsapp', n FROM numbers;
INSERT INTO conversation_messages
    (org_id, id, thread_id, channel, external_id, direction, kind, body, sent_at)
    SELECT org_id, id, id, 'whatsapp', n, 'inbound', 'text', 'hola', now() FROM numbers;
INSERT INTO deals (org_id, id, contact_id, title, message_id)
    SELECT org_id, id, id, 'hola', id FROM numbers;
INSERT INTO state_changes
    (org_id, id, channel, external_id, kind, subject, sent_at, is_waiting)
    SELECT org_id, id, 'whatsapp', n, 'edit', 'message ' || n, now(), n % 10 = 0 FROM numbers;
"""


def fill_tables(db: Db, rows: int, statistics: str = "current") -> None:
    """Fill every table of the snapshot with so many rows; `statistics` are current or missing."""
    db.execute(FILL.format(rows=rows))
    if statistics == "current":
        db.execute("ANALYZE")


def explain_snapshot(
    db: Db, statement: str = READ_SNAPSHOT, settings: str = INGEST_CONNECTION_SETTINGS.statements
) -> list[PlanNode]:
    """Return the scans of tables in the statement's plan, made as the webhook writer."""
    db.execute(settings)
    db.execute(f"SET LOCAL ROLE {INGEST_ROLE}")
    db.execute(f"PREPARE snapshot AS {statement}")
    row = db.execute("EXPLAIN (FORMAT JSON) EXECUTE snapshot ('[]', '[]', '[]')").fetchone()
    assert row is not None
    scans = [node for node in walk_plan(row[0][0]["Plan"]) if "Relation Name" in node]
    assert {scan["Relation Name"] for scan in scans} == SNAPSHOT_TABLES
    return scans


def list_tables_read_whole(scans: list[PlanNode]) -> set[str]:
    """Return the tables with a sequential scan, or with an index scan that reads every entry."""
    return {
        scan["Relation Name"]
        for scan in scans
        if "Index Cond" not in scan and scan["Node Type"] != "Bitmap Heap Scan"
    }


@pytest.mark.parametrize("statistics", ["missing", "current"])
@pytest.mark.parametrize("rows", [0, 1, MANY_ROWS])
def test_snapshot_reads_no_table_whole(db: Db, rows: int, statistics: str) -> None:
    fill_tables(db, rows, statistics)

    assert list_tables_read_whole(explain_snapshot(db)) == set()


def test_snapshot_looks_up_by_the_whole_key_in_large_analyzed_tables(db: Db) -> None:
    """While a table is nearly empty, the planner may use any index that begins with org_id."""
    fill_tables(db, MANY_ROWS)

    conditions = [scan["Index Cond"] for scan in explain_snapshot(db)]

    assert [condition for condition in conditions if " AND " not in condition] == []


@pytest.mark.parametrize(
    ("statement", "settings"),
    [
        (READ_SNAPSHOT, "SET plan_cache_mode = force_generic_plan"),
        (READ_SNAPSHOT.replace("OFFSET 0", ""), INGEST_CONNECTION_SETTINGS.statements),
    ],
    ids=["without the settings", "without OFFSET 0"],
)
def test_nearly_empty_tables_would_be_read_whole(db: Db, statement: str, settings: str) -> None:
    """So the settings of the pool and each OFFSET 0 are needed, and their lack is detected."""
    fill_tables(db, 1)

    assert len(list_tables_read_whole(explain_snapshot(db, statement, settings))) >= 5
