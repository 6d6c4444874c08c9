"""Made-up organisations and people, and what the tests are about in as few words as possible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import uuid_utils.compat

from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.describe_messages import Describe
from application.ingestion.ingest_messages import Counters, IngestMessages
from application.ports.insights import InsightProvider
from application.ports.storage import Transactions
from application.recovery.store_failed_messages import KeepFailed
from domain.change import Change, ChangeKind
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import Inbound, InboundMessage
from domain.lead import Lead
from domain.message import Direction
from domain.organization import Organization, OrgId
from infrastructure.insights.dummy import DummyInsights

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SHOP_NUMBER = "106540352242922"
new_id = uuid_utils.compat.uuid7
_serial = count(1)


@dataclass
class StoppedClock:
    time: datetime = NOON

    def now(self) -> datetime:
        return self.time


def phone(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_PHONE, value)


def user(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_USER, value)


def parent(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_PARENT_USER, value)


def said(
    body: str = "hola",
    *,
    to: str = SHOP_NUMBER,
    by: str | Sequence[Identity] = "5491155550001",
    id: str | None = None,
    minute: float = 0,
    name: str = "Ana",
    channel: Channel = Channel.WHATSAPP,
    content: Mapping[str, Any] | None = None,
) -> InboundMessage:
    """A message to the shop; everything else is beside the point."""
    identities = _known_by(by)
    return InboundMessage(
        address=Address(channel, to),
        external_id=id or f"wamid.{next(_serial)}",
        sender=Sender(identities=identities, name=name),
        kind="text",
        body=body,
        sent_at=NOON + timedelta(minutes=minute),
        thread_external_id=f"wa:{to}:{identities[0].value}",
        content=content or {},
        payload={"said": body},
    )


def edited(
    what: InboundMessage | Change, body: str, *, minute: float = 1, id: str | None = None
) -> Change:
    return _about(what, ChangeKind.EDIT, {"body": body}, minute, id)


def unsent(what: InboundMessage | Change, *, minute: float = 2, id: str | None = None) -> Change:
    return _about(what, ChangeKind.UNSEND, {"body": "[deleted]"}, minute, id)


def reacted(
    what: InboundMessage | Change,
    emoji: str | None,
    *,
    by: Direction = Direction.INBOUND,
    minute: float = 1,
    id: str | None = None,
) -> Change:
    return _about(what, ChangeKind.REACTION, {"emoji": emoji, "by": by}, minute, id)


def consented(
    marketing: bool,  # noqa: FBT001 - yes or no is all there is to say
    *,
    by: str | Sequence[Identity] = "5491155550001",
    to: str = SHOP_NUMBER,
    minute: float = 0,
    id: str | None = None,
) -> Change:
    content = {"marketing": marketing}
    return _of(by, ChangeKind.CONSENT, content, over=to, minute=minute, id=id)


def renumbered(
    *new: Identity,
    by: str | Sequence[Identity] = "5491155550001",
    to: str = SHOP_NUMBER,
    minute: float = 1,
    id: str | None = None,
) -> Change:
    """Somebody has another number, or another user id."""
    content = {"identities": [[*pair] for pair in new]}
    return _of(by, ChangeKind.IDENTITY, content, over=to, minute=minute, id=id)


def echoed(
    body: str = "¿en qué te ayudo?",
    *,
    to: str | Sequence[Identity] = "5491155550001",
    over: str = SHOP_NUMBER,
    minute: float = 1,
    id: str | None = None,
) -> Change:
    """What the shop wrote to somebody from another device."""
    content = {"kind": "text", "body": body, "content": {}}
    return _of(to, ChangeKind.ECHO, content, over=over, minute=minute, id=id)


def _known_by(person: str | Sequence[Identity]) -> tuple[Identity, ...]:
    return (phone(person),) if isinstance(person, str) else tuple(person)


def _about(
    what: InboundMessage | Change,
    kind: ChangeKind,
    content: Mapping[str, Any],
    minute: float,
    id: str | None,
) -> Change:
    return Change(
        address=what.address,
        external_id=id or f"wamid.{next(_serial)}",
        kind=kind,
        sent_at=NOON + timedelta(minutes=minute),
        message_id=what.external_id,
        content=content,
        payload={"changed": kind},
    )


def _of(
    person: str | Sequence[Identity],
    kind: ChangeKind,
    content: Mapping[str, Any],
    *,
    over: str,
    minute: float,
    id: str | None,
) -> Change:
    return Change(
        address=Address(Channel.WHATSAPP, over),
        external_id=id or f"wamid.{next(_serial)}",
        kind=kind,
        sent_at=NOON + timedelta(minutes=minute),
        person=Sender(identities=_known_by(person)),
        content=content,
        payload={"changed": kind},
    )


async def open_shop(
    transactions: Transactions, number: str = SHOP_NUMBER, *, is_enabled: bool = True
) -> Connection:
    """An organisation with one WhatsApp number."""
    org_id = OrgId(new_id())
    connection = Connection(
        id=ConnectionId(new_id()),
        org_id=org_id,
        channel=Channel.WHATSAPP,
        external_id=number,
        is_enabled=is_enabled,
    )
    async with transactions.begin() as repos:
        await repos.organizations.add(Organization(id=org_id, name=f"Shop {number}"))
        await repos.connections.add(connection)
    return connection


@dataclass
class Ingestion:
    """Stores messages and counts what became of them."""

    ingest: IngestMessages

    async def __call__(self, messages: Sequence[Inbound]) -> Counters:
        return Counters.of(await self.ingest(messages))


def ingestion(transactions: Transactions, insights: InsightProvider | None = None) -> Ingestion:
    keep_failed = KeepFailed(transactions, StoppedClock(), new_id)
    describe = Describe(insights or DummyInsights(), StoppedClock())
    return Ingestion(IngestMessages(transactions, describe, keep_failed, new_id))


def application(transactions: Transactions) -> ApplyChanges:
    return ApplyChanges(transactions, KeepFailed(transactions, StoppedClock(), new_id), new_id)


async def leads(transactions: Transactions, org_id: OrgId | None = None) -> list[Lead]:
    async with transactions.begin() as repos:
        return await repos.leads.latest(org_id, 10_000)
