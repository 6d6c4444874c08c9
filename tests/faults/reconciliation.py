"""Reconciles every message that a load sent with every row that PostgreSQL stored: the ledger."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.faults.servers import Leadport, Postgres, wait_until
from tests.faults.workload import ConnectedNumber, Load, SentMessage, Workload

DRAIN_TIMEOUT_SECONDS = 30
LEDGER_REPORTS: list[str] = []
"""The ledgers of the running test, as text."""

SELECT_MESSAGES = """
SELECT m.external_id, m.org_id, m.id, m.body, k.channel, k.external_id, t.id, t.contact_id
FROM conversation_messages AS m
JOIN conversation_threads AS t ON (t.org_id, t.id) = (m.org_id, m.thread_id)
JOIN channel_connections AS k ON (k.org_id, k.id) = (t.org_id, t.connection_id)
WHERE m.org_id = ANY (%s)
"""
COUNT_EVENTS = """
SELECT payload->>'message_id', count(*) FROM event_log
WHERE org_id = ANY (%s) AND type = 'lead_captured' GROUP BY 1
"""
COUNT_OPEN_DEALS = """
SELECT c.id, count(d.id) FROM contacts AS c
LEFT JOIN deals AS d ON (d.org_id, d.contact_id, d.status) = (c.org_id, c.id, 'open')
WHERE c.org_id = ANY (%s)
GROUP BY 1
"""
COUNT_THREADS = "SELECT count(*) FROM conversation_threads WHERE org_id = ANY (%s)"
COUNT_UNRESOLVED = "SELECT count(*) FROM failed_messages WHERE resolved_at IS NULL"


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """A stored message, with the number, thread and contact that it belongs to."""

    org_id: UUID
    id: UUID
    body: str
    number: ConnectedNumber
    thread_id: UUID
    contact_id: UUID


@dataclass(slots=True)
class Ledger:
    """The reconciliation of every message sent with every row stored.

    A message that was answered with 200 must be stored once, in the right organisation and
    conversation, with one event and its last confirmed text.
    """

    sent: int
    """Messages that were posted at least once."""

    answered: int
    """Messages whose delivery was answered with 200."""

    stored: int
    """Answered messages that are stored."""

    deferred: int
    """Messages that were answered as failed, because the service kept them to store them later."""

    lost: int
    """Answered messages that are not stored."""

    duplicated: int
    """Messages that are stored more than once."""

    misplaced: int
    """Rows that belong to another organisation or number than the message was sent to."""

    changed: int
    """Messages whose edit or deletion was answered with 200."""

    flaws: list[str] = field(default_factory=list)
    """One line for each row or message that is not as it must be."""

    @classmethod
    def make(cls, load: Load, server: Postgres) -> "Ledger":
        """Compare the load's messages with the server's rows."""
        sent = {message.id: message for message in load.messages}
        stored = _group_rows(server.execute(SELECT_MESSAGES, load.workload.org_ids))
        answered = {id_ for id_, message in sent.items() if message.is_answered}
        event_rows = server.execute(COUNT_EVENTS, load.workload.org_ids)
        event_counts = {UUID(id_): count for id_, count in event_rows}
        duplicated = [id_ for id_, rows in stored.items() if len(rows) > 1]
        flaws = [f"{id_} is stored and was never sent" for id_ in stored.keys() - sent.keys()]
        for id_ in stored.keys() & sent.keys():
            flaws += [
                f"{id_} has {count} events"
                for row in stored[id_]
                if (count := event_counts.get(row.id, 0)) != 1
            ]
            flaws += _find_wrong_body(sent[id_], stored[id_][0])
        pairs = [(sent[id_], row) for id_ in stored.keys() & sent.keys() for row in stored[id_]]
        flaws += _find_duplicates(load.workload, pairs, server)
        lost = answered - stored.keys()
        flaws += [f"lost: {id_}" for id_ in sorted(lost)]
        flaws += [f"duplicated: {id_}" for id_ in duplicated]
        return cls(
            sent=len(sent),
            answered=len(answered),
            stored=len(answered & stored.keys()),
            deferred=sum(message.is_deferred for message in sent.values()),
            lost=len(lost),
            duplicated=len(duplicated),
            misplaced=sum(message.number != row.number for message, row in pairs),
            changed=sum(message.is_change_answered for message in sent.values()),
            flaws=flaws,
        )

    def __str__(self) -> str:
        return (
            f"sent {self.sent}  answered {self.answered}  stored {self.stored}"
            f"  deferred {self.deferred}  lost {self.lost}  duplicated {self.duplicated}"
            f"  misplaced {self.misplaced}  changed {self.changed}"
        )


def reconcile(load: Load, service: Leadport, server: Postgres, title: str) -> Ledger:
    """Wait until all deferred messages are stored; return the ledger, which must have no flaw.

    The spool drains by itself. Messages in `failed_messages` are retried by the command.
    """
    drained = f"the spool is empty\n{service.read_log_tail()}"
    wait_until(lambda: count_spooled(service) == 0, drained, DRAIN_TIMEOUT_SECONDS)
    unresolved = server.execute(COUNT_UNRESOLVED)[0][0]
    if unresolved:
        retried = json.loads(service.command("failed", "retry", "--all", "--json"))
        assert retried["failed"] == 0, (retried, service.command("failed", "list"))
    ledger = Ledger.make(load, server)
    answers = "  ".join(f"{name} {count}" for name, count in sorted(load.answers.items()))
    LEDGER_REPORTS.append(
        f"{title}:\n  {ledger}\n"
        f"  answers: {answers}; the slowest 200 {load.slowest:.1f} s; retried: {unresolved}"
    )
    assert (ledger.lost, ledger.duplicated, ledger.misplaced) == (0, 0, 0), ledger.flaws[:20]
    assert ledger.flaws == [], ledger.flaws[:20]
    assert ledger.answered
    assert server.execute(COUNT_UNRESOLVED) == [(0,)]
    return ledger


def count_spooled(service: Leadport) -> int:
    """Count the deliveries in the spool."""
    if not service.spool.exists():
        return 0
    with closing(sqlite3.connect(service.spool, timeout=5)) as db:
        try:
            (count,) = db.execute("SELECT count(*) FROM deliveries").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return 0
            raise
        return int(count)


def _group_rows(rows: Iterable[tuple[Any, ...]]) -> Mapping[str, list[CapturedMessage]]:
    """Group the rows of SELECT_MESSAGES by the message's external id."""
    stored = defaultdict(list)
    for external_id, org_id, id_, body, channel, number_id, thread_id, contact_id in rows:
        number = ConnectedNumber(org_id, channel, number_id)
        message = CapturedMessage(org_id, id_, body, number, thread_id, contact_id)
        stored[external_id].append(message)
    return stored


def _find_wrong_body(message: SentMessage, row: CapturedMessage) -> list[str]:
    """Compare the texts; a change that was not answered may be stored or not."""
    if message.change is None:
        expected = {message.body}
    elif message.is_change_answered:
        expected = {message.change}
    else:
        expected = {message.body, message.change}
    return [] if row.body in expected else [f"{message.id} says {row.body!r}, not {expected}"]


def _find_duplicates(
    workload: Workload, pairs: list[tuple[SentMessage, CapturedMessage]], server: Postgres
) -> list[str]:
    """Find persons with several contacts, threads or open deals, and rows without a message.

    Each person must have one contact in an organisation, one thread for each number they wrote to,
    and one open deal.
    """
    contacts, threads = defaultdict(set), defaultdict(set)
    for message, row in pairs:
        # The channel counts: an Instagram id and a phone number may have the same digits.
        person = (message.number.org_id, message.number.channel, message.person)
        contacts[person].add(row.contact_id)
        threads[(person, message.number)].add(row.thread_id)
    deal_counts = server.execute(COUNT_OPEN_DEALS, workload.org_ids)
    (thread_count,) = server.execute(COUNT_THREADS, workload.org_ids)[0]
    return [
        *_describe_ambiguous("contacts", contacts),
        *_describe_ambiguous("threads", threads),
        *(f"contact {id_} has {count} open deals" for id_, count in deal_counts if count != 1),
        *_describe_surplus("contacts", len(deal_counts), len(contacts)),
        *_describe_surplus("threads", thread_count, len(threads)),
    ]


def _describe_ambiguous(plural: str, ids_by_key: Mapping[Any, set[UUID]]) -> list[str]:
    return [f"{key} has {plural} {ids}" for key, ids in ids_by_key.items() if len(ids) != 1]


def _describe_surplus(plural: str, count: int, expected: int) -> list[str]:
    return [] if count == expected else [f"{count} {plural} for {expected}"]
