"""Makes stored entities for tests of the repositories, adds them, and reads them back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from application.ports.storage import Repositories, Transactions
from domain.actor import Operator
from domain.change import ChangeId, ChangeKind, ChangeRecord, ChangeTarget
from domain.connection import Connection
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactIdentityId,
    ContactKey,
    Identity,
    IdentityKey,
    IdentityKind,
    IdentityMatch,
)
from domain.deal import Deal, DealId, DealStatus
from domain.failed_message import FailedMessage, FailedMessageId
from domain.insight import Insight, InsightId
from domain.message import Direction, Message, MessageId, Thread, ThreadId
from domain.organization import OrgId, User, UserId
from domain.planning.snapshot import Participant, SnapshotRequest
from tests.support.builders import NOON, new_id

Entity: TypeAlias = Contact | Thread | Message | Deal | ChangeRecord | Insight


def make_user(email: str = "ana@shop.example") -> User:
    """Make a person who signs in."""
    return User(id=UserId(new_id()), email=email, password_hash="$argon2id$")


def make_contact(
    shop: Connection, *, phone: str | None = "5491155550001", name: str = "Ana"
) -> Contact:
    """Make a contact of the shop's organisation."""
    return Contact(id=ContactId(new_id()), org_id=shop.org_id, name=name, phone=phone)


def make_identity(contact: Contact, phone: str) -> tuple[IdentityKey, ContactIdentity]:
    """Make the identity of a contact with a WhatsApp phone, and its key."""
    key = IdentityKey(contact.org_id, IdentityKind.WHATSAPP_PHONE, phone)
    identity = ContactIdentity(
        id=ContactIdentityId(new_id()),
        org_id=contact.org_id,
        contact_id=contact.id,
        kind=key.kind,
        value=phone,
    )
    return key, identity


def make_thread(shop: Connection, contact: Contact, external_id: str | None = "wa:1:2") -> Thread:
    """Make a thread of the contact over the shop's connection; its last message was at noon."""
    return Thread(
        id=ThreadId(new_id()),
        org_id=shop.org_id,
        contact_id=contact.id,
        connection_id=shop.id,
        channel=shop.channel,
        external_id=external_id,
        last_message_at=NOON,
    )


def make_stored_message(thread: Thread, external_id: str = "wamid.1") -> Message:
    """Make an inbound message of the thread, sent at noon."""
    return Message(
        id=MessageId(new_id()),
        org_id=thread.org_id,
        thread_id=thread.id,
        channel=thread.channel,
        external_id=external_id,
        direction=Direction.INBOUND,
        kind="text",
        body="hola ¿qué tal? 👋",
        content={"nested": [1, None, "é"]},
        sent_at=NOON,
    )


def make_change_record(
    shop: Connection, external_id: str = "wamid.9", *, target: str = "wamid.1"
) -> ChangeRecord:
    """Make a pending edit of the message or person `target`."""
    return ChangeRecord(
        id=ChangeId(new_id()),
        org_id=shop.org_id,
        channel=shop.channel,
        external_id=external_id,
        kind=ChangeKind.EDIT,
        subject=target,
        content={"body": "chau 👋", "nested": [None, 1]},
        sent_at=NOON,
        is_waiting=True,
    )


def make_deal(contact: Contact) -> Deal:
    """Make an open deal of the contact."""
    return Deal(
        id=DealId(new_id()),
        org_id=contact.org_id,
        contact_id=contact.id,
        status=DealStatus.OPEN,
        title="hola",
    )


def make_insight(deal: Deal, message_external_id: str = "wamid.1") -> Insight:
    """Make the insight of a deal, which describes the message with this id."""
    return Insight(
        id=InsightId(new_id()),
        org_id=deal.org_id,
        deal_id=deal.id,
        summary="wants a cake",
        intent="purchase",
        score=90,
        next_step="Send the payment link",
        provider="dummy",
        updated_at=NOON,
        message_external_id=message_external_id,
    )


def make_failed_message(org_id: OrgId, due_at: datetime, digest: str = "d") -> FailedMessage:
    """Make a failure whose next attempt is due at that time."""
    return FailedMessage(
        id=FailedMessageId(new_id()),
        org_id=org_id,
        payload={},
        error="e",
        next_attempt_at=due_at,
        digest=digest,
    )


def make_contact_key(contact: Contact) -> ContactKey:
    """Return the key of the contact."""
    return ContactKey(contact.org_id, contact.id)


async def add_entities(transactions: Transactions, *entities: Entity) -> None:
    """Add the entities in their order, in one transaction."""
    async with transactions.begin(Operator()) as repos:
        for entity in entities:
            match entity:
                case Contact():
                    await repos.contacts.add({entity.id: entity}, {})
                case Thread():
                    await repos.threads.add({entity.id: entity})
                case Message():
                    await repos.messages.add({entity.key: entity})
                case Deal():
                    key = ContactKey(entity.org_id, entity.contact_id)
                    await repos.deals.add({key: entity})
                case ChangeRecord():
                    await repos.changes.add({entity.key: entity})
                case Insight():
                    await repos.insights.upsert({entity.deal_id: entity})


async def add_identity(transactions: Transactions, contact: Contact, phone: str) -> IdentityKey:
    """Add the identity of a stored contact; return its key."""
    key, identity = make_identity(contact, phone)
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({}, {key: identity})
    return key


async def read_matches(
    repos: Repositories, key: IdentityKey, *shops: Connection
) -> Mapping[IdentityKey, IdentityMatch]:
    """Return the contacts of the identity in the organisations of the shops."""
    identity = Identity(key.kind, key.value)
    request = SnapshotRequest(
        addresses={shop.address for shop in shops},
        participants={Participant(shop.address, identity) for shop in shops},
    )
    return (await repos.snapshots.read(request)).matches


def sort_changes(
    changes_of_targets: Mapping[ChangeTarget, Sequence[ChangeRecord]],
) -> Mapping[ChangeTarget, Sequence[ChangeRecord]]:
    """Sort the changes of each target by id: the repository returns them in no order."""
    return {
        target: sorted(changes, key=lambda change: change.id)
        for target, changes in changes_of_targets.items()
    }
