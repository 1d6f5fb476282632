"""The samples a reader has: positions 0..len-1 over the rows of many indexes.

Method: without a filter of rows a position is a shard and a row by one binary search over the
manifest's counts, and no index is opened. With one, each shard keeps a bit a row, and the rows
of a shard are listed when it is used.
Cost: one bit a sample with a filter, nothing without; columns are gathered shard by shard.
Limits: rows of at most `_KEPT` filtered shards stay listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shards.access import Indexes, MappedIndex, Rows
from shards.format import ShardFacts
from shards.loader.permutation import Positions
from shards.loader.state import Select
from xtrove.core import DamagedData

_KEPT: Final = 64


class Selection:
    """Positions of the selected samples of these shards."""

    def __init__(self, shards: Sequence[ShardFacts], indexes: Indexes, select: Select) -> None:
        self.shards = tuple(shards)
        self.languages = tuple(sorted({facts.language for facts in shards}))
        self._indexes = indexes
        self._bits: dict[int, NDArray[np.uint8]] = {}
        self._rows: dict[int, Rows] = {}
        counts = [facts.samples for facts in shards]
        if select.needs_index:
            counts = [self._choose(number, select) for number in range(len(shards))]
            indexes.release()
        self.counts = np.array(counts, dtype=np.int64)
        self.bases = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)
        numbers = {language: number for number, language in enumerate(self.languages)}
        self.shard_languages = np.array(
            [numbers[shard.language] for shard in shards], dtype=np.int64
        )

    def __len__(self) -> int:
        return int(self.bases[-1])

    def shard_of(self, positions: Positions) -> Positions:
        """The number of each position's shard, shape (n,)."""
        shards: Positions = np.searchsorted(self.bases, positions, side="right") - 1
        return shards

    def by_shard(self, positions: Positions) -> Iterator[tuple[int, Positions, Rows]]:
        """For each shard of the positions: its number, where they stand among them, their rows."""
        order = np.argsort(positions)
        ordered = positions[order]
        cuts = np.searchsorted(ordered, self.bases)
        for shard in np.flatnonzero(np.diff(cuts)).tolist():
            part = slice(int(cuts[shard]), int(cuts[shard + 1]))
            yield shard, order[part], self._rows_of(shard, ordered[part] - self.bases[shard])

    def index(self, shard: int) -> MappedIndex:
        """The mapped index of a shard."""
        return self._indexes.get(shard)

    def numbers(self, column: str, positions: Positions) -> NDArray[np.int64]:
        """`tokens` or `quality` of these positions, shape (n,)."""
        values = np.empty(len(positions), dtype=np.int64)
        for shard, where, rows in self.by_shard(positions):
            values[where] = self.index(shard).numbers(column, rows)
        return values

    def hashes(self, column: str, positions: Positions) -> NDArray[np.uint64]:
        """`query_group` or `code_sha256` of these positions as 64-bit numbers, shape (n,)."""
        return self.many_hashes((column,), positions)[0]

    def many_hashes(
        self, columns: Sequence[str], positions: Positions
    ) -> tuple[NDArray[np.uint64], ...]:
        """The same of several columns, each index opened once."""
        hashes = tuple(np.empty(len(positions), dtype=np.uint64) for _ in columns)
        for shard, where, rows in self.by_shard(positions):
            index = self.index(shard)
            for column, values in zip(columns, hashes, strict=True):
                values[where] = index.hashes(column, rows)
        return hashes

    def _choose(self, shard: int, select: Select) -> int:
        index = self.index(shard)
        chosen = index.chosen(select.min_quality, select.license_classes)
        if len(chosen) != self.shards[shard].samples:
            raise DamagedData(f"{self.shards[shard].path}: its index has {len(chosen)} rows")
        self._bits[shard] = np.packbits(chosen)
        index.release()
        return int(chosen.sum())

    def _rows_of(self, shard: int, chosen: Rows) -> Rows:
        bits = self._bits.get(shard)
        if bits is None:
            return chosen
        rows = self._rows.pop(shard, None)
        if rows is None:
            while len(self._rows) >= _KEPT:
                del self._rows[next(iter(self._rows))]
            rows = np.flatnonzero(np.unpackbits(bits))
        self._rows[shard] = rows
        shard_rows: Rows = rows[chosen]
        return shard_rows
