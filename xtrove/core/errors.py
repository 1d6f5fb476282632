"""What stops a command: one exception with the exit code, the words and the remedy.

Exit codes: 0 done, 1 the work failed, 2 the words or the config are wrong, 130 interrupted.
"""

from __future__ import annotations


class Stop(Exception):
    """The command ends here; `message` names the key or file and the value, `remedy` what to do."""

    def __init__(self, message: str, *, remedy: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code


class Misuse(Stop):
    """The words or the config are wrong: exit 2, before any work."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy, code=2)


class Interrupted(Stop):
    """Ctrl-C or SIGTERM: everything finished so far is kept."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy, code=130)
