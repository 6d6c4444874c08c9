"""Reads everything that a delivery may touch, in one statement.

This module and `MemoryIngestSnapshotReader` hold the lookup rules of `IngestSnapshotReader`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from application.ports.storage import IngestSnapshotReader
from domain.change import ChangeRecord, ChangeTarget
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.contact import Contact, ContactId, ContactKey, IdentityKey, IdentityKind, IdentityMatch
from domain.deal import Deal, OpenDeal
from domain.message import Message, MessageKey, Thread
from domain.organization import OrgId
from domain.planning.snapshot import IngestSnapshot, SnapshotRequest
from infrastructure.postgres.batches import encode_rows
from infrastructure.postgres.session import (
    PostgresSession,
    RawStatement,
    make_commit_wait_for_standbys,
)
from infrastructure.postgres.state_changes import LOCK_INGEST_SHARED

# The result is one row of JSON texts, which msgspec decodes into entities. $1 are the addresses,
# $2 the identities of people, $3 the messages. Every table is read by LATERAL (… OFFSET 0), which
# makes the planner look each key up: a plan made for a small table would read all of it (D67).
READ_SNAPSHOT = """
WITH
connections AS MATERIALIZED (
    SELECT k.*
    FROM json_to_recordset($1::json) AS a (channel text, external_id text)
    CROSS JOIN LATERAL (
        SELECT k.id, k.org_id, k.channel, k.external_id FROM channel_connections AS k
        WHERE k.provider = 'meta' AND k.channel = a.channel AND k.external_id = a.external_id
            AND k.is_enabled
        OFFSET 0
    ) AS k
),
messages AS MATERIALIZED (
    SELECT k.org_id, k.channel, m.id, m.thread
    FROM json_to_recordset($3::json)
        AS m (channel text, number text, id text, thread text)
    JOIN connections AS k ON k.channel = m.channel AND k.external_id = m.number
),
people AS MATERIALIZED (
    SELECT DISTINCT k.org_id, k.channel, p.kind, p.value
    FROM json_to_recordset($2::json)
        AS p (channel text, number text, kind text, value text)
    JOIN connections AS k ON k.channel = p.channel AND k.external_id = p.number
),
stored AS (
    SELECT m.*
    FROM messages AS a
    CROSS JOIN LATERAL (
        SELECT m.org_id, m.channel, m.external_id FROM conversation_messages AS m
        WHERE m.org_id = a.org_id AND m.channel = a.channel AND m.external_id = a.id
        OFFSET 0
    ) AS m
),
pending AS (
    SELECT s.*
    FROM (
        SELECT org_id, channel, id AS subject FROM messages
        UNION -- not ALL: a delivery may hold a message twice, and a change applies once
        SELECT org_id, channel, kind || ':' || value FROM people
    ) AS a
    CROSS JOIN LATERAL (
        SELECT * FROM state_changes AS s
        WHERE s.org_id = a.org_id AND s.channel = a.channel AND s.subject = a.subject
            AND s.is_waiting
        OFFSET 0
    ) AS s
),
matches AS MATERIALIZED (
    SELECT p.kind, p.value, i.contact_id IS NOT NULL AS is_linked, c AS contact,
        c.org_id, c.id AS contact_id,
        CASE WHEN i.contact_id IS NOT NULL AND p.kind = 'whatsapp_phone'
            AND c.phone IS DISTINCT FROM p.value
        THEN (
            SELECT h.id FROM contacts AS h
            WHERE h.org_id = p.org_id AND h.phone IN (p.value, '+' || p.value) AND h.id <> c.id
            LIMIT 1
        ) END AS phone_holder_id
    FROM people AS p
    LEFT JOIN LATERAL (
        SELECT i.org_id, i.contact_id FROM contact_identities AS i
        WHERE i.org_id = p.org_id AND i.kind = p.kind AND i.value = p.value
        OFFSET 0
    ) AS i ON true
    CROSS JOIN LATERAL (
        SELECT * FROM contacts AS c WHERE c.org_id = i.org_id AND c.id = i.contact_id
        UNION ALL
        SELECT * FROM contacts AS c
        WHERE i.contact_id IS NULL AND p.kind = 'whatsapp_phone'
            AND c.org_id = p.org_id AND c.phone IN (p.value, '+' || p.value)
        OFFSET 0
    ) AS c
),
threads AS MATERIALIZED (
    SELECT t.*
    FROM (SELECT DISTINCT org_id, thread FROM messages) AS m
    CROSS JOIN LATERAL (
        SELECT * FROM conversation_threads AS t
        WHERE t.org_id = m.org_id AND t.external_id = m.thread
        OFFSET 0
    ) AS t
    UNION
    SELECT t.*
    FROM (SELECT DISTINCT org_id, contact_id FROM matches) AS o
    CROSS JOIN LATERAL (
        SELECT * FROM conversation_threads AS t
        WHERE t.org_id = o.org_id AND t.contact_id = o.contact_id
        OFFSET 0
    ) AS t
),
deals AS (
    SELECT d AS deal, m AS first_message
    FROM (
        SELECT org_id, contact_id FROM matches UNION SELECT org_id, contact_id FROM threads
    ) AS o
    CROSS JOIN LATERAL (
        SELECT * FROM deals AS d
        WHERE d.org_id = o.org_id AND d.contact_id = o.contact_id AND d.status = 'open'
        OFFSET 0
    ) AS d
    LEFT JOIN LATERAL (
        SELECT * FROM conversation_messages AS m
        WHERE m.org_id = d.org_id AND m.id = d.message_id
        OFFSET 0
    ) AS m ON true
)
SELECT
    (SELECT coalesce(json_agg(c), '[]') FROM connections AS c)::text,
    (SELECT coalesce(json_agg(s), '[]') FROM stored AS s)::text,
    (SELECT coalesce(json_agg(p), '[]') FROM pending AS p)::text,
    (SELECT coalesce(json_agg(m), '[]') FROM matches AS m)::text,
    (SELECT coalesce(json_agg(t), '[]') FROM threads AS t)::text,
    (SELECT coalesce(json_agg(d), '[]') FROM deals AS d)::text
"""


class _StoredKey(msgspec.Struct):
    org_id: OrgId
    channel: Channel
    external_id: str


class _ConnectionRow(_StoredKey):
    id: ConnectionId


class _Match(msgspec.Struct):
    kind: IdentityKind
    value: str
    is_linked: bool
    contact: Contact
    phone_holder_id: ContactId | None


class _OpenDealRow(msgspec.Struct):
    deal: Deal
    first_message: Message | None


CONNECTIONS_DECODER = msgspec.json.Decoder(list[_ConnectionRow])
STORED_KEYS_DECODER = msgspec.json.Decoder(list[_StoredKey])
PENDING_DECODER = msgspec.json.Decoder(list[ChangeRecord])
MATCHES_DECODER = msgspec.json.Decoder(list[_Match])
THREADS_DECODER = msgspec.json.Decoder(list[Thread])
OPEN_DEALS_DECODER = msgspec.json.Decoder(list[_OpenDealRow])


@dataclass(frozen=True, slots=True)
class PostgresIngestSnapshotReader(IngestSnapshotReader):
    """All tables that a delivery may touch."""

    session: PostgresSession

    async def read(self, request: SnapshotRequest) -> IngestSnapshot:
        # Two statements: one would read what was stored before it got the lock (D11).
        result = await self.session.run_pipelined(
            LOCK_INGEST_SHARED, RawStatement(READ_SNAPSHOT, _encode_request(request))
        )
        connections, stored, pending, matches, threads, deals = (await result.fetchall())[0]
        snapshot = IngestSnapshot(
            connections={
                Address(c.channel, c.external_id): Connection(
                    id=c.id, org_id=c.org_id, channel=c.channel, external_id=c.external_id
                )
                for c in CONNECTIONS_DECODER.decode(connections)
            },
            stored_keys={
                MessageKey(k.org_id, k.channel, k.external_id)
                for k in STORED_KEYS_DECODER.decode(stored)
            },
            pending=_group_by_target(PENDING_DECODER.decode(pending)),
            matches={
                IdentityKey(m.contact.org_id, m.kind, m.value): IdentityMatch(
                    m.contact, m.is_linked, m.phone_holder_id
                )
                for m in MATCHES_DECODER.decode(matches)
            },
            threads=THREADS_DECODER.decode(threads),
            open_deals={
                ContactKey(d.deal.org_id, d.deal.contact_id): OpenDeal(d.deal, d.first_message)
                for d in OPEN_DEALS_DECODER.decode(deals)
            },
        )
        if snapshot.stored_keys:
            await make_commit_wait_for_standbys(self.session)
        return snapshot


def _encode_request(request: SnapshotRequest) -> list[str]:
    return [
        encode_rows(request.addresses, ["channel", "external_id"]),
        encode_rows(
            ((*address, *identity) for address, identity in request.participants),
            ["channel", "number", "kind", "value"],
        ),
        encode_rows(
            ((*address, id_, thread_id) for address, id_, thread_id in request.messages),
            ["channel", "number", "id", "thread"],
        ),
    ]


def _group_by_target(changes: Iterable[ChangeRecord]) -> dict[ChangeTarget, list[ChangeRecord]]:
    grouped: dict[ChangeTarget, list[ChangeRecord]] = {}
    for change in changes:
        grouped.setdefault(change.target, []).append(change)
    return grouped
