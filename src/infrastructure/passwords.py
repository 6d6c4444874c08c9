"""Passwords as argon2id hashes, with the parameters of RFC 9106's second recommendation."""

from dataclasses import dataclass, field

import argon2

from application.ports import PasswordHasher


@dataclass(frozen=True, slots=True)
class Argon2PasswordHasher(PasswordHasher):
    """argon2-cffi's defaults, which follow the RFC as it is amended."""

    hasher: argon2.PasswordHasher = field(default_factory=argon2.PasswordHasher)

    def hash(self, password: str) -> str:
        return self.hasher.hash(password)
