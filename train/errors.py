"""What ends a run that cannot go on."""

from __future__ import annotations

from xtrove.core import XtroveError


class TrainingFault(XtroveError):
    """The run cannot go on; `remedy` says what to change."""
