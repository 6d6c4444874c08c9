"""Writes the tables `contacts` and `contact_identities`. The ingest snapshot reads them."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from application.ports.storage import SWAPPED_CONTACT_FIELDS, ContactRepository
from domain.contact import Contact, ContactId, ContactIdentity, IdentityKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    build_batch_compare_and_swap,
    build_batch_insert,
    list_columns,
    make_compare_and_swap_rows,
)
from infrastructure.postgres.session import BatchWrite, PostgresSession

ADD_CONTACTS = BatchWrite.build(
    "new_contacts",
    build_batch_insert(
        "new_contacts", list_columns(tables.contacts, Contact)
    ).on_conflict_do_nothing(),
)
ADD_IDENTITIES = BatchWrite.build(
    "new_identities",
    build_batch_insert(
        "new_identities",
        list_columns(tables.contact_identities, ContactIdentity),
        IdentityKey._fields,
    ).on_conflict_do_nothing(),
)
SWAPPED_CONTACT_COLUMNS = [tables.contacts.c[name] for name in SWAPPED_CONTACT_FIELDS]
SWAP_CONTACTS = BatchWrite.build(
    "known_contacts",
    build_batch_compare_and_swap("known_contacts", SWAPPED_CONTACT_COLUMNS).values(
        updated_at=sa.func.now()
    ),
)


@dataclass(frozen=True, slots=True)
class PostgresContactRepository(ContactRepository):
    """Tables `contacts` and `contact_identities`."""

    session: PostgresSession

    async def add(
        self,
        contacts: Mapping[ContactId, Contact],
        identities: Mapping[IdentityKey, ContactIdentity],
    ) -> None:
        # Identities come first: two deliveries of one new person have them in common, so their
        # insert decides the race (D22). Their reference to the contact is checked at the commit.
        self.session.defer_write(ADD_IDENTITIES, identities.values())
        self.session.defer_write(ADD_CONTACTS, contacts.values())

    async def compare_and_swap(self, contacts: Mapping[ContactId, tuple[Contact, Contact]]) -> None:
        rows = make_compare_and_swap_rows(contacts.values(), SWAPPED_CONTACT_COLUMNS)
        self.session.defer_write(SWAP_CONTACTS, rows)
