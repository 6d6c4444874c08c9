"""Builds made-up organisations, messages and changes, and the use cases over a storage adapter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import uuid_utils.compat

from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.describe_messages import DescribeMessages
from application.ingestion.ingest_messages import Counters, IngestMessages
from application.ports.insights import InsightProvider
from application.ports.storage import Transactions
from application.recovery.store_failed_messages import StoreFailedMessages
from domain.actor import Operator
from domain.change import ChangeKind, IncomingChange
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

ONE_INGESTED = Counters(received=1, ingested=1, skipped=0, failed=0)
ONE_SKIPPED = Counters(received=1, ingested=0, skipped=1, failed=0)
ONE_FAILED = Counters(received=1, ingested=0, skipped=0, failed=1)

_serial = count(1)


@dataclass
class StoppedClock:
    """A clock that stands at noon until a test moves it."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time


def phone_identity(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_PHONE, value)


def user_identity(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_USER, value)


def parent_identity(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_PARENT_USER, value)


def make_message(
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
    """Make a message to the shop. `minute` is its time in minutes after noon."""
    identities = _make_identities(by)
    return InboundMessage(
        address=Address(channel, to),
        external_id=id or f"wamid.{next(_serial)}",
        sender=Sender(identities=identities, name=name),
        kind="text",
        body=body,
        sent_at=NOON + timedelta(minutes=minute),
        thread_external_id=f"wa:{to}:{identities[0].value}",
        content=content or {},
        payload={"body": body},
    )


def make_edit(
    target: InboundMessage | IncomingChange, body: str, *, minute: float = 1, id: str | None = None
) -> IncomingChange:
    return _make_message_change(target, ChangeKind.EDIT, {"body": body}, minute, id)


def make_unsend(
    target: InboundMessage | IncomingChange, *, minute: float = 2, id: str | None = None
) -> IncomingChange:
    return _make_message_change(target, ChangeKind.UNSEND, {"body": "[deleted]"}, minute, id)


def make_reaction(
    target: InboundMessage | IncomingChange,
    emoji: str | None,
    *,
    by: Direction = Direction.INBOUND,
    minute: float = 1,
    id: str | None = None,
) -> IncomingChange:
    return _make_message_change(target, ChangeKind.REACTION, {"emoji": emoji, "by": by}, minute, id)


def make_consent(
    marketing: bool,  # noqa: FBT001 - the answer is yes or no
    *,
    by: str | Sequence[Identity] = "5491155550001",
    to: str = SHOP_NUMBER,
    minute: float = 0,
    id: str | None = None,
) -> IncomingChange:
    content = {"marketing": marketing}
    return _make_person_change(by, ChangeKind.CONSENT, content, over=to, minute=minute, id=id)


def make_identity_change(
    *new: Identity,
    by: str | Sequence[Identity] = "5491155550001",
    to: str = SHOP_NUMBER,
    minute: float = 1,
    id: str | None = None,
) -> IncomingChange:
    """Make the change of a person who has a new number or user id."""
    content = {"identities": [[*pair] for pair in new]}
    return _make_person_change(by, ChangeKind.IDENTITY, content, over=to, minute=minute, id=id)


def make_echo(
    body: str = "¿en qué te ayudo?",
    *,
    to: str | Sequence[Identity] = "5491155550001",
    over: str = SHOP_NUMBER,
    minute: float = 1,
    id: str | None = None,
) -> IncomingChange:
    """Make a message that the shop sent from another device."""
    content = {"kind": "text", "body": body, "content": {}}
    return _make_person_change(to, ChangeKind.ECHO, content, over=over, minute=minute, id=id)


def _make_identities(person: str | Sequence[Identity]) -> tuple[Identity, ...]:
    return (phone_identity(person),) if isinstance(person, str) else tuple(person)


def _make_message_change(
    target: InboundMessage | IncomingChange,
    kind: ChangeKind,
    content: Mapping[str, Any],
    minute: float,
    id: str | None,
) -> IncomingChange:
    return IncomingChange(
        address=target.address,
        external_id=id or f"wamid.{next(_serial)}",
        kind=kind,
        sent_at=NOON + timedelta(minutes=minute),
        message_id=target.external_id,
        content=content,
        payload={"kind": kind},
    )


def _make_person_change(
    person: str | Sequence[Identity],
    kind: ChangeKind,
    content: Mapping[str, Any],
    *,
    over: str,
    minute: float,
    id: str | None,
) -> IncomingChange:
    return IncomingChange(
        address=Address(Channel.WHATSAPP, over),
        external_id=id or f"wamid.{next(_serial)}",
        kind=kind,
        sent_at=NOON + timedelta(minutes=minute),
        person=Sender(identities=_make_identities(person)),
        content=content,
        payload={"kind": kind},
    )


async def create_shop(
    transactions: Transactions, number: str = SHOP_NUMBER, *, is_enabled: bool = True
) -> Connection:
    """Create an organisation with one WhatsApp number."""
    org_id = OrgId(new_id())
    connection = Connection(
        id=ConnectionId(new_id()),
        org_id=org_id,
        channel=Channel.WHATSAPP,
        external_id=number,
        is_enabled=is_enabled,
    )
    async with transactions.begin(Operator()) as repos:
        await repos.organizations.add(Organization(id=org_id, name=f"Shop {number}"))
        await repos.connections.add(connection)
    return connection


@dataclass
class CountingIngestion:
    """Ingests messages and returns their counters."""

    ingest: IngestMessages

    async def __call__(self, messages: Sequence[Inbound]) -> Counters:
        return Counters.count(await self.ingest(messages))


def make_ingestion(
    transactions: Transactions, insights: InsightProvider | None = None
) -> CountingIngestion:
    store_failed_messages = StoreFailedMessages(transactions, StoppedClock(), new_id)
    describe = DescribeMessages(insights or DummyInsights(), StoppedClock())
    return CountingIngestion(
        IngestMessages(transactions, describe, store_failed_messages, StoppedClock(), new_id)
    )


def make_apply_changes(transactions: Transactions) -> ApplyChanges:
    return ApplyChanges(
        transactions, StoreFailedMessages(transactions, StoppedClock(), new_id), new_id
    )


async def list_leads(transactions: Transactions, org_id: OrgId | None = None) -> list[Lead]:
    async with transactions.begin(Operator()) as repos:
        return await repos.leads.list_latest(org_id, 10_000)
