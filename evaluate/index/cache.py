"""Token indexes kept under the fingerprints of what they are made of.

Method: a folder an index in a `xtrove.core.DiskCache`, named by the SHA-256 of model, corpus,
precision and version. After a new index the least recently used are removed until all together
are under `CACHE_BYTES`; one that another process has mapped stays readable there. Two processes
that make the same index at once both make it, and the first to finish gives it its name.
Cost: one hash of the model's weights (1 GB/s).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evaluate.index.token_index import FORMAT, Precision, Progress, TokenIndex, write_index
from train.model import fetch_model, model_digest
from xtrove.core import DamagedData, DiskCache

if TYPE_CHECKING:
    from train.model import TokenVectors

CACHE_BYTES: Final = 20 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexCache:
    """Indexes in a folder of ours."""

    folder: Path
    limit: int = CACHE_BYTES

    def key(self, model: str, corpus: str, precision: Precision) -> str:
        """The name of an index: of a model's folder, a corpus digest and a precision."""
        parts = (FORMAT, model_digest(fetch_model(model)), corpus, precision)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    def index(
        self,
        key: str,
        texts: Sequence[str],
        encode: Callable[[Sequence[str]], TokenVectors],
        *,
        precision: Precision,
        progress: Progress | None = None,
    ) -> TokenIndex:
        """The index of that key, made if it is not there; a damaged one is made anew."""
        folder = self.folder / key
        if folder.is_dir():
            try:
                index: TokenIndex | None = TokenIndex.open(folder)
            except DamagedData:
                index = None
            if index is not None and len(index) == len(texts):
                # Another process may be removing it; it is mapped and stays readable here.
                with suppress(OSError):
                    os.utime(folder)
                return index
            shutil.rmtree(folder, ignore_errors=True)
        with DiskCache(self.folder, self.limit).new_folder(key) as draft:
            write_index(draft, texts, encode, precision=precision, progress=progress)
        return TokenIndex.open(folder)
