"""Traffic for numbers and accounts that no organisation has connected and enabled."""

from dataclasses import dataclass
from datetime import datetime

from domain.connection import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedTraffic:
    """How many messages came for a number or account that nobody has connected and enabled."""

    address: Address
    count: int
    first_at: datetime
    last_at: datetime
