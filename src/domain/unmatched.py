"""Traffic for numbers and accounts that no organisation has connected and enabled."""

from dataclasses import dataclass
from datetime import datetime

from domain.connection import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedTraffic:
    """The count of messages for an address without an enabled connection, and when they came."""

    address: Address
    count: int
    first_at: datetime
    last_at: datetime
