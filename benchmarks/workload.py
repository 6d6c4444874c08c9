"""The benchmarks' workload: organisations, known and new senders, and signed deliveries of them."""

import base64
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import msgspec
import psycopg

from domain.connection import Channel
from interfaces.meta.samples import Sample, make_delivery
from interfaces.meta.signature import sign

WEBHOOK_PATH = "/api/webhooks/meta"
APP_SECRET = "benchmark"  # noqa: S105 - only the servers of the benchmarks use it

ORGANIZATION_COUNT = 20
KNOWN_SENDER_COUNT = 20_000
"""Senders with stored conversations, who write again."""

NEW_SENDER_SHARE = 0.3
"""Share of messages whose sender has no stored conversation, from 0 to 1 (D74)."""

MESSAGE_TEXTS = (
    "Hola",
    "Hola, ¿cuánto cuesta?",
    "¿Tienen stock del modelo negro en talle 42?",
    "Gracias!",
    "I'd like to book for Saturday, two people, around nine if you still have a table by the window",
    "¿Hacen envíos a Rosario? Necesito que llegue antes del viernes, es para un regalo",
    "ok",
    "👍",
    (
        "Buenos días. La semana pasada compré un par de botas y una vino con la costura rota.\n¿Me las"
        " pueden cambiar? Tengo la factura y la caja, y mañana a la tarde puedo pasar por el local"
    ),
    "Is it still available?",
)

ORGANIZATION_ID_SQL = "('00000000-0000-7000-8000-' || lpad(({n})::text, 12, '0'))::uuid"
"""The same id as `make_connection_id` makes, as an expression of a number."""

INSERT_ORGANIZATIONS = f"""
INSERT INTO organizations (id, name)
    SELECT {ORGANIZATION_ID_SQL.format(n="n")}, 'Shop ' || n FROM generate_series(0, %(last)s) AS n
    ON CONFLICT DO NOTHING;
INSERT INTO channel_connections (id, org_id, channel, external_id)
    SELECT {ORGANIZATION_ID_SQL.format(n="n")}, {ORGANIZATION_ID_SQL.format(n="n")}, 'whatsapp', '9000' || n
    FROM generate_series(0, %(last)s) AS n
    ON CONFLICT DO NOTHING
"""

CONVERSATION_TABLES = (
    "event_log, deal_insights, deals, conversation_messages, conversation_threads,"
    " contact_identities, contacts, state_changes, failed_messages, unmatched_messages"
)
# Sender n belongs to organisation n modulo ORGANIZATION_COUNT. Each sender has one contact, thread,
# deal and insight, and one message for each of the last days. PostgreSQL generates the rows, which
# saves the time of a client that sends them by COPY.
INSERT_CONVERSATIONS = f"""
CREATE TEMP TABLE people ON COMMIT DROP AS
    SELECT n, {ORGANIZATION_ID_SQL.format(n="n %% %(organizations)s")} AS org_id, uuidv7() AS contact_id,
        uuidv7() AS thread_id, uuidv7() AS deal_id, '346' || lpad(n::text, 8, '0') AS phone
    FROM generate_series(0, %(people)s - 1) AS n;
CREATE TEMP TABLE messages ON COMMIT DROP AS
    SELECT people.*, m, uuidv7() AS message_id,
        'wamid.' || md5(n || ' ' || m) || left(md5(m || ' ' || n), 20) AS external_id,
        now() - interval '1 day' * (%(messages)s - m + 1) AS sent_at
    FROM people, generate_series(1, %(messages)s) AS m;
INSERT INTO contacts (id, org_id, name, phone, profile_name, profile_seen_at)
    SELECT contact_id, org_id, 'Person ' || n, phone, 'Person ' || n, now() - interval '1 year'
    FROM people;
INSERT INTO contact_identities (id, org_id, contact_id, kind, value)
    SELECT uuidv7(), org_id, contact_id, 'whatsapp_phone', phone FROM people;
INSERT INTO conversation_threads
        (id, org_id, contact_id, connection_id, channel, external_id, last_message_at)
    SELECT thread_id, org_id, contact_id, org_id, 'whatsapp',
        'wa:9000' || n %% %(organizations)s || ':' || phone, now() - interval '1 day'
    FROM people;
INSERT INTO conversation_messages
        (id, org_id, thread_id, channel, external_id, direction, kind, body, sent_at)
    SELECT message_id, org_id, thread_id, 'whatsapp', external_id, 'inbound', 'text',
        'Hola, ¿cuánto cuesta? (' || m || ')', sent_at
    FROM messages;
INSERT INTO deals (id, org_id, contact_id, title, message_id)
    SELECT deal_id, org_id, contact_id, 'Hola, ¿cuánto cuesta? (1)', message_id
    FROM messages WHERE m = 1;
INSERT INTO deal_insights (id, org_id, deal_id, summary, intent, score, next_step, provider,
        updated_at, message_external_id)
    SELECT uuidv7(), org_id, deal_id, 'price: Hola, ¿cuánto cuesta?', 'price', 75,
        'Send the price and ask when they need it', 'dummy', sent_at, external_id
    FROM messages WHERE m = %(messages)s;
INSERT INTO event_log (id, org_id, type, payload)
    SELECT uuidv7(), org_id, 'lead_captured', jsonb_build_object('channel', 'whatsapp',
        'message_id', message_id, 'thread_id', thread_id, 'contact_id', contact_id,
        'deal_id', deal_id, 'deal_opened', m = 1)
    FROM messages
"""

SELECT_OPEN_TRANSACTIONS = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND xact_start IS NOT NULL
"""
IDLE_POLL_COUNT = 30
"""Consecutive polls without an open transaction after which the server counts as idle.

One poll is not enough: the server may still hold requests whose client has disconnected.
"""

POLL_INTERVAL_SECONDS = 0.01


@dataclass(slots=True)
class Workload:
    """The stored senders of one database, and a source of new messages. Each message has a new id."""

    database_url: str
    random: Random = field(default_factory=lambda: Random(6))  # noqa: S311 - no secret
    known_senders: range = range(KNOWN_SENDER_COUNT)
    _stored_count: int = 0
    _new_senders: Iterator[int] = field(default_factory=itertools.count)

    def create_organizations(self) -> None:
        """Insert the organisations and one WhatsApp connection of each."""
        parameters = {"last": ORGANIZATION_COUNT - 1}
        with psycopg.connect(self.database_url, cursor_factory=psycopg.ClientCursor) as db:
            db.execute(INSERT_ORGANIZATIONS, parameters)

    def replace_conversations(self, senders: int = KNOWN_SENDER_COUNT, messages: int = 1) -> None:
        """Replace all stored conversations by those of `senders` senders with `messages` each."""
        with psycopg.connect(self.database_url, cursor_factory=psycopg.ClientCursor) as db:
            # Skip the foreign keys: these rows refer to each other by construction, and checking a
            # million of them takes a minute.
            db.execute("SET LOCAL session_replication_role = replica")
            db.execute(f"TRUNCATE {CONVERSATION_TABLES}")
            parameters = {
                "people": senders,
                "messages": messages,
                "organizations": ORGANIZATION_COUNT,
            }
            db.execute(INSERT_CONVERSATIONS, parameters)
        self.known_senders = range(0, senders, senders // KNOWN_SENDER_COUNT)
        self._stored_count = senders * messages
        with psycopg.connect(self.database_url, autocommit=True) as db:
            db.execute(f"VACUUM (ANALYZE) {CONVERSATION_TABLES}")
            db.execute("CHECKPOINT")

    def count_new_messages(self) -> int:
        """Wait until the database is idle; return the messages stored since the last call."""
        with psycopg.connect(self.database_url, autocommit=True) as db:
            idle_polls = 0
            while idle_polls < IDLE_POLL_COUNT:
                idle_polls = 0 if db.execute(SELECT_OPEN_TRANSACTIONS).rowcount else idle_polls + 1
                time.sleep(POLL_INTERVAL_SECONDS)
            row = db.execute("SELECT count(*) FROM conversation_messages").fetchone()
        count_before, self._stored_count = self._stored_count, row[0] if row else 0
        return self._stored_count - count_before

    def make_samples(self, count: int) -> tuple[int, list[Sample]]:
        """Choose an organisation and make `count` messages to it, from known and new senders."""
        organization = self.random.randrange(ORGANIZATION_COUNT)
        return organization, [
            self.make_sample(self._choose_sender(organization)) for _ in range(count)
        ]

    def make_sample(self, sender: str) -> Sample:
        """Make a message from the sender, with a random text and a new id."""
        return Sample(
            sender=sender,
            name=f"Person {sender}",
            text=self.random.choice(MESSAGE_TEXTS),
            # As long and as random as the ids that Meta makes.
            message_id="wamid." + base64.b64encode(self.random.randbytes(39)).decode(),
            sent_at=datetime.now(UTC),
        )

    def make_new_sender(self) -> str:
        """Make the phone number of a sender who has not written yet."""
        return f"347{next(self._new_senders):08}"

    def _choose_sender(self, organization: int) -> str:
        if self.random.random() < NEW_SENDER_SHARE:
            return self.make_new_sender()
        # Each known sender of the organisation is equally likely.
        position = self.random.randrange(len(self.known_senders) // ORGANIZATION_COUNT)
        return f"346{self.known_senders[position * ORGANIZATION_COUNT] + organization:08}"


def make_external_id(organization: int) -> str:
    """Make the external id of the organisation's connection."""
    return f"9000{organization}"


def make_connection_id(organization: int) -> UUID:
    """Make the id that the organisation and its connection share."""
    return UUID(f"00000000-0000-7000-8000-{organization:012}")


def encode_request(organization: int, samples: Sequence[Sample]) -> bytes:
    """Encode a signed delivery of the samples as a whole HTTP/1.1 request."""
    body = msgspec.json.encode(
        make_delivery(Channel.WHATSAPP, make_external_id(organization), samples)
    )
    head = (
        f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: facebookexternalua\r\n"
        f"Accept: */*\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Hub-Signature-256: {sign(body, APP_SECRET)}\r\n\r\n"
    )
    return head.encode() + body
