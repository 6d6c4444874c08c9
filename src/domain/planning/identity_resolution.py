"""Decides which contact a person is, from the identities that a delivery shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.change import ChangeId, ChangeKind, ChangeRecord
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactIdentityId,
    ContactKey,
    IdentityKey,
    IdentityMatch,
)
from domain.ids import NewId
from domain.message import MessageKey


@dataclass(frozen=True, slots=True)
class ContactPlan:
    """Who wrote each message; which contacts are new or know more now, and by which identities.

    `changed` holds each contact as it was read and as it shall be.
    """

    contact_ids: Mapping[MessageKey, ContactId]
    new_contacts: Mapping[ContactId, Contact]
    changed: Mapping[ContactId, tuple[Contact, Contact]]
    new_identities: Mapping[IdentityKey, ContactIdentity]
    conflicts: Mapping[MessageKey, ChangeRecord]

    @property
    def keys(self) -> set[ContactKey]:
        """Every contact of the batch."""
        return {ContactKey(key.org_id, id_) for key, id_ in self.contact_ids.items()}


def record_conflicts(
    key: MessageKey, contacts: Sequence[ContactId], noticed_at: datetime, new_id: NewId
) -> dict[MessageKey, ChangeRecord]:
    """Record, once for each two, that one person's ids are those of several contacts.

    The first contact has the message; nothing is merged or moved.
    """
    kept = str(contacts[0]) if contacts else ""
    records = (
        ChangeRecord(
            id=ChangeId(new_id()),
            org_id=key.org_id,
            channel=key.channel,
            external_id=f"conflict:{kept}:{other}",
            kind=ChangeKind.CONFLICT,
            subject=f"contact:{kept}",
            content={"contacts": [kept, other]},
            sent_at=noticed_at,
            is_waiting=False,
        )
        for other in map(str, contacts)
        if other != kept
    )
    return {record.key: record for record in records}


def new_identities_for(
    found: Mapping[IdentityKey, ContactId],
    owners: Mapping[IdentityKey, IdentityMatch],
    new_id: NewId,
) -> dict[IdentityKey, ContactIdentity]:
    """Give identities that were nobody's to the contacts they were found to belong to."""
    return {
        key: ContactIdentity(
            id=ContactIdentityId(new_id()),
            org_id=key.org_id,
            contact_id=contact_id,
            kind=key.kind,
            value=key.value,
        )
        for key, contact_id in found.items()
        if key not in owners or not owners[key].is_linked
    }
