"""Domain errors: refusals whose text may be shown to the person who asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """A wrong field, and what a right value looks like."""

    field: str
    message: str


class DomainError(Exception):
    """The root of all domain errors. Its text may be shown to the person who asked."""


class InvalidInput(DomainError):
    """Some fields are wrong. `errors` names each of them."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class NumberConnectedElsewhere(DomainError):
    """The number is enabled in another organisation.

    The text does not say which: organisations do not learn of each other.
    """

    def __init__(self) -> None:
        super().__init__(
            "this id cannot be enabled here, because it is already in use; "
            "save it disabled, or ask the operator of this service"
        )


class Forbidden(DomainError):
    """The actor may not do this in that organisation."""


class NotSignedIn(DomainError):
    """The request has no session, or one that has ended."""


class WrongCredentials(DomainError):
    """The e-mail address or the password is wrong. The text does not say which."""

    def __init__(self) -> None:
        super().__init__("the e-mail address or the password is wrong")


class TooManyAttempts(DomainError):
    """There were too many sign-in attempts. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after} seconds")
        self.retry_after = retry_after


class NotFound(DomainError):
    """The thing does not exist, or the actor may not see it."""
