"""The actors of a transaction: who acts decides what the storage lets it see and write (D13)."""

from dataclasses import dataclass
from typing import TypeAlias

from domain.organization import UserId


@dataclass(frozen=True, slots=True)
class WebhookWriter:
    """The service, storing what Meta delivered. It reads neither access tokens nor memberships."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """The service, checking a password or a session. It reads people and ended sessions only."""


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A person with a session. They see and change what their memberships allow, at most."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class Operator:
    """A person at the command line of the server. They act as the owner of the database."""


Actor: TypeAlias = WebhookWriter | Authenticator | SignedInUser | Operator

ConnectionManager: TypeAlias = SignedInUser | Operator
"""The actors that may manage connections, if their memberships allow it."""
