"""Passwords as argon2id hashes."""

from dataclasses import dataclass, field
from functools import cached_property

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from application.ports.auth import PasswordHasher

MEMORY_KIB = 19 * 1024
"""KiB; with two passes in one lane the first choice of OWASP's Password Storage Cheat Sheet. Those of
RFC 9106 take 64 MiB, out of the same worker that takes deliveries."""


def _make_owasp_hasher() -> argon2.PasswordHasher:
    return argon2.PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)


@dataclass(frozen=True)
class Argon2PasswordHasher(PasswordHasher):
    """Compares with hashes of any parameters, which they carry."""

    hasher: argon2.PasswordHasher = field(default_factory=_make_owasp_hasher)

    def hash(self, password: str) -> str:
        return self.hasher.hash(password)

    def verify(self, password: str, password_hash: str | None) -> bool:
        dummy_hash = self._dummy_hash  # made by the first attempt, whoever's it is
        try:
            return self.hasher.verify(password_hash or dummy_hash, password) and (
                password_hash is not None
            )
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _dummy_hash(self) -> str:
        """Compared with where nobody has the address, so that it takes as long."""
        return self.hasher.hash("nobody's")
