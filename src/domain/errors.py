"""What the domain refuses, in words a person can act on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot stay as it is, and what would be right."""

    field: str
    message: str


class DomainError(Exception):
    """The root of what the domain refuses; its text may be shown to the person who asked."""


class InvalidInput(DomainError):
    """Some fields are wrong; `errors` names each of them."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class NumberConnectedElsewhere(DomainError):
    """The number is enabled in another organisation.

    The text does not say in which: that one's business is nobody else's.
    """

    def __init__(self) -> None:
        super().__init__(
            "this id cannot be enabled here, because it is already in use; "
            "save it disabled, or ask the provider's support"
        )


class Forbidden(DomainError):
    """The person may not do this in that organisation."""


class NotSignedIn(DomainError):
    """Nobody is signed in, or no longer."""


class WrongCredentials(DomainError):
    """The address and the password do not go together; which of them is wrong is not told."""

    def __init__(self) -> None:
        super().__init__("the e-mail address or the password is wrong")


class TooManyAttempts(DomainError):
    """Signing in was tried too often; `retry_after` says in how many seconds to try again."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after} seconds")
        self.retry_after = retry_after


class NotFound(DomainError):
    """There is no such thing, or none that may be seen."""
