"""Delivers conversations to the use cases in every order, and makes what they need beforehand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import TypeAlias

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.change import IncomingChange
from domain.connection import Connection, ConnectionId
from domain.contact import Contact, ContactId
from domain.inbound import InboundMessage
from domain.organization import OrgId
from tests.support.builders import (
    NOON,
    create_shop,
    make_apply_changes,
    make_ingestion,
    make_message,
    new_id,
)

OLD_PHONE, NEW_PHONE = "5491155550001", "5491155550002"
SECRET = "hunter2"
"""A text that must not stay in any table once its message is unsent."""

Item: TypeAlias = InboundMessage | IncomingChange

Phone: TypeAlias = str
"""The number of a person who takes part in one order of deliveries only."""


def format_minute(minute: float) -> str:
    """Format the time some minutes after noon as the content of a message holds it."""
    return (NOON + timedelta(minutes=minute)).isoformat()


def make_crm_contact(org_id: OrgId, phone: str) -> Contact:
    """Make a contact that another part of the CRM has added: it has no identities."""
    return Contact(id=ContactId(new_id()), org_id=org_id, name="Eva", phone=phone)


async def create_shop_with_contact(
    transactions: Transactions, *, name: str = "Eva", phone: str = OLD_PHONE
) -> Contact:
    """Create a shop and a contact of its CRM; return the contact."""
    shop = await create_shop(transactions)
    contact = replace(make_crm_contact(shop.org_id, phone), name=name)
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({contact.id: contact}, {})
    return contact


async def add_second_number(transactions: Transactions, shop: Connection) -> Connection:
    """Connect the number 222 of the shop's organisation."""
    second = replace(shop, id=ConnectionId(new_id()), external_id="222")
    async with transactions.begin(Operator()) as repos:
        return await repos.connections.add(second)


async def deliver_each(transactions: Transactions, *items: Item) -> None:
    """Deliver the items one after the other, each in a batch of its own."""
    for item in items:
        if isinstance(item, IncomingChange):
            await make_apply_changes(transactions)([item])
        else:
            await make_ingestion(transactions)([item])


async def deliver_in_every_order(
    transactions: Transactions, make_items: Callable[[Phone], Sequence[Item]]
) -> int:
    """Deliver the items in every order, each order for another person; return their number."""
    orders = list(permutations(range(len(make_items("no person")))))
    for number, order in enumerate(orders):
        items = make_items(f"{number}")
        await deliver_each(transactions, *(items[n] for n in order))
    return len(orders)


async def ingest_each(transactions: Transactions, *messages: InboundMessage) -> None:
    """Ingest the messages one after the other; each must be stored."""
    for message in messages:
        counters = await make_ingestion(transactions)([message])
        assert counters.ingested == 1


async def ingest_in_every_order(transactions: Transactions, *messages: InboundMessage) -> None:
    """Ingest the messages in every order, each order in another organisation."""
    for n, order in enumerate(permutations(messages)):
        await create_shop(transactions, f"shop {n}")
        for message in order:
            copy = make_message(
                message.body,
                to=f"shop {n}",
                by=message.sender.identities,
                id=message.external_id,
                minute=(message.sent_at - NOON) / timedelta(minutes=1),
                name=message.sender.name,
                content=message.content,
            )
            await ingest_each(transactions, copy)
