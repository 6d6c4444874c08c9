"""What can go wrong behind a port, in the words of those who ask through it."""


class StorageUnavailable(Exception):
    """The storage does not answer; nothing was kept, and the same again may work later."""


class ConcurrentUpdate(Exception):
    """Another transaction was first; nothing was kept, and doing it again finds its rows."""


class TokenDecryptionError(Exception):
    """An access token cannot be opened: another key, or another connection's."""


class TokenIssuingDisabled(Exception):
    """Tokens are an identity provider's here; there is no secret to sign our own with."""


class StorageRefused(Exception):
    """The storage will not take this; its text names the reason without any of the data."""


class SpoolUnavailable(Exception):
    """The spool cannot be read, written or locked; the text names the cause."""


class SpoolFull(SpoolUnavailable):
    """The spool has no room left: its file has its largest size, or its disk is full."""
