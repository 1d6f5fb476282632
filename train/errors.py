"""What ends a run that cannot go on, and what is wrong with a model that is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xtrove.core import Misuse, XtroveError


class TrainingFault(XtroveError):
    """The run cannot go on; `remedy` says what to change."""


class ModelError(Misuse, ValueError):
    """A model, its tokenizer or what stands beside them cannot be loaded or used."""


@contextmanager
def model_faults(path: Path) -> Iterator[None]:
    """What libraries raise about the files of a model becomes `ModelError` with its path.

    They raise all kinds: tokenizers plain `Exception`, safetensors a class of its own.
    """
    try:
        yield
    except XtroveError:
        raise
    except Exception as error:
        raise ModelError(f"{path}: {type(error).__name__}: {error}") from error
