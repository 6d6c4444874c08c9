"""Events: an append-only log of what happened, for exports, automations and audits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NewType
from uuid import UUID

from domain.organization import OrgId

EventId = NewType("EventId", UUID)

LEAD_CAPTURED = "lead_captured"
MESSAGE_SENT = "message_sent"
MESSAGE_EDITED = "message_edited"
MESSAGE_DELETED = "message_deleted"
MESSAGE_REACTED = "message_reacted"
CONSENT_CHANGED = "consent_changed"
IDENTITY_CHANGED = "identity_changed"
IDENTITY_CONFLICT = "identity_conflict"
CONNECTION_REFUSED = "connection_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of the event log. `payload` holds ids, never texts or phone numbers (D18)."""

    id: EventId
    org_id: OrgId
    type: str
    payload: Mapping[str, Any]
