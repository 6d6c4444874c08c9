"""Reads and writes the tables `contacts` and `contact_identities`."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

import sqlalchemy as sa

from application.ports.storage import ContactRepository
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    IdentityKey,
    IdentityKind,
    IdentityMatch,
)
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    cas_rows,
    columns_of,
    compare_and_swap,
    insert_rows,
    json_rows,
    key_rows,
)
from infrastructure.postgres.session import BatchWrite, PostgresSession

# A contact's own phone counts only where nobody has it as an identity: that row comes last.
_wanted = json_rows(
    "wanted",
    [
        tables.contact_identities.c.org_id,
        tables.contact_identities.c.kind,
        tables.contact_identities.c.value,
    ],
)

_wanted_as = [_wanted.c.kind.label("wanted_kind"), _wanted.c.value.label("wanted_value")]

CONTACT = columns_of(tables.contacts, Contact)

_is_theirs = sa.and_(
    tables.contacts.c.org_id == tables.contact_identities.c.org_id,
    tables.contacts.c.id == tables.contact_identities.c.contact_id,
)

OWNERS = sa.union_all(
    sa.select(*_wanted_as, *CONTACT, sa.false().label("is_identity")).where(
        _wanted.c.kind == sa.literal_column(f"'{IdentityKind.WHATSAPP_PHONE}'"),
        tables.contacts.c.org_id == _wanted.c.org_id,
        tables.contacts.c.phone.in_([_wanted.c.value, sa.literal_column("'+'") + _wanted.c.value]),
    ),
    sa.select(*_wanted_as, *CONTACT, sa.true()).where(
        _is_theirs,
        tables.contact_identities.c.org_id == _wanted.c.org_id,
        tables.contact_identities.c.kind == _wanted.c.kind,
        tables.contact_identities.c.value == _wanted.c.value,
    ),
).order_by(sa.text("is_identity"))

IDENTITY = columns_of(tables.contact_identities, ContactIdentity)

ADD_CONTACTS = BatchWrite.of(
    "new_contacts", insert_rows("new_contacts", CONTACT).on_conflict_do_nothing()
)

ADD_IDENTITIES = BatchWrite.of(
    "new_identities",
    insert_rows("new_identities", IDENTITY, ("org_id", "kind", "value")).on_conflict_do_nothing(),
)

CONTACT_FIELDS = [column.name for column in CONTACT]

LEARNED = [
    tables.contacts.c.name,
    tables.contacts.c.phone,
    tables.contacts.c.profile_name,
    tables.contacts.c.profile_seen_at,
    tables.contacts.c.marketing_consent,
    tables.contacts.c.marketing_consent_at,
]

CHANGE_CONTACTS = BatchWrite.of(
    "known_contacts", compare_and_swap("known_contacts", LEARNED).values(updated_at=sa.func.now())
)


@dataclass(frozen=True, slots=True)
class PostgresContactRepository(ContactRepository):
    """Tables `contacts` and `contact_identities`."""

    db: PostgresSession

    async def match_identities(
        self, identities: Set[IdentityKey]
    ) -> dict[IdentityKey, IdentityMatch]:
        wanted = key_rows(identities, IdentityKey._fields)
        owners = {}
        found = await self.db.execute(OWNERS, {"wanted": wanted})
        for kind, value, *row, is_identity in found:
            contact = Contact(**dict(zip(CONTACT_FIELDS, row, strict=True)))
            key = IdentityKey(contact.org_id, IdentityKind(kind), value)
            owners[key] = IdentityMatch(contact, is_identity)
        return owners

    async def add(
        self,
        contacts: Mapping[ContactId, Contact],
        identities: Mapping[IdentityKey, ContactIdentity],
    ) -> None:
        # Identities first: they are what two deliveries of one new person have in common. Their
        # reference to the contact is checked at the commit.
        self.db.defer_write(ADD_IDENTITIES, identities.values())
        self.db.defer_write(ADD_CONTACTS, contacts.values())

    async def compare_and_swap(self, contacts: Mapping[ContactId, tuple[Contact, Contact]]) -> None:
        self.db.defer_write(CHANGE_CONTACTS, cas_rows(contacts.values(), LEARNED))
