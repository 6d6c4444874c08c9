"""How often somebody may try to sign in, counted by each worker for itself."""

import math
import time
from dataclasses import dataclass, field

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from application.ports.auth import SignInThrottle


@dataclass(frozen=True, slots=True)
class MovingWindowSignInThrottle(SignInThrottle):
    """So many for a network address, fewer for an account, within a window that moves."""

    per_address: RateLimitItem = field(default_factory=lambda: parse("30/5 minutes"))
    per_account: RateLimitItem = field(default_factory=lambda: parse("10/15 minutes"))
    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    def register_attempt(self, address: str, account: str) -> int:
        # The account is charged only where the address may try at all, or one machine could keep
        # an account's owner out for ever.
        return self._count_attempt(self.per_address, "address", address) or self._count_attempt(
            self.per_account, "account", account
        )

    def _count_attempt(self, limit: RateLimitItem, *key: str) -> int:
        if self.limiter.hit(limit, *key):
            return 0
        return max(
            1, math.ceil(self.limiter.get_window_stats(limit, *key).reset_time - time.time())
        )
