"""Passwords as argon2id hashes, with the parameters that RFC 9106 recommends."""

from dataclasses import dataclass, field
from functools import cached_property

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from application.ports import PasswordHasher


@dataclass(frozen=True)
class Argon2PasswordHasher(PasswordHasher):
    """argon2-cffi's defaults, which follow the RFC as it is amended."""

    hasher: argon2.PasswordHasher = field(default_factory=argon2.PasswordHasher)

    def hash(self, password: str) -> str:
        return self.hasher.hash(password)

    def matches(self, password: str, password_hash: str | None) -> bool:
        nobodys = self._nobodys  # made by the first attempt, whoever's it is
        try:
            return self.hasher.verify(password_hash or nobodys, password) and (
                password_hash is not None
            )
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _nobodys(self) -> str:
        """Compared with where nobody has the address, so that it takes as long."""
        return self.hasher.hash("nobody's")
