"""Makes stored entities for tests of the repositories, and adds them."""

from datetime import datetime

from domain.failed_message import FailedMessage, FailedMessageId
from domain.organization import OrgId
from tests.support.builders import new_id


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
