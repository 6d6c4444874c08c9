"""The ledger: what was answered with 200, against what is stored."""

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
"""The ledgers of the test that runs."""

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
class StoredMessage:
    """A stored message and what it belongs to."""

    org_id: UUID
    id: UUID
    body: str
    number: ConnectedNumber
    thread: UUID
    contact: UUID


@dataclass(slots=True)
class Ledger:
    """All of it must add up."""

    sent: int
    answered: int
    stored: int
    deferred: int
    lost: int
    duplicated: int
    misplaced: int
    changed: int
    flaws: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, load: Load, server: Postgres) -> "Ledger":
        every = {message.id: message for message in load.messages}
        rows = _group_rows(server.execute(SELECT_MESSAGES, load.workload.org_ids))
        answered = {id_ for id_, message in every.items() if message.is_answered}
        told = server.execute(COUNT_EVENTS, load.workload.org_ids)
        events = {UUID(id_): number for id_, number in told}
        duplicated = [id_ for id_, found in rows.items() if len(found) > 1]
        flaws = [f"{id_} is stored and was never sent" for id_ in rows.keys() - every.keys()]
        for id_ in rows.keys() & every.keys():
            flaws += [
                f"{id_} has {number} events"
                for row in rows[id_]
                if (number := events.get(row.id, 0)) != 1
            ]
            flaws += _find_wrong_body(every[id_], rows[id_][0])
        belongings = [(every[id_], row) for id_ in rows.keys() & every.keys() for row in rows[id_]]
        flaws += _find_duplicates(load.workload, belongings, server)
        ledger = cls(
            sent=len(every),
            answered=len(answered),
            stored=len(answered & rows.keys()),
            deferred=sum(message.is_deferred for message in every.values()),
            lost=len(answered - rows.keys()),
            duplicated=len(duplicated),
            misplaced=sum(message.number != row.number for message, row in belongings),
            changed=sum(message.is_change_answered for message in every.values()),
            flaws=flaws,
        )
        flaws += [f"lost: {id_}" for id_ in sorted(answered - rows.keys())]
        flaws += [f"duplicated: {id_}" for id_ in duplicated]
        return ledger

    def __str__(self) -> str:
        return (
            f"sent {self.sent}  answered {self.answered}  stored {self.stored}  kept {self.deferred}"
            f"  lost {self.lost}  duplicated {self.duplicated}  misplaced {self.misplaced}"
            f"  changed {self.changed}"
        )


def reconcile(load: Load, service: Leadport, server: Postgres, title: str) -> Ledger:
    """Wait until all is stored that was kept, take down the ledger, and hold it to its promise."""
    drained = f"the spool is empty\n{service.read_log_tail()}"
    wait_until(lambda: count_spooled(service) == 0, drained, DRAIN_TIMEOUT_SECONDS)
    kept = server.execute(COUNT_UNRESOLVED)[0][0]
    if kept:
        retried = json.loads(service.command("failed", "retry", "--all", "--json"))
        assert retried["failed"] == 0, (retried, service.command("failed", "list"))
    ledger = Ledger.make(load, server)
    answers = "  ".join(f"{name} {count}" for name, count in sorted(load.answers.items()))
    LEDGER_REPORTS.append(
        f"{title}:\n  {ledger}\n"
        f"  answers: {answers}; the slowest 200 {load.slowest:.1f} s; retried: {kept}"
    )
    assert (ledger.lost, ledger.duplicated, ledger.misplaced) == (0, 0, 0), ledger.flaws[:20]
    assert ledger.flaws == [], ledger.flaws[:20]
    assert ledger.answered
    assert server.execute(COUNT_UNRESOLVED) == [(0,)]
    return ledger


def count_spooled(service: Leadport) -> int:
    """How many deliveries wait in the spool."""
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


def _group_rows(stored: Iterable[tuple[Any, ...]]) -> Mapping[str, list[StoredMessage]]:
    rows = defaultdict(list)
    for external_id, org_id, id_, body, channel, number, thread, contact in stored:
        owner = ConnectedNumber(org_id, channel, number)
        rows[external_id].append(StoredMessage(org_id, id_, body, owner, thread, contact))
    return rows


def _find_wrong_body(message: SentMessage, row: StoredMessage) -> list[str]:
    if message.change is None:
        expected = {message.body}
    elif message.is_change_answered:
        expected = {message.change}
    else:
        expected = {message.body, message.change}
    return [] if row.body in expected else [f"{message.id} says {row.body!r}, not {expected}"]


def _find_duplicates(
    workload: Workload, belongings: list[tuple[SentMessage, StoredMessage]], server: Postgres
) -> list[str]:
    """One contact for each person and organisation, one thread for each of them and number."""
    contacts, threads = defaultdict(set), defaultdict(set)
    for message, row in belongings:
        # An Instagram id is another identity than the same digits as a phone.
        person = (message.number.org_id, message.number.channel, message.person)
        contacts[person].add(row.contact)
        threads[(person, message.number)].add(row.thread)
    every_contact = server.execute(COUNT_OPEN_DEALS, workload.org_ids)
    (all_threads,) = server.execute(COUNT_THREADS, workload.org_ids)[0]
    return [
        *_describe_ambiguous("contacts", contacts),
        *_describe_ambiguous("threads", threads),
        *(f"contact {id_} has {count} open deals" for id_, count in every_contact if count != 1),
        *_describe_surplus("contacts", len(every_contact), len(contacts)),
        *_describe_surplus("threads", all_threads, len(threads)),
    ]


def _describe_ambiguous(what: str, found: Mapping[Any, set[UUID]]) -> list[str]:
    return [f"{key} has {what} {ids}" for key, ids in found.items() if len(ids) != 1]


def _describe_surplus(what: str, there: int, expected: int) -> list[str]:
    return [] if there == expected else [f"{there} {what} for {expected}"]
