"""Who wrote, where, and what."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from application.ports import ContactRepository, MessageRepository, ThreadRepository
from domain.connection import Channel
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactKey,
    IdentityKey,
    IdentityKind,
    Owner,
)
from domain.message import Direction, Message, MessageKey, Thread, ThreadId, ThreadName
from infrastructure.postgres import tables as t
from infrastructure.postgres.batches import (
    columns_of,
    insert_rows,
    keys,
    recordset,
    rows,
    swap_rows,
    swaps,
)
from infrastructure.postgres.unit_of_work import UnitOfWork, Write

contacts, identities = t.contacts.c, t.contact_identities.c
threads, messages = t.conversation_threads.c, t.conversation_messages.c

# A contact's own phone counts only where nobody has it as an identity: that row comes last.
_wanted = rows("wanted", [identities.org_id, identities.kind, identities.value])
_wanted_as = [_wanted.c.kind.label("wanted_kind"), _wanted.c.value.label("wanted_value")]
CONTACT = columns_of(t.contacts, Contact)
_is_theirs = sa.and_(contacts.org_id == identities.org_id, contacts.id == identities.contact_id)
OWNERS = sa.union_all(
    sa.select(*_wanted_as, *CONTACT, sa.false().label("is_identity")).where(
        _wanted.c.kind == sa.literal_column(f"'{IdentityKind.WHATSAPP_PHONE}'"),
        contacts.org_id == _wanted.c.org_id,
        contacts.phone.in_([_wanted.c.value, sa.literal_column("'+'") + _wanted.c.value]),
    ),
    sa.select(*_wanted_as, *CONTACT, sa.true()).where(
        _is_theirs,
        identities.org_id == _wanted.c.org_id,
        identities.kind == _wanted.c.kind,
        identities.value == _wanted.c.value,
    ),
).order_by(sa.text("is_identity"))

IDENTITY = columns_of(t.contact_identities, ContactIdentity)
ADD_CONTACTS = Write.of(
    "new_contacts", insert_rows("new_contacts", CONTACT).on_conflict_do_nothing()
)
ADD_IDENTITIES = Write.of(
    "new_identities",
    insert_rows("new_identities", IDENTITY, ("org_id", "kind", "value")).on_conflict_do_nothing(),
)
CONTACT_FIELDS = [column.name for column in CONTACT]
LEARNED = [
    contacts.name,
    contacts.phone,
    contacts.profile_name,
    contacts.profile_seen_at,
    contacts.marketing_consent,
    contacts.marketing_consent_at,
]
CHANGE_CONTACTS = Write.of(
    "known_contacts", swap_rows("known_contacts", LEARNED).values(updated_at=sa.func.now())
)


@dataclass(frozen=True, slots=True)
class PostgresContactRepository(ContactRepository):
    """Tables `contacts` and `contact_identities`."""

    db: UnitOfWork

    async def owners(self, identities: Set[IdentityKey]) -> dict[IdentityKey, Owner]:
        wanted = keys(identities, IdentityKey._fields)
        owners = {}
        found = await self.db.execute(OWNERS, {"wanted": wanted})
        for kind, value, *row, is_identity in found:
            contact = Contact(**dict(zip(CONTACT_FIELDS, row, strict=True)))
            key = IdentityKey(contact.org_id, IdentityKind(kind), value)
            owners[key] = Owner(contact, is_identity)
        return owners

    async def add(
        self,
        contacts: Mapping[ContactId, Contact],
        identities: Mapping[IdentityKey, ContactIdentity],
    ) -> None:
        # Identities first: they are what two deliveries of one new person have in common. Their
        # reference to the contact is checked at the commit.
        self.db.note(ADD_IDENTITIES, identities.values())
        self.db.note(ADD_CONTACTS, contacts.values())

    async def change(self, contacts: Mapping[ContactId, tuple[Contact, Contact]]) -> None:
        self.db.note(CHANGE_CONTACTS, swaps(contacts.values(), LEARNED))


THREAD = columns_of(t.conversation_threads, Thread)
ADD_THREADS = Write.of(
    "new_threads",
    insert_rows("new_threads", THREAD, ("org_id", "external_id", "id")).on_conflict_do_nothing(),
)
_named = rows("named", [threads.org_id, threads.external_id])
_theirs = rows("theirs", [threads.org_id, threads.contact_id])
FIND_THREADS = sa.union(
    sa.select(*THREAD).where(
        threads.org_id == _named.c.org_id, threads.external_id == _named.c.external_id
    ),
    sa.select(*THREAD).where(
        threads.org_id == _theirs.c.org_id, threads.contact_id == _theirs.c.contact_id
    ),
)

# The inner select locks in key order; greatest() sees what was committed meanwhile.
_moved = rows("moved", [threads.org_id, threads.id, threads.last_message_at, threads.connection_id])
_locked = (
    sa.select(threads.org_id, threads.id, _moved.c.last_message_at, _moved.c.connection_id)
    .where(threads.org_id == _moved.c.org_id, threads.id == _moved.c.id)
    .order_by(threads.org_id, threads.id)
    .with_for_update(of=t.conversation_threads, key_share=True)
    .cte("locked")
)
MOVE_THREADS = Write.of(
    "moved",
    sa.update(t.conversation_threads)
    .where(threads.org_id == _locked.c.org_id, threads.id == _locked.c.id)
    .values(
        last_message_at=sa.func.greatest(threads.last_message_at, _locked.c.last_message_at),
        connection_id=sa.func.coalesce(threads.connection_id, _locked.c.connection_id),
    ),
    is_all=False,
)


@dataclass(frozen=True, slots=True)
class PostgresThreadRepository(ThreadRepository):
    """Table `conversation_threads`."""

    db: UnitOfWork

    async def find(self, names: Set[ThreadName], contacts: Set[ContactKey]) -> list[Thread]:
        named = keys(names, ["org_id", "external_id"])
        theirs = keys(contacts, ContactKey._fields)
        found = await self.db.execute(FIND_THREADS, {"named": named, "theirs": theirs})
        return [Thread(**{**row, "channel": Channel(row["channel"])}) for row in found.mappings()]

    async def add(self, threads: Mapping[ThreadId, Thread]) -> None:
        self.db.note(ADD_THREADS, threads.values())

    async def move(self, threads: Mapping[ThreadId, Thread]) -> None:
        self.db.note(MOVE_THREADS, threads.values())


MESSAGE = columns_of(t.conversation_messages, Message)
MESSAGE_KEY = [messages.org_id, messages.channel, messages.external_id]
ADD_MESSAGES = Write.of(
    "new_messages",
    insert_rows("new_messages", MESSAGE, MessageKey._fields).on_conflict_do_nothing(),
)
_asked = rows("asked", MESSAGE_KEY)
_is_asked = [column == _asked.c[column.name] for column in MESSAGE_KEY]
LOCKED_MESSAGES = (
    sa.select(*MESSAGE)
    .where(*_is_asked)
    .order_by(*MESSAGE_KEY)
    .with_for_update(of=t.conversation_messages, key_share=True)
)
_changed = rows("new", [messages.org_id, messages.id, messages.body, messages.content])
CHANGE_MESSAGES = (
    sa.update(t.conversation_messages)
    .where(messages.org_id == _changed.c.org_id, messages.id == _changed.c.id)
    .values(body=_changed.c.body, content=_changed.c.content)
)


@dataclass(frozen=True, slots=True)
class PostgresMessageRepository(MessageRepository):
    """Table `conversation_messages`."""

    db: UnitOfWork

    async def add(self, messages: Mapping[MessageKey, Message]) -> None:
        self.db.note(ADD_MESSAGES, messages.values())

    async def locked(self, wanted: Set[MessageKey]) -> dict[MessageKey, Message]:
        asked = keys(wanted, MessageKey._fields)
        found = (await self.db.execute(LOCKED_MESSAGES, {"asked": asked})).mappings()
        stored = (message_from(row) for row in found)
        return {message.key: message for message in stored}

    async def change(self, messages: Mapping[MessageKey, Message]) -> None:
        if messages:
            await self.db.execute(CHANGE_MESSAGES, {"new": recordset(messages.values())})


def message_from(row: Mapping[Any, Any]) -> Message:
    """The message in the columns of its name."""
    return Message(
        **{
            **row,
            "channel": Channel(row["channel"]),
            "direction": Direction(row["direction"]),
        }
    )


def message_keys(found: Iterable[Sequence[Any]]) -> set[MessageKey]:
    """The keys in rows of MESSAGE_KEY's columns."""
    return {MessageKey(row[0], Channel(row[1]), row[2]) for row in found}
