"""What can go wrong with a source, by what the build must do about it.

`SourceError` stops the build (the config or the input must change), `TransientFault` asks for
another try, and neither is used for bad rows: those are `Skip` records.
Limits: an `OSError` is transient only if its errno says so (`TRANSIENT_ERRNOS`).
"""

from __future__ import annotations

import errno

from xtrove.core import Misuse, XtroveError

TRANSIENT_ERRNOS = frozenset(
    {
        errno.EIO,
        errno.EAGAIN,
        errno.EINTR,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
    }
)


class SourceError(Misuse):
    """A source cannot be used as configured; `value` is what was wrong."""

    def __init__(self, message: str, *, value: object, remedy: str) -> None:
        super().__init__(f"{message}: {value}", remedy)
        self.value = value


class ChangedInput(SourceError):
    """A file is no longer the one that was planned."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "an input file changed after it was planned",
            value=path,
            remedy="Leave the input alone while it is read, and run the same command again.",
        )


class TransientFault(XtroveError):
    """Reading failed for a reason that may pass; the slice can be tried again."""

    usual_remedy = "Run the same command again."

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"reading failed for now: {path}: {cause}")
        self.path = path
        self.cause = cause


def is_transient(error: OSError) -> bool:
    """Whether trying again may help; a missing errno (a decoder's error) means no."""
    return error.errno in TRANSIENT_ERRNOS
