"""Token indexes kept under the fingerprints of what they are made of.

Method: a folder an index, named by the SHA-256 of model, corpus, precision and version; its time of
last use is that of `meta.json`. After a new index the least recently used are removed until all
together are under `CACHE_BYTES`; one that another process has mapped stays readable there. What a
killed process left half written is removed before the next index is made. Two processes that make
the same index at once both make it, and the first to finish gives it its name.
Cost: one hash of the model's weights (1 GB/s). Limits: the place is `$XTROVE_CACHE/indexes`, else
`~/.cache/xtrove/indexes`.
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

from evaluate.index.token_index import (
    FORMAT,
    META,
    Precision,
    Progress,
    TokenIndex,
    TokenIndexError,
    build_index,
    remove_abandoned,
)
from train.model import fetch_model, model_digest
from xtrove.core import private_folder

if TYPE_CHECKING:
    from train.model import TokenVectors

CACHE_BYTES: Final = 20 << 30


def cache_folder() -> Path:
    """Where indexes are kept."""
    given = os.environ.get("XTROVE_CACHE")
    base = Path(given).expanduser() if given else Path.home() / ".cache" / "xtrove"
    return base / "indexes"


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
        place = self.folder / key
        if place.is_dir():
            try:
                found: TokenIndex | None = TokenIndex.open(place)
            except TokenIndexError:
                found = None
            if found is not None and len(found) == len(texts):
                # Another process may be removing it; it is mapped and stays readable here.
                with suppress(OSError):
                    os.utime(place / META)
                return found
            shutil.rmtree(place, ignore_errors=True)
        private_folder(self.folder)
        remove_abandoned(self.folder)
        made = build_index(place, texts, encode, precision=precision, progress=progress)
        self._cut(place)
        return made

    def _cut(self, newest: Path) -> None:
        """Removes the least recently used until the limit holds; the newest always stays."""
        held: list[tuple[float, int, Path]] = []
        for place in self.folder.iterdir():
            try:
                used = (place / META).stat().st_mtime
                size = sum(file.stat().st_size for file in place.iterdir())
            except OSError:
                continue  # Being written, or being removed by another process.
            held.append((used, size, place))
        total = sum(size for _, size, _ in held)
        for _, size, place in sorted(held):
            if total <= self.limit:
                break
            if place != newest:
                shutil.rmtree(place, ignore_errors=True)
                total -= size
