"""Every exception of ours, by what its receiver can do about it.

    XtroveError                     exit 1    the work failed
    ├── Misuse                      exit 2    arguments, a config or what they name cannot be used
    │   ├── SourceError             ingest             a source cannot be read as configured
    │   │   ├── ChangedInput        ingest             a file is no longer the one that was planned
    │   │   └── Denied              ingest.transport   S3 refuses access
    │   ├── ManifestError           shards.format      a dataset that cannot be opened
    │   │   ├── NotADataset                            there is no manifest
    │   │   ├── UnfinishedBuild                        its build is not done
    │   │   └── NewerFormat                            a later version wrote it
    │   ├── PlanError               shards.loader      nothing to read with these options
    │   ├── StateError              shards.loader      a reader's state that belongs elsewhere
    │   ├── EvaluationSetError      dedupe             a set of `decontaminate:`
    │   ├── CorpusError             evaluate.corpora   what is to be searched cannot be read
    │   ├── ModelError              train              a model that cannot be loaded or used
    │   └── SpecError               evaluate.spec      a query spec, every problem with its line
    ├── Interrupted                 exit 130  Ctrl-C or SIGTERM; what is finished is kept
    ├── TransientFault              ingest    reading failed for a reason that may pass
    ├── DamagedData                           files of ours are missing or not as they were written
    └── TrainingFault               train     a run cannot go on

The command line prints `message` and `remedy` of an `XtroveError` and ends with its `exit_code`;
it knows no other class. Below these stand exceptions of one folder that its neighbours handle
(`BrokenStream`, `RefusedRow`, ...): they derive from `XtroveError` and reach no caller.
"""

from __future__ import annotations

import errno
from typing import ClassVar


class XtroveError(Exception):
    """The work failed. `message` names the key or file and the value, `remedy` what to do.

    `str()` gives both. `remedy` without an argument is that of the class.
    """

    exit_code: ClassVar[int] = 1
    usual_remedy: ClassVar[str] = ""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.usual_remedy

    def __str__(self) -> str:
        if not self.remedy:
            return self.message
        return f"{self.message}{'. ' if self.remedy[0].isupper() else ': '}{self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses have parameters of their own: called with `args`, they would not come back
        # from another process.
        return (_restored, (type(self), self.args, self.__dict__))


class Misuse(XtroveError):
    """Arguments, a config or what they name cannot be used: found before any work."""

    exit_code = 2


class Interrupted(XtroveError):
    """Ctrl-C or SIGTERM: everything finished so far is kept."""

    exit_code = 130


FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What the system says where nothing more can be written."""
FREE_SPACE = (
    "free space (or move `work:` to another disk), then run the same command again: "
    "what is finished is kept"
)


def system_fault(error: OSError) -> XtroveError:
    """What the system refused: its own words, with what to do."""
    remedy = FREE_SPACE if error.errno in FULL_DISK else "correct it and run the same command again"
    return XtroveError(f"cannot go on: {error}", remedy=remedy)


class DamagedData(XtroveError, ValueError):
    """Files of ours are missing, or not as they were written."""


def _restored(
    kind: type[XtroveError], args: tuple[object, ...], attributes: dict[str, object]
) -> XtroveError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
