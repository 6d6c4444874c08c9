"""Limits sign-in attempts per network address and per account, in each worker's memory."""

import math
import time
from dataclasses import dataclass, field

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from application.ports.auth import SignInThrottle


@dataclass(frozen=True, slots=True)
class MovingWindowSignInThrottle(SignInThrottle):
    """Counts attempts in moving windows: 30 in 5 min per address, 10 in 15 min per account.

    Workers do not share their counts.
    """

    per_address: RateLimitItem = field(default_factory=lambda: parse("30/5 minutes"))
    per_account: RateLimitItem = field(default_factory=lambda: parse("10/15 minutes"))
    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    def register_attempt(self, address: str, account: str) -> int:
        # An attempt counts for the account only if the address is below its limit. Otherwise one
        # machine could lock an account's owner out permanently.
        return self._count_attempt(self.per_address, "address", address) or self._count_attempt(
            self.per_account, "account", account
        )

    def _count_attempt(self, limit: RateLimitItem, *key: str) -> int:
        """Count an attempt; return 0 if it is allowed, else the seconds until the next one is."""
        if self.limiter.hit(limit, *key):
            return 0
        reset_at = self.limiter.get_window_stats(limit, *key).reset_time
        return max(1, math.ceil(reset_at - time.time()))
