"""The floor: PostgreSQL's time for the same rows, written by one statement per table."""

import asyncio
import time
from collections.abc import Sequence

import psycopg

from benchmarks.workload import (
    Workload,
    make_connection_id,
    make_external_id,
)
from infrastructure.insights.dummy import DummyInsights
from interfaces.meta.samples import MAX_MESSAGES_PER_DELIVERY, Sample

CREATE_BATCH = """
CREATE TEMP TABLE batch (
    org_id uuid, number text, phone text, name text, external_id text, sent_at timestamptz,
    body text, summary text, intent text, score smallint, next_step text
)
"""
COPY_BATCH = """
COPY batch FROM STDIN
"""
WRITE_BATCH = """
CREATE TEMP TABLE decided ON COMMIT DROP AS
    SELECT batch.*, uuidv7() AS message_id, coalesce(i.contact_id, uuidv7()) AS contact_id,
        coalesce(t.id, uuidv7()) AS thread_id, coalesce(d.id, uuidv7()) AS deal_id,
        i.contact_id IS NULL AS is_new
    FROM batch
    LEFT JOIN contact_identities AS i
        ON (i.org_id, i.kind, i.value) = (batch.org_id, 'whatsapp_phone', batch.phone)
    LEFT JOIN conversation_threads AS t
        ON (t.org_id, t.external_id) = (batch.org_id, 'wa:' || batch.number || ':' || batch.phone)
    LEFT JOIN deals AS d
        ON (d.org_id, d.contact_id) = (batch.org_id, i.contact_id) AND d.status = 'open';
INSERT INTO contacts (id, org_id, name, phone, profile_name, profile_seen_at)
    SELECT contact_id, org_id, name, phone, name, sent_at FROM decided WHERE is_new;
INSERT INTO contact_identities (id, org_id, contact_id, kind, value)
    SELECT uuidv7(), org_id, contact_id, 'whatsapp_phone', phone FROM decided WHERE is_new;
INSERT INTO conversation_threads
        (id, org_id, contact_id, connection_id, channel, external_id, last_message_at)
    SELECT thread_id, org_id, contact_id, org_id, 'whatsapp', 'wa:' || number || ':' || phone,
        sent_at
    FROM decided WHERE is_new;
UPDATE conversation_threads AS t SET last_message_at = greatest(t.last_message_at, decided.sent_at)
    FROM decided WHERE (t.org_id, t.id) = (decided.org_id, decided.thread_id) AND NOT is_new;
INSERT INTO conversation_messages
        (id, org_id, thread_id, channel, external_id, direction, kind, body, sent_at)
    SELECT message_id, org_id, thread_id, 'whatsapp', external_id, 'inbound', 'text', body, sent_at
    FROM decided ON CONFLICT DO NOTHING;
INSERT INTO deals (id, org_id, contact_id, title, message_id)
    SELECT deal_id, org_id, contact_id, left(body, 80), message_id FROM decided WHERE is_new;
INSERT INTO deal_insights (id, org_id, deal_id, summary, intent, score, next_step, provider,
        updated_at, message_external_id)
    SELECT DISTINCT ON (deal_id) uuidv7(), org_id, deal_id, summary, intent, score, next_step,
        'dummy', sent_at, external_id
    FROM decided ORDER BY deal_id, external_id DESC
    ON CONFLICT (org_id, deal_id) DO UPDATE SET (summary, intent, score, next_step, updated_at,
        message_external_id) = ROW (excluded.summary, excluded.intent, excluded.score,
        excluded.next_step, excluded.updated_at, excluded.message_external_id);
INSERT INTO event_log (id, org_id, type, payload)
    SELECT uuidv7(), org_id, 'lead_captured', jsonb_build_object('channel', 'whatsapp',
        'message_id', message_id, 'thread_id', thread_id, 'contact_id', contact_id,
        'deal_id', deal_id, 'deal_opened', is_new)
    FROM decided
"""


def measure_seconds_per_message(workload: Workload, seconds: float) -> float:
    """Write batches until the transactions have taken `seconds` in total; return the mean cost.

    Filling the temporary table is not timed.
    """
    durations: list[float] = []
    with psycopg.connect(workload.database_url, autocommit=True) as db:
        db.execute(CREATE_BATCH)
        while sum(durations) < seconds:
            organization, samples = workload.make_samples(MAX_MESSAGES_PER_DELIVERY)
            _fill_batch(db, organization, samples)
            started_at = time.perf_counter()
            with db.transaction():
                db.execute(WRITE_BATCH)
            durations.append(time.perf_counter() - started_at)
    workload.count_new_messages()  # so that the next call counts only what a server stores
    return sum(durations) / len(durations) / MAX_MESSAGES_PER_DELIVERY


def _fill_batch(db: psycopg.Connection, organization: int, samples: Sequence[Sample]) -> None:
    """Replace the rows of the temporary table by the samples, with their insights."""
    descriptions = asyncio.run(DummyInsights().describe([sample.text for sample in samples]))
    db.execute("TRUNCATE batch")
    with db.cursor() as cursor, cursor.copy(COPY_BATCH) as copy:
        for sample, description in zip(samples, descriptions, strict=True):
            copy.write_row(
                (
                    make_connection_id(organization),
                    make_external_id(organization),
                    sample.sender,
                    sample.name,
                    sample.message_id,
                    sample.sent_at,
                    sample.text,
                    description.summary,
                    description.intent,
                    description.score,
                    description.next_step,
                )
            )
    db.execute("ANALYZE batch")
