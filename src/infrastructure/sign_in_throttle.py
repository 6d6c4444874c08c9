"""Limits sign-in attempts by network address and account; each worker counts for itself (D37)."""

import math
import time
from dataclasses import dataclass, field
from datetime import timedelta

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from application.ports.auth import SignInThrottle


@dataclass(frozen=True, slots=True)
class MovingWindowSignInThrottle(SignInThrottle):
    """Allows so many attempts for a network address, and fewer for an account, in a moving window."""

    per_address: RateLimitItem = field(default_factory=lambda: parse("30/5 minutes"))
    per_account: RateLimitItem = field(default_factory=lambda: parse("10/15 minutes"))
    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    def register_attempt(self, client_ip: str, account: str) -> timedelta | None:
        # The account is charged only where the address is allowed. Else one machine could lock
        # the owner of an account out without end.
        return self._hit(self.per_address, "address", client_ip) or self._hit(
            self.per_account, "account", account
        )

    def _hit(self, limit: RateLimitItem, *key: str) -> timedelta | None:
        if self.limiter.hit(limit, *key):
            return None
        reset_at = self.limiter.get_window_stats(limit, *key).reset_time
        return timedelta(seconds=max(1, math.ceil(reset_at - time.time())))
