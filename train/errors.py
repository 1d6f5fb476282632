"""What ends a run: one exception with the words and the remedy; the hall makes it an exit code."""

from __future__ import annotations


class TrainingFault(RuntimeError):
    """The run cannot go on; `remedy` says what to change."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Mismatch(TrainingFault):
    """The words do not fit what is there: another config, another dataset, no such device."""


class Stopped(TrainingFault):
    """Somebody asked for the end; everything up to the last step is saved."""
