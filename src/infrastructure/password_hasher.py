"""Hashes passwords with argon2id."""

from dataclasses import dataclass, field
from functools import cached_property

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from application.ports.auth import PasswordHasher

MEMORY_KIB = 19 * 1024
"""19 MiB, with two passes and one lane: the first choice of OWASP's Password Storage Cheat Sheet.

RFC 9106 recommends 64 MiB, but hashing shares the memory of the worker that receives deliveries
(D43).
"""


def _make_owasp_hasher() -> argon2.PasswordHasher:
    return argon2.PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)


@dataclass(frozen=True)
class Argon2PasswordHasher(PasswordHasher):
    """Hashes with the parameters of `hasher`; verifies hashes of any parameters they record."""

    hasher: argon2.PasswordHasher = field(default_factory=_make_owasp_hasher)

    def hash(self, password: str) -> str:
        return self.hasher.hash(password)

    def verify(self, password: str, password_hash: str | None) -> bool:
        # Read it in every case: otherwise the first attempt without an account takes longer.
        dummy_hash = self._dummy_hash
        try:
            return self.hasher.verify(password_hash or dummy_hash, password) and (
                password_hash is not None
            )
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _dummy_hash(self) -> str:
        """The hash to compare with where no account has the address, so timing reveals nothing."""
        return self.hasher.hash("no account")
