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
from tests.faults.workload import Load, Number, Sent, Workload

DRAINED_SECONDS = 30
PRINTED: list[str] = []
"""The ledgers of the test that runs."""

STORED = """
SELECT m.external_id, m.org_id, m.id, m.body, k.channel, k.external_id, t.id, t.contact_id
FROM conversation_messages AS m
JOIN conversation_threads AS t ON (t.org_id, t.id) = (m.org_id, m.thread_id)
JOIN channel_connections AS k ON (k.org_id, k.id) = (t.org_id, t.connection_id)
WHERE m.org_id = ANY (%s)
"""
EVENTS = """
SELECT payload->>'message_id', count(*) FROM event_log
WHERE org_id = ANY (%s) AND type = 'lead_captured' GROUP BY 1
"""
OPEN_DEALS = """
SELECT c.id, count(d.id) FROM contacts AS c
LEFT JOIN deals AS d ON (d.org_id, d.contact_id, d.status) = (c.org_id, c.id, 'open')
WHERE c.org_id = ANY (%s)
GROUP BY 1
"""
THREADS = "SELECT count(*) FROM conversation_threads WHERE org_id = ANY (%s)"
UNRESOLVED = "SELECT count(*) FROM failed_messages WHERE resolved_at IS NULL"


@dataclass(frozen=True, slots=True)
class Row:
    """A stored message and what it belongs to."""

    org_id: UUID
    id: UUID
    body: str
    number: Number
    thread: UUID
    contact: UUID


@dataclass(slots=True)
class Ledger:
    """All of it must add up."""

    sent: int
    answered: int
    stored: int
    kept: int
    lost: int
    doubled: int
    misplaced: int
    changed: int
    flaws: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, load: Load, server: Postgres) -> "Ledger":
        every = {message.id: message for message in load.messages}
        rows = _rows(server.execute(STORED, load.workload.org_ids))
        answered = {id_ for id_, message in every.items() if message.is_answered}
        told = server.execute(EVENTS, load.workload.org_ids)
        events = {UUID(id_): number for id_, number in told}
        doubled = [id_ for id_, found in rows.items() if len(found) > 1]
        flaws = [f"{id_} is stored and was never sent" for id_ in rows.keys() - every.keys()]
        for id_ in rows.keys() & every.keys():
            flaws += [
                f"{id_} has {number} events"
                for row in rows[id_]
                if (number := events.get(row.id, 0)) != 1
            ]
            flaws += _changed_wrongly(every[id_], rows[id_][0])
        belongings = [(every[id_], row) for id_ in rows.keys() & every.keys() for row in rows[id_]]
        flaws += _not_unique(load.workload, belongings, server)
        ledger = cls(
            sent=len(every),
            answered=len(answered),
            stored=len(answered & rows.keys()),
            kept=sum(message.is_kept for message in every.values()),
            lost=len(answered - rows.keys()),
            doubled=len(doubled),
            misplaced=sum(message.number != row.number for message, row in belongings),
            changed=sum(message.is_change_answered for message in every.values()),
            flaws=flaws,
        )
        flaws += [f"lost: {id_}" for id_ in sorted(answered - rows.keys())]
        flaws += [f"doubled: {id_}" for id_ in doubled]
        return ledger

    def __str__(self) -> str:
        return (
            f"sent {self.sent}  answered {self.answered}  stored {self.stored}  kept {self.kept}"
            f"  lost {self.lost}  doubled {self.doubled}  misplaced {self.misplaced}"
            f"  changed {self.changed}"
        )


def settle(load: Load, service: Leadport, server: Postgres, title: str) -> Ledger:
    """Wait until all is stored that was kept, take down the ledger, and hold it to its promise."""
    drained = f"the spool is empty\n{service.said()}"
    wait_until(lambda: spooled(service) == 0, drained, DRAINED_SECONDS)
    kept = server.execute(UNRESOLVED)[0][0]
    if kept:
        retried = json.loads(service.command("failed", "retry", "--all", "--json"))
        assert retried["failed"] == 0, (retried, service.command("failed", "list"))
    ledger = Ledger.of(load, server)
    answers = "  ".join(f"{name} {count}" for name, count in sorted(load.answers.items()))
    PRINTED.append(
        f"{title}:\n  {ledger}\n"
        f"  answers: {answers}; the slowest 200 {load.slowest:.1f} s; retried: {kept}"
    )
    assert (ledger.lost, ledger.doubled, ledger.misplaced) == (0, 0, 0), ledger.flaws[:20]
    assert ledger.flaws == [], ledger.flaws[:20]
    assert ledger.answered
    assert server.execute(UNRESOLVED) == [(0,)]
    return ledger


def spooled(service: Leadport) -> int:
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


def _rows(stored: Iterable[tuple[Any, ...]]) -> Mapping[str, list[Row]]:
    rows = defaultdict(list)
    for external_id, org_id, id_, body, channel, number, thread, contact in stored:
        owner = Number(org_id, channel, number)
        rows[external_id].append(Row(org_id, id_, body, owner, thread, contact))
    return rows


def _changed_wrongly(message: Sent, row: Row) -> list[str]:
    if message.change is None:
        expected = {message.body}
    elif message.is_change_answered:
        expected = {message.change}
    else:
        expected = {message.body, message.change}
    return [] if row.body in expected else [f"{message.id} says {row.body!r}, not {expected}"]


def _not_unique(
    workload: Workload, belongings: list[tuple[Sent, Row]], server: Postgres
) -> list[str]:
    """One contact for each person and organisation, one thread for each of them and number."""
    contacts, threads = defaultdict(set), defaultdict(set)
    for message, row in belongings:
        # An Instagram id is another identity than the same digits as a phone.
        person = (message.number.org_id, message.number.channel, message.person)
        contacts[person].add(row.contact)
        threads[(person, message.number)].add(row.thread)
    every_contact = server.execute(OPEN_DEALS, workload.org_ids)
    (all_threads,) = server.execute(THREADS, workload.org_ids)[0]
    return [
        *_several("contacts", contacts),
        *_several("threads", threads),
        *(f"contact {id_} has {count} open deals" for id_, count in every_contact if count != 1),
        *_more("contacts", len(every_contact), len(contacts)),
        *_more("threads", all_threads, len(threads)),
    ]


def _several(what: str, found: Mapping[Any, set[UUID]]) -> list[str]:
    return [f"{key} has {what} {ids}" for key, ids in found.items() if len(ids) != 1]


def _more(what: str, there: int, expected: int) -> list[str]:
    return [] if there == expected else [f"{there} {what} for {expected}"]
