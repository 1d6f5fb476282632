"""The live token vectors of several segments as one token index, and their merging.

Method: `offsets` counts live documents only; the vectors of a run of them are put together from
the pieces that hold them, so that every searcher over a `TokenIndex` works on what is left after
files have changed. Cost: one slice a piece. Limits: int8, as segments are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluate.index import META, Meta, TokenIndex

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """Live documents side by side in one index."""

    index: TokenIndex
    first: int
    """Their first token there."""
    start: int
    """Their first token here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveTokens(TokenIndex):
    """An index over the live documents of others; `values` holds nothing but the width."""

    pieces: tuple[_Piece, ...]
    starts: NDArray[np.int64]
    """`start` of every piece."""

    @property
    def tokens(self) -> int:
        """Token vectors of all live documents."""
        return int(self.offsets[-1])

    @property
    def bytes(self) -> int:
        """Size of the live vectors on disk."""
        return int(self.tokens * (self.values.shape[1] + 4) + self.offsets.nbytes)

    def vectors(self, first: int, last: int, device: torch.device) -> torch.Tensor:
        """Token vectors `first` to `last` (exclusive) in float32 on `device`: (tokens, dim)."""
        import torch

        return torch.from_numpy(self.floats([(first, last)])).to(device)

    def floats(self, runs: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """The vectors of runs of tokens, one after the other: (tokens, dim)."""
        size = sum(last - first for first, last in runs)
        vectors = np.empty((size, self.values.shape[1]), dtype=np.float32)
        done = 0
        for first, last in runs:
            for index, start, stop in self._slices(first, last):
                part = vectors[done : done + stop - start]
                part[:] = index.values[start:stop]
                if index.scales is not None:
                    part *= index.scales[start:stop, None]
                done += stop - start
        return vectors

    def _slices(self, first: int, last: int) -> Iterator[tuple[TokenIndex, int, int]]:
        index = max(0, int(np.searchsorted(self.starts, first, side="right")) - 1)
        while first < last:
            part = self.pieces[index]
            index += 1
            end = int(self.starts[index]) if index < len(self.pieces) else self.tokens
            stop = min(last, end)
            if stop > first:
                skipped = part.first - part.start
                yield part.index, first + skipped, stop + skipped
                first = stop


def live_tokens(parts: Sequence[tuple[TokenIndex, NDArray[np.int32]]]) -> LiveTokens:
    """One index over the documents that have a number, which ascend over all parts."""
    pieces: list[_Piece] = []
    lengths: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    start = 0
    for index, numbers in parts:
        lengths.append(np.diff(index.offsets)[numbers >= 0])
        for first, last in live_runs(numbers):
            tokens = int(index.offsets[first]), int(index.offsets[last])
            pieces.append(_Piece(index=index, first=tokens[0], start=start))
            start += tokens[1] - tokens[0]
    dim = next((index.values.shape[1] for index, _ in parts), 0)
    return LiveTokens(
        values=np.zeros((0, dim), dtype=np.int8),
        scales=None,
        offsets=np.concatenate([np.zeros(1, dtype=np.int64), *lengths]).cumsum(),
        pieces=tuple(pieces),
        starts=np.array([part.start for part in pieces], dtype=np.int64),
    )


def live_runs(numbers: NDArray[np.int32]) -> list[tuple[int, int]]:
    """First and last (exclusive) of the documents side by side that have a number."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], numbers >= 0, [False]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def merge_tokens(folder: Path, parts: Sequence[tuple[TokenIndex, NDArray[np.int32]]]) -> None:
    """Copies the live vectors of int8 indexes into a new one; numbers ascend over all parts."""
    folder.mkdir()
    lengths = [np.zeros(1, dtype=np.int64)]
    dim = 0
    with (folder / "values.bin").open("wb") as values, (folder / "scales.bin").open("wb") as side:
        for index, numbers in parts:
            if index.scales is None:
                raise ValueError("segments hold int8 indexes, this one is fp16")
            dim = index.values.shape[1]
            lengths.append(np.diff(index.offsets)[numbers >= 0])
            for first, last in live_runs(numbers):
                run = slice(int(index.offsets[first]), int(index.offsets[last]))
                values.write(np.ascontiguousarray(index.values[run]).data)
                side.write(np.ascontiguousarray(index.scales[run]).data)
    offsets = np.concatenate(lengths).cumsum().astype("<i8")
    (folder / "offsets.bin").write_bytes(offsets.tobytes())
    meta = Meta(precision="int8", dim=dim, documents=len(offsets) - 1, tokens=int(offsets[-1]))
    (folder / META).write_bytes(meta.as_bytes())
