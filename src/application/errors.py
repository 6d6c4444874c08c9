"""Errors of the ports, one for each dependency (D16). No text holds a person's data (D18)."""


class DependencyUnavailable(Exception):
    """A dependency does not answer. A write may or may not have happened; repeating it is safe."""


class StorageUnavailable(DependencyUnavailable):
    """The storage does not answer, or cannot write now."""


class SchemaOutdated(StorageUnavailable):
    """The storage answers, but its schema is another version's. The text names both versions."""


class KeySetUnavailable(DependencyUnavailable):
    """The key set of the identity provider cannot be fetched."""


class ConcurrentUpdate(Exception):
    """Another transaction was first. Nothing was written; a repetition finds its rows."""


class StorageRefused(Exception):
    """The storage rejects the data, by a constraint or type. The text names it, not the data."""


class SpoolUnavailable(Exception):
    """The spool cannot be read, written or locked. The text says why."""


class SpoolFull(SpoolUnavailable):
    """The spool, or the disk it is on, has no room."""


class TokenDecryptionError(Exception):
    """An access token cannot be decrypted: its key is missing, or it is another connection's."""


class TokenIssuingDisabled(Exception):
    """Only the identity provider issues session tokens here: there is no secret to sign with."""
