"""Reads everything that a batch of messages may touch, in one statement."""

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from application.ports.storage import IngestSnapshotReader
from domain.change import ChangeRecord, ChangeTarget
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.contact import Contact, ContactKey, IdentityKey, IdentityKind, IdentityMatch
from domain.deal import Deal, OpenDeal
from domain.inbound import InboundMessage
from domain.message import Message, MessageKey, Thread
from domain.organization import OrgId
from domain.planning.message_plan import IngestSnapshot
from infrastructure.postgres.batches import key_rows, recordset
from infrastructure.postgres.session import PostgresSession, Statement, wait_for_standbys
from infrastructure.postgres.state_changes import SHARE

# One row of JSON texts, each read into entities without a detour. Every table is asked key by key:
# OFFSET 0 keeps the planner from reading a table whole that was small when it last looked. A
# contact's own phone counts only where nobody has it as an identity.
FIND = """
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
known AS (
    SELECT m.*
    FROM messages AS a
    CROSS JOIN LATERAL (
        SELECT m.org_id, m.channel, m.external_id FROM conversation_messages AS m
        WHERE m.org_id = a.org_id AND m.channel = a.channel AND m.external_id = a.id
        OFFSET 0
    ) AS m
),
waiting AS (
    SELECT s.*
    FROM (
        SELECT org_id, channel, id AS subject FROM messages
        UNION ALL
        SELECT org_id, channel, kind || ':' || value FROM people
    ) AS a
    CROSS JOIN LATERAL (
        SELECT * FROM state_changes AS s
        WHERE s.org_id = a.org_id AND s.channel = a.channel AND s.subject = a.subject
            AND s.is_waiting
        OFFSET 0
    ) AS s
),
owners AS MATERIALIZED (
    SELECT p.kind, p.value, i.contact_id IS NOT NULL AS is_linked, c AS contact,
        c.org_id, c.id AS contact_id
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
    FROM (SELECT DISTINCT org_id, contact_id FROM owners) AS o
    CROSS JOIN LATERAL (
        SELECT * FROM conversation_threads AS t
        WHERE t.org_id = o.org_id AND t.contact_id = o.contact_id
        OFFSET 0
    ) AS t
),
deals AS (
    SELECT d AS deal, m AS first
    FROM (
        SELECT org_id, contact_id FROM owners UNION SELECT org_id, contact_id FROM threads
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
    (SELECT coalesce(json_agg(k), '[]') FROM known AS k)::text,
    (SELECT coalesce(json_agg(w), '[]') FROM waiting AS w)::text,
    (SELECT coalesce(json_agg(o), '[]') FROM owners AS o)::text,
    (SELECT coalesce(json_agg(t), '[]') FROM threads AS t)::text,
    (SELECT coalesce(json_agg(d), '[]') FROM deals AS d)::text
"""


class _Key(msgspec.Struct):
    org_id: OrgId
    channel: Channel
    external_id: str


class _Number(_Key):
    id: ConnectionId


class _Owner(msgspec.Struct):
    kind: IdentityKind
    value: str
    is_linked: bool
    contact: Contact


class _Deal(msgspec.Struct):
    deal: Deal
    first: Message | None


NUMBERS = msgspec.json.Decoder(list[_Number])
KEYS = msgspec.json.Decoder(list[_Key])
CHANGES = msgspec.json.Decoder(list[ChangeRecord])
OWNERS = msgspec.json.Decoder(list[_Owner])
THREADS = msgspec.json.Decoder(list[Thread])
DEALS = msgspec.json.Decoder(list[_Deal])


@dataclass(frozen=True, slots=True)
class PostgresIngestSnapshotReader(IngestSnapshotReader):
    """All tables that a message may touch."""

    db: PostgresSession

    async def read(self, messages: Collection[InboundMessage]) -> IngestSnapshot:
        # Not in one statement: it would read what was there before it got the lock.
        found = await self.db.run_pipelined(SHARE, Statement(FIND, _wanted(messages)))
        connections, known, waiting, owners, threads, deals = (await found.fetchall())[0]
        result = IngestSnapshot(
            connections={
                Address(n.channel, n.external_id): Connection(
                    id=n.id, org_id=n.org_id, channel=n.channel, external_id=n.external_id
                )
                for n in NUMBERS.decode(connections)
            },
            known={MessageKey(k.org_id, k.channel, k.external_id) for k in KEYS.decode(known)},
            waiting=_by_subject(CHANGES.decode(waiting)),
            owners={
                IdentityKey(o.contact.org_id, o.kind, o.value): IdentityMatch(
                    o.contact, o.is_linked
                )
                for o in OWNERS.decode(owners)
            },
            threads=THREADS.decode(threads),
            deals={
                ContactKey(d.deal.org_id, d.deal.contact_id): OpenDeal(d.deal, d.first)
                for d in DEALS.decode(deals)
            },
        )
        if result.known:
            await wait_for_standbys(self.db)
        return result


def _wanted(messages: Collection[InboundMessage]) -> list[str]:
    addresses = {message.address for message in messages}
    people = {
        (*message.address, *identity)
        for message in messages
        for identity in message.sender.identities
    }
    return [
        key_rows(addresses, Address._fields),
        key_rows(people, ["channel", "number", "kind", "value"]),
        recordset(
            {
                "channel": message.address.channel,
                "number": message.address.external_id,
                "id": message.external_id,
                "thread": message.thread_external_id,
            }
            for message in messages
        ),
    ]


def _by_subject(changes: list[ChangeRecord]) -> dict[ChangeTarget, list[ChangeRecord]]:
    found: dict[ChangeTarget, list[ChangeRecord]] = {}
    for change in changes:
        found.setdefault(change.target, []).append(change)
    return found
