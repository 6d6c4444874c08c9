"""Made-up organisations and people, and what the tests are about in as few words as possible."""

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
_serial = count(1)


@dataclass
class StoppedClock:
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


def make_edit(
    what: InboundMessage | IncomingChange, body: str, *, minute: float = 1, id: str | None = None
) -> IncomingChange:
    return _about(what, ChangeKind.EDIT, {"body": body}, minute, id)


def make_unsend(
    what: InboundMessage | IncomingChange, *, minute: float = 2, id: str | None = None
) -> IncomingChange:
    return _about(what, ChangeKind.UNSEND, {"body": "[deleted]"}, minute, id)


def make_reaction(
    what: InboundMessage | IncomingChange,
    emoji: str | None,
    *,
    by: Direction = Direction.INBOUND,
    minute: float = 1,
    id: str | None = None,
) -> IncomingChange:
    return _about(what, ChangeKind.REACTION, {"emoji": emoji, "by": by}, minute, id)


def make_consent(
    marketing: bool,  # noqa: FBT001 - yes or no is all there is to say
    *,
    by: str | Sequence[Identity] = "5491155550001",
    to: str = SHOP_NUMBER,
    minute: float = 0,
    id: str | None = None,
) -> IncomingChange:
    content = {"marketing": marketing}
    return _of(by, ChangeKind.CONSENT, content, over=to, minute=minute, id=id)


def make_identity_change(
    *new: Identity,
    by: str | Sequence[Identity] = "5491155550001",
    to: str = SHOP_NUMBER,
    minute: float = 1,
    id: str | None = None,
) -> IncomingChange:
    """Somebody has another number, or another user id."""
    content = {"identities": [[*pair] for pair in new]}
    return _of(by, ChangeKind.IDENTITY, content, over=to, minute=minute, id=id)


def make_echo(
    body: str = "¿en qué te ayudo?",
    *,
    to: str | Sequence[Identity] = "5491155550001",
    over: str = SHOP_NUMBER,
    minute: float = 1,
    id: str | None = None,
) -> IncomingChange:
    """What the shop wrote to somebody from another device."""
    content = {"kind": "text", "body": body, "content": {}}
    return _of(to, ChangeKind.ECHO, content, over=over, minute=minute, id=id)


def _known_by(person: str | Sequence[Identity]) -> tuple[Identity, ...]:
    return (phone_identity(person),) if isinstance(person, str) else tuple(person)


def _about(
    what: InboundMessage | IncomingChange,
    kind: ChangeKind,
    content: Mapping[str, Any],
    minute: float,
    id: str | None,
) -> IncomingChange:
    return IncomingChange(
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
) -> IncomingChange:
    return IncomingChange(
        address=Address(Channel.WHATSAPP, over),
        external_id=id or f"wamid.{next(_serial)}",
        kind=kind,
        sent_at=NOON + timedelta(minutes=minute),
        person=Sender(identities=_known_by(person)),
        content=content,
        payload={"changed": kind},
    )


async def create_shop(
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
    async with transactions.begin(Operator()) as repos:
        await repos.organizations.add(Organization(id=org_id, name=f"Shop {number}"))
        await repos.connections.add(connection)
    return connection


@dataclass
class CountingIngestion:
    """Stores messages and counts what became of them."""

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
