"""Decides which contact each person of a batch is, from the identities that the delivery shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.change import ChangeId, ChangeKind, ChangeRecord
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactIdentityId,
    IdentityKey,
    IdentityMatch,
)
from domain.ids import NewId
from domain.message import MessageKey


@dataclass(frozen=True, slots=True)
class ContactPlan:
    """The contacts behind the messages or changes of a batch, and what becomes of them.

    `contact_ids` lacks the changes whose person is unknown. `changed_contacts` holds each contact
    as it was read and as it becomes. `conflicts` records pairs of contacts that share one person.
    """

    contact_ids: Mapping[MessageKey, ContactId]
    new_contacts: Mapping[ContactId, Contact]
    changed_contacts: Mapping[ContactId, tuple[Contact, Contact]]
    new_identities: Mapping[IdentityKey, ContactIdentity]
    conflicts: Mapping[MessageKey, ChangeRecord]


@dataclass(slots=True)
class IdentityResolver:
    """Resolves the people of one batch, one after the other, and remembers their identities.

    Identities seen together are one person's, so a new one goes to the contact of a known one. Of
    several known identities the first decides the contact. If they belong to several contacts,
    nothing is merged or moved, and a conflict is recorded (D8).
    """

    matches: Mapping[IdentityKey, IdentityMatch]
    new_id: NewId
    _contact_ids: dict[MessageKey, ContactId] = field(default_factory=dict)
    _contacts: dict[ContactId, Contact] = field(default_factory=dict)
    _by_identity: dict[IdentityKey, ContactId] = field(default_factory=dict)
    _assigned: dict[IdentityKey, None] = field(default_factory=dict)
    _conflicts: dict[MessageKey, ChangeRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_identity = {key: match.contact.id for key, match in self.matches.items()}
        self._contacts = {match.contact.id: match.contact for match in self.matches.values()}

    def find(
        self, key: MessageKey, identities: Sequence[IdentityKey], seen_at: datetime
    ) -> Contact | None:
        """Return the contact of the item `key` with this batch's changes; None if it is unknown."""
        known = [self._by_identity[each] for each in identities if each in self._by_identity]
        if not known:
            return None
        holders = [
            match.phone_holder_id
            for match in map(self.matches.get, identities)
            if match and match.phone_holder_id
        ]
        self._conflicts |= _make_conflict_records(key, [*known, *holders], seen_at, self.new_id)
        return self._contacts[known[0]]

    def may_take_phone(self, identity: IdentityKey, contact: Contact) -> bool:
        """Whether the contact may have this number as its `phone`: no other contact has it."""
        match = self.matches.get(identity)
        return self._by_identity.get(identity) in (None, contact.id) and (
            match is None or match.phone_holder_id is None
        )

    def assign(self, key: MessageKey, identities: Sequence[IdentityKey], contact: Contact) -> None:
        """Assign the updated contact to the item `key`, and the new identities to the contact."""
        self._contact_ids[key] = contact.id
        self._contacts[contact.id] = contact
        for identity in identities:
            self._by_identity.setdefault(identity, contact.id)
            self._assigned[identity] = None

    def plan(self) -> ContactPlan:
        """Return what all items together make of contacts and identities."""
        stored = {match.contact.id: match.contact for match in self.matches.values()}
        return ContactPlan(
            contact_ids=self._contact_ids,
            new_contacts={id_: c for id_, c in self._contacts.items() if id_ not in stored},
            changed_contacts={
                id_: (old, self._contacts[id_])
                for id_, old in stored.items()
                if self._contacts[id_] != old
            },
            new_identities={
                key: ContactIdentity(
                    id=ContactIdentityId(self.new_id()),
                    org_id=key.org_id,
                    contact_id=self._by_identity[key],
                    kind=key.kind,
                    value=key.value,
                )
                for key in self._assigned
                if key not in self.matches or not self.matches[key].is_linked
            },
            conflicts=self._conflicts,
        )


def _make_conflict_records(
    key: MessageKey, contacts: Sequence[ContactId], seen_at: datetime, new_id: NewId
) -> dict[MessageKey, ChangeRecord]:
    """Record, once for each pair, that the identities of one person belong to several contacts.

    The first contact has the item `key`.
    """
    kept = str(contacts[0])
    records = (
        ChangeRecord(
            id=ChangeId(new_id()),
            org_id=key.org_id,
            channel=key.channel,
            external_id=f"conflict:{kept}:{other}",
            kind=ChangeKind.CONFLICT,
            subject=f"contact:{kept}",
            content={"contacts": [kept, other]},
            sent_at=seen_at,
            is_waiting=False,
        )
        for other in map(str, contacts)
        if other != kept
    )
    return {record.key: record for record in records}
