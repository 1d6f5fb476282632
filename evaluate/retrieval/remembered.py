"""Token vectors of texts that come again: the pools of one repository share most functions.

Method: vectors are kept by the digest of their text, the least recently used dropped above `LIMIT`
bytes; only texts that are not kept are encoded.
Cost: 4 bytes a number, 50 kB for 100 tokens at 128 dimensions.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from train.model import TokenVectors

LIMIT: Final = 768 << 20


@dataclass(kw_only=True, slots=True)
class Remembered:
    """An encoder of documents that encodes no text twice while its vectors are kept."""

    encode: Callable[[Sequence[str]], TokenVectors]
    limit: int = LIMIT
    _vectors: OrderedDict[bytes, NDArray[np.float32]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def __call__(self, texts: Sequence[str]) -> TokenVectors:
        """Vectors of all texts in their order."""
        from train.model import TokenVectors

        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        encoded = self.encode(list(new.values()))
        fresh = {key: encoded[index] for index, key in enumerate(new)}
        rows = [fresh[key] if key in fresh else self._vectors[key] for key in keys]
        for key, row in zip(keys, rows, strict=True):
            self._keep(key, row)
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return TokenVectors(values=np.concatenate(rows), offsets=offsets)

    def _keep(self, key: bytes, row: NDArray[np.float32]) -> None:
        if key not in self._vectors:
            # A view would keep the vectors of its whole batch.
            self._vectors[key] = row.copy()
            self._bytes += row.nbytes
        self._vectors.move_to_end(key)
        while self._bytes > self.limit:
            self._bytes -= self._vectors.popitem(last=False)[1].nbytes
