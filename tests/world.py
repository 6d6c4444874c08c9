"""Made-up organisations and people, and what the tests are about in as few words as possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import uuid_utils.compat

from application.apply_changes import ApplyChanges
from application.describe import Describe
from application.ingest_messages import IngestMessages
from application.keep_failed import KeepFailed
from application.ports import InsightProvider, Transactions
from domain.connection import Address, Channel, Connection, ConnectionId
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import InboundMessage
from domain.leads import Lead
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


def said(
    body: str = "hola",
    *,
    to: str = SHOP_NUMBER,
    by: str | Sequence[Identity] = "5491155550001",
    id: str | None = None,
    minute: float = 0,
    name: str = "Ana",
    channel: Channel = Channel.WHATSAPP,
) -> InboundMessage:
    """A message to the shop; everything else is beside the point."""
    identities = (phone(by),) if isinstance(by, str) else tuple(by)
    return InboundMessage(
        address=Address(channel, to),
        external_id=id or f"wamid.{next(_serial)}",
        sender=Sender(identities=identities, name=name),
        kind="text",
        body=body,
        sent_at=NOON + timedelta(minutes=minute),
        thread_external_id=f"wa:{to}:{identities[0].value}",
        payload={"said": body},
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


def ingestion(
    transactions: Transactions, insights: InsightProvider | None = None
) -> IngestMessages:
    keep_failed = KeepFailed(transactions, StoppedClock(), new_id)
    return IngestMessages(
        transactions, Describe(insights or DummyInsights(), StoppedClock()), keep_failed, new_id
    )


def application(transactions: Transactions) -> ApplyChanges:
    return ApplyChanges(transactions, KeepFailed(transactions, StoppedClock(), new_id), new_id)


async def leads(transactions: Transactions, org_id: OrgId | None = None) -> list[Lead]:
    async with transactions.begin() as repos:
        return await repos.leads.latest(org_id, 10_000)
