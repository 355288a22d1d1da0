"""What a call of heirmark raises. Every class has the `code` with which the command ends for the same reason (specs/cli.md)."""

__all__ = ["BadInputError", "Error", "EvidenceError", "IOFailureError", "KeyAccessError", "StoppedError", "UsageError"]


class Error(Exception):
    """Any error of heirmark: one line for a person, which never holds a secret."""

    code: int = 3


class EvidenceError(Error):
    """Evidence that does not check out."""

    code = 1


class UsageError(Error, ValueError):
    """A call that makes no sense: a bug of the caller."""

    code = 2


class BadInputError(Error, ValueError):
    """Data that is malformed, truncated or out of range; the message names file, line or field."""

    code = 3


class KeyAccessError(Error):
    """A wrong passphrase, an unknown key or account, or a missing permission."""

    code = 4


class IOFailureError(Error):
    """Disk, pipe, process or device."""

    code = 5


class StoppedError(Error):
    """Stopped by a callback; the same call again goes on, or starts again."""

    code = 6


BY_CODE: dict[int, type[Error]] = {cls.code: cls for cls in (EvidenceError, UsageError, BadInputError, KeyAccessError, IOFailureError, StoppedError)}
