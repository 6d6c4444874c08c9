"""The baseline (D73): a straightforward webhook service of FastAPI, pydantic and SQLAlchemy's ORM.

It stores the same rows as Leadport, in the same tables and as the same role: one transaction for
each message, and one SELECT and one INSERT for each step. It is asynchronous, as FastAPI is
commonly used, and keeps the defaults of SQLAlchemy's engine and pool. A message whose transaction
loses a race is tried again.
"""

import hashlib
import hmac
import os
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import DateTime, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.workload import WEBHOOK_PATH
from infrastructure.insights.dummy import DummyInsights

MAX_ATTEMPTS = 5


class Profile(BaseModel):
    name: str = ""


class Person(BaseModel):
    wa_id: str
    profile: Profile = Profile()


class Text(BaseModel):
    body: str


class Message(BaseModel):
    sender: str = Field(alias="from")
    id: str
    timestamp: int
    type: str
    text: Text


class Metadata(BaseModel):
    phone_number_id: str


class Value(BaseModel):
    metadata: Metadata
    contacts: list[Person] = []
    messages: list[Message] = []


class Change(BaseModel):
    field: str
    value: Value


class Entry(BaseModel):
    id: str
    changes: list[Change]


class Delivery(BaseModel):
    object: str
    entry: list[Entry]


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}


class OrganizationRow:
    """A row that belongs to an organisation."""

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)


class ChannelConnection(OrganizationRow, Base):
    __tablename__ = "channel_connections"

    provider: Mapped[str]
    channel: Mapped[str]
    external_id: Mapped[str]
    is_enabled: Mapped[bool]


class Contact(OrganizationRow, Base):
    __tablename__ = "contacts"

    name: Mapped[str]
    phone: Mapped[str | None]
    profile_name: Mapped[str | None]
    profile_seen_at: Mapped[datetime | None]


class ContactIdentity(OrganizationRow, Base):
    __tablename__ = "contact_identities"

    contact_id: Mapped[UUID]
    kind: Mapped[str]
    value: Mapped[str]


class ConversationThread(OrganizationRow, Base):
    __tablename__ = "conversation_threads"

    contact_id: Mapped[UUID]
    connection_id: Mapped[UUID | None]
    channel: Mapped[str]
    external_id: Mapped[str | None]
    last_message_at: Mapped[datetime | None]


class ConversationMessage(OrganizationRow, Base):
    __tablename__ = "conversation_messages"

    thread_id: Mapped[UUID]
    channel: Mapped[str]
    external_id: Mapped[str]
    direction: Mapped[str]
    kind: Mapped[str]
    body: Mapped[str]
    content: Mapped[dict[str, Any]]
    sent_at: Mapped[datetime]


class Deal(OrganizationRow, Base):
    __tablename__ = "deals"

    contact_id: Mapped[UUID]
    status: Mapped[str]
    title: Mapped[str]
    message_id: Mapped[UUID | None]


class DealInsight(OrganizationRow, Base):
    __tablename__ = "deal_insights"

    deal_id: Mapped[UUID]
    summary: Mapped[str]
    intent: Mapped[str]
    score: Mapped[int]
    next_step: Mapped[str]
    provider: Mapped[str]
    updated_at: Mapped[datetime]
    message_external_id: Mapped[str]


class Event(OrganizationRow, Base):
    __tablename__ = "event_log"

    type: Mapped[str]
    payload: Mapped[dict[str, Any]]


async def connect() -> psycopg.AsyncConnection[Any]:
    connection = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"])
    await connection.execute("SET ROLE leadport_ingest")
    await connection.commit()
    return connection


engine = create_async_engine("postgresql+psycopg://", async_creator=connect)
Session = async_sessionmaker(engine, expire_on_commit=False)
insights = DummyInsights()
app = FastAPI()


@app.get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.post(WEBHOOK_PATH)
async def deliver(request: Request) -> dict[str, int]:
    body = await request.body()
    secret = os.environ["META_APP_SECRET"].encode()
    expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("X-Hub-Signature-256", "")):
        raise HTTPException(403)
    try:
        delivery = Delivery.model_validate_json(body)
    except ValidationError:
        raise HTTPException(400) from None
    counters = {"received": 0, "ingested": 0, "skipped": 0, "failed": 0}
    for entry in delivery.entry:
        for change in entry.changes:
            names = {person.wa_id: person.profile.name for person in change.value.contacts}
            for message in change.value.messages:
                counters["received"] += 1
                counters[await ingest(change.value, names.get(message.sender, ""), message)] += 1
    return counters


async def ingest(value: Value, name: str, message: Message) -> str:
    """Store one message; try again where another transaction stored a conflicting row first."""
    for _ in range(MAX_ATTEMPTS):
        try:
            async with Session() as session, session.begin():
                return await store(session, value.metadata.phone_number_id, name, message)
        except IntegrityError:
            continue
    return "failed"


async def store(session: AsyncSession, number: str, name: str, message: Message) -> str:
    sent_at = datetime.fromtimestamp(message.timestamp, UTC)
    connection = await session.scalar(
        select(ChannelConnection).filter_by(
            provider="meta", channel="whatsapp", external_id=number, is_enabled=True
        )
    )
    if connection is None:
        return "skipped"
    org_id = connection.org_id
    if await session.scalar(
        select(ConversationMessage).filter_by(
            org_id=org_id, channel="whatsapp", external_id=message.id
        )
    ):
        return "skipped"

    contact = await session.scalar(
        select(Contact)
        .join(
            ContactIdentity,
            (ContactIdentity.org_id == Contact.org_id) & (ContactIdentity.contact_id == Contact.id),
        )
        .where(
            ContactIdentity.org_id == org_id,
            ContactIdentity.kind == "whatsapp_phone",
            ContactIdentity.value == message.sender,
        )
    )
    if contact is None:
        contact = Contact(
            org_id=org_id,
            name=name,
            phone=message.sender,
            profile_name=name,
            profile_seen_at=sent_at,
        )
        session.add(contact)
        await session.flush()
        session.add(
            ContactIdentity(
                org_id=org_id,
                contact_id=contact.id,
                kind="whatsapp_phone",
                value=message.sender,
            )
        )
        await session.flush()

    thread = await session.scalar(
        select(ConversationThread).filter_by(
            org_id=org_id, contact_id=contact.id, connection_id=connection.id
        )
    )
    if thread is None:
        thread = ConversationThread(
            org_id=org_id,
            contact_id=contact.id,
            connection_id=connection.id,
            channel="whatsapp",
            external_id=f"wa:{number}:{message.sender}",
            last_message_at=sent_at,
        )
        session.add(thread)
    elif thread.last_message_at is None or thread.last_message_at < sent_at:
        thread.last_message_at = sent_at
    await session.flush()

    stored = ConversationMessage(
        org_id=org_id,
        thread_id=thread.id,
        channel="whatsapp",
        external_id=message.id,
        direction="inbound",
        kind=message.type,
        body=message.text.body,
        content={},
        sent_at=sent_at,
    )
    session.add(stored)
    await session.flush()

    deal = await session.scalar(
        select(Deal).filter_by(org_id=org_id, contact_id=contact.id, status="open")
    )
    is_new_deal = deal is None
    if deal is None:
        deal = Deal(
            org_id=org_id,
            contact_id=contact.id,
            status="open",
            title=message.text.body.split("\n")[0][:80],
            message_id=stored.id,
        )
        session.add(deal)
        await session.flush()

    [description] = await insights.describe([message.text.body])
    insight = await session.scalar(select(DealInsight).filter_by(org_id=org_id, deal_id=deal.id))
    if insight is None:
        insight = DealInsight(org_id=org_id, deal_id=deal.id)
        session.add(insight)
    insight.summary = description.summary
    insight.intent = description.intent
    insight.score = description.score
    insight.next_step = description.next_step
    insight.provider = insights.name
    insight.updated_at = sent_at
    insight.message_external_id = message.id
    await session.flush()

    session.add(
        Event(
            org_id=org_id,
            type="lead_captured",
            payload={
                "channel": "whatsapp",
                "message_id": str(stored.id),
                "thread_id": str(thread.id),
                "contact_id": str(contact.id),
                "deal_id": str(deal.id),
                "deal_opened": is_new_deal,
            },
        )
    )
    return "ingested"
