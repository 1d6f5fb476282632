"""Mined negatives as training takes them: for each sample some of its negatives, drawn by epoch.

Method: the ids of `xtrove mine` are looked up once among the reader's keys (their first 64 bits)
and kept as positions; which of them a sample gets in an epoch is a pure function of (seed, epoch,
position), so that a resumed run gets the same. Cost: 8 bytes a sample and 12 a negative in memory,
shared by forked loader processes; reading a negative is one read of a shard. Limits: a negative
that the selection of the run leaves out (another language list, quality) is not used, and a sample
without negatives trains with those of its batch alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from train.json_files import read_json
from train.mining.miner import FACTS, SCHEMA
from xtrove.core import Misuse

MAX_NEGATIVES: Final = 1_000
"""A row with more is none of ours."""


class Positions(Protocol):
    """A reader: samples by position."""

    def samples(self, positions: Sequence[int]) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class MinedNegatives:
    """Negatives by sample; `of` is what `train.data.collate.Collate` calls."""

    open: Callable[[], Positions]
    """Opens a reader: every loader process has one of its own."""
    seed: int
    per_query: int
    keys: NDArray[np.uint64]
    """First 64 bits of the ids that have negatives, sorted, shape (n,)."""
    starts: NDArray[np.int64]
    """Row i's negatives are `positions[starts[i] : starts[i + 1]]`, best first."""
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    own: NDArray[np.float32]
    """Score of the answer, shape (n,)."""
    opened: dict[int, Positions] = field(default_factory=dict, repr=False)
    """Process id -> its reader."""

    def of(
        self, samples: Sequence[Mapping[str, Any]], epoch: int
    ) -> tuple[list[Mapping[str, Any]], list[int], NDArray[np.float32]]:
        """The negatives of these samples, the sample each belongs to, and the teacher's scores.

        Scores have shape (samples, 1 + per_query), the answer's first, NaN where there is none.
        """
        chosen: list[int] = []
        owners: list[int] = []
        teacher = np.full((len(samples), 1 + self.per_query), np.nan, dtype=np.float32)
        for number, sample in enumerate(samples):
            row = self._row(str(sample["id"]))
            if row is None:
                continue
            teacher[number, 0] = self.own[row]
            for rank, at in enumerate(self._drawn(row, epoch)):
                chosen.append(int(self.positions[at]))
                owners.append(number)
                teacher[number, 1 + rank] = self.scores[at]
        return list(self._reader().samples(chosen)), owners, teacher

    def _reader(self) -> Positions:
        process = os.getpid()
        if process not in self.opened:
            self.opened[process] = self.open()
        return self.opened[process]

    def _row(self, sample_id: str) -> int | None:
        key = np.uint64(int(sample_id[:16], 16))
        row = int(np.searchsorted(self.keys, key))
        return row if row < len(self.keys) and self.keys[row] == key else None

    def _drawn(self, row: int, epoch: int) -> list[int]:
        """Places of `per_query` of the row's negatives, in the order of their scores."""
        first, last = int(self.starts[row]), int(self.starts[row + 1])
        if last - first <= self.per_query:
            return list(range(first, last))
        text = f"{self.seed}:{epoch}:{int(self.keys[row])}".encode()
        drawn = np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:8]))
        return sorted((first + drawn.permutation(last - first)[: self.per_query]).tolist())


def load_negatives(
    folder: Path,
    keys: NDArray[np.uint64],
    opener: Callable[[], Positions],
    *,
    dataset: str,
    per_query: int,
    seed: int,
) -> MinedNegatives:
    """The negatives of a folder of `xtrove mine` for readers whose positions have these keys.

    `Misuse` where the folder is of another dataset, unfinished or damaged.
    """
    facts = read_json(folder / FACTS)
    if facts.get("dataset") != dataset or not facts.get("complete"):
        what = "unfinished" if facts.get("dataset") == dataset else "of another dataset"
        raise Misuse(
            f"negatives.path: {folder} is {what}",
            remedy="run `xtrove mine` on the dataset of data.path to its end",
        )
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    parts = [_part(path, ordered, order) for path in sorted(folder.glob("negatives/*.parquet"))]
    if not parts:
        raise Misuse(f"negatives.path: {folder} holds no negatives", remedy="run `xtrove mine`")
    ids = np.concatenate([part[0] for part in parts])
    by_id = np.argsort(ids, kind="stable")
    lengths = np.concatenate([part[1] for part in parts])
    positions = np.concatenate([part[2] for part in parts])
    scores = np.concatenate([part[3] for part in parts])
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    taken = np.concatenate(
        [np.empty(0, np.int64), *(np.arange(starts[n], starts[n + 1]) for n in by_id)]
    ).astype(np.int64)
    return MinedNegatives(
        open=opener,
        seed=seed,
        per_query=per_query,
        keys=ids[by_id],
        starts=np.concatenate([[0], np.cumsum(lengths[by_id])]).astype(np.int64),
        positions=positions[taken],
        scores=scores[taken],
        own=np.concatenate([part[4] for part in parts])[by_id],
    )


_Part = tuple[
    NDArray[np.uint64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float32],
    NDArray[np.float32],
]


def _part(path: Path, keys: NDArray[np.uint64], order: NDArray[np.int64]) -> _Part:
    """Ids, lengths, positions, scores and answers' scores of one file."""
    try:
        table = pq.read_table(path)
        if not table.schema.equals(SCHEMA):
            raise Misuse(f"{path}: has another schema than negatives", remedy="mine again")
        ids = _words(table.column("id").combine_chunks(), path)
        lists = table.column("negatives").combine_chunks()
        scores = table.column("scores").combine_chunks()
        negative_keys = _words(lists.flatten(), path)
        values = scores.flatten().to_numpy()
        lengths = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Misuse(f"{path}: cannot be read: {error}", remedy="mine it again") from None
    if len(values) != len(negative_keys) or (len(lengths) and lengths.max() > MAX_NEGATIVES):
        raise Misuse(f"{path}: negatives and scores differ in number", remedy="mine it again")
    nearest = np.minimum(np.searchsorted(keys, negative_keys), len(keys) - 1)
    known = keys[nearest] == negative_keys
    owner = np.repeat(np.arange(len(ids)), lengths)
    return (
        ids,
        np.bincount(owner[known], minlength=len(ids)).astype(np.int64),
        order[nearest[known]],
        values[known].astype(np.float32),
        table.column("positive_score").to_numpy().astype(np.float32),
    )


def _words(texts: Any, path: Path) -> NDArray[np.uint64]:
    """The first 64 bits of each id, shape (n,)."""
    listed = texts.to_pylist()
    if any(text is None or len(text) != 32 for text in listed):
        raise Misuse(f"{path}: an id has not 32 characters", remedy="mine it again")
    return np.fromiter((int(text[:16], 16) for text in listed), np.uint64, len(listed))
