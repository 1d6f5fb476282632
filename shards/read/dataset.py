"""Reading a dataset: by shard, by id, and why a pair is not in it.

Indexes are memory-mapped once and kept, tars are read at the offsets the index names. `get`
searches one index a language and split: about 20 microseconds each, and one read of the tar.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyarrow as pa

from shards.format import (
    MAX_PAYLOAD_BYTES,
    Index,
    Manifest,
    Sample,
    ShardFacts,
    decode,
    layout,
    load_manifest,
    open_index,
)
from shards.write import Removal, find_removal
from xtrove.core import DamagedData


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One tar with its mapped index."""

    facts: ShardFacts
    tar: Path
    index: Index

    def payload(self, row: int) -> bytes:
        """The JSON bytes of a row. `DamagedData` where the index points outside the tar."""
        entry = self.index.entry(row)
        if not 0 <= entry.size <= MAX_PAYLOAD_BYTES or entry.offset < 0:
            raise DamagedData(f"{self.facts.path}: {entry.key} has size {entry.size}")
        with self.tar.open("rb") as stream:
            stream.seek(entry.offset)
            payload = stream.read(entry.size)
        if len(payload) != entry.size:
            raise DamagedData(f"{self.facts.path}: {entry.key} ends outside the tar")
        return payload

    def sample(self, row: int) -> Sample:
        """The sample of a row."""
        sample = decode(self.payload(row))
        key = self.index.entry(row).key
        if sample["id"] != key:
            raise DamagedData(f"{self.facts.path}: {key} holds the sample {sample['id']!r}")
        return sample

    def samples(self) -> Iterator[Sample]:
        """All samples in id order, read in one pass."""
        offsets, sizes = self.index.numbers("offset"), self.index.numbers("size")
        with self.tar.open("rb") as stream:
            for offset, size in zip(offsets.tolist(), sizes.tolist(), strict=True):
                if not 0 <= size <= MAX_PAYLOAD_BYTES or offset < 0:
                    raise DamagedData(f"{self.facts.path}: an index row has size {size}")
                stream.seek(offset)
                yield decode(stream.read(size))


@contextmanager
def reading(path: Path, consequence: str = "") -> Iterator[None]:
    """What reading a damaged dataset raises becomes `DamagedData` that names `xtrove verify`.

    `consequence` says first what it means for the command, as "nothing was exported".
    """
    try:
        yield
    except (DamagedData, UnicodeError, pa.ArrowException) as error:
        raise DamagedData(
            f"{consequence or path}: the dataset is incomplete or damaged: {error}",
            remedy=f"`xtrove verify {path}` says what is wrong",
        ) from None


@dataclass(kw_only=True, slots=True)
class Dataset:
    """A published dataset in a folder."""

    path: Path
    manifest: Manifest
    _shards: dict[str, Shard] = field(default_factory=dict)
    _ranges: dict[tuple[str, str], tuple[list[str], list[Shard]]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Reads the manifest; `ManifestError` (and its kinds) where there is none to read."""
        return cls(path=path, manifest=load_manifest(path))

    def languages(self) -> list[str]:
        """Languages that have samples, sorted."""
        return self.manifest.languages()

    def counts(self) -> dict[str, dict[str, int]]:
        """Samples by language and split."""
        return self.manifest.counts()

    def shard(self, facts: ShardFacts) -> Shard:
        """The shard with its index mapped; `DamagedData` where it is damaged."""
        shard = self._shards.get(facts.path)
        if shard is None:
            tar = layout.safe_file(self.path, facts.path)
            index = layout.safe_file(self.path, layout.index_path(facts.path))
            shard = Shard(facts=facts, tar=tar, index=open_index(index))
            self._shards[facts.path] = shard
        return shard

    def shards(self, *, language: str | None = None, split: str | None = None) -> Iterator[Shard]:
        """The shards in the order of their paths, all or those of a language or split."""
        for facts in self.manifest.shards:
            if language in (None, facts.language) and split in (None, facts.split):
                yield self.shard(facts)

    def samples(self, *, language: str | None = None, split: str | None = None) -> Iterator[Sample]:
        """The samples of those shards."""
        for shard in self.shards(language=language, split=split):
            yield from shard.samples()

    def find(self, sample_id: str) -> tuple[Shard, int] | None:
        """Where a sample stands: its shard and row, or None.

        One binary search over the first ids of each language and split, one in an index.
        """
        for firsts, shards in self._series().values():
            number = bisect_right(firsts, sample_id) - 1
            if number >= 0:
                row = shards[number].index.find(sample_id)
                if row is not None:
                    return shards[number], row
        return None

    def _series(self) -> dict[tuple[str, str], tuple[list[str], list[Shard]]]:
        if not self._ranges:
            for shard in self.shards():
                key = (shard.facts.language, shard.facts.split)
                firsts, shards = self._ranges.setdefault(key, ([], []))
                firsts.append(shard.index.first())
                shards.append(shard)
        return self._ranges

    def get(self, sample_id: str) -> Sample | None:
        """A sample by id, or None where it is not in the dataset."""
        location = self.find(sample_id)
        return location[0].sample(location[1]) if location else None

    def removal(self, sample_id: str) -> Removal | None:
        """Why a pair was removed, or None."""
        return find_removal(self.path, sample_id)
