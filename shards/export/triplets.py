"""Triplets for PyLate and others: the texts query, positive and negative, one row a negative.

The negatives are those that `xtrove mine` wrote for this very dataset (`mine.json` names its
content): part files are read batch by batch, and the texts are looked up by id in the shards, so
that memory is a batch of rows. At most `per_query` negatives a query, the hardest first. A
negative that is no longer in the dataset, stands in another split, or repeats the query group or
the code of its pair is left out and counted. About 4,000 rows a second on a core.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from shards.export.plain import (
    Exported,
    ExportOptions,
    ParquetRows,
    Target,
    chosen_shards,
    describe,
    new_folder,
)
from shards.format import Sample, layout, text
from shards.read import Dataset
from shards.storage import Progress
from xtrove.core import DamagedData, Misuse

TRIPLETS_SCHEMA: Final = pa.schema(
    [("query", pa.string()), ("positive", pa.string()), ("negative", pa.string())]
)
FACTS: Final = "mine.json"
_REMEDY: Final = "`xtrove mine DATASET --model-path MODEL --output DIR` makes them"
_BATCH: Final = 256
_MOST_IDS: Final = 1000
_MAX_FACTS: Final = 1 << 20


def check_negatives(folder: Path, dataset: Dataset) -> list[Path]:
    """The part files of a folder of `xtrove mine`. `Misuse` where it is of another dataset."""
    try:
        facts = json.loads(layout.read_text_file(folder, FACTS, _MAX_FACTS))
    except (DamagedData, ValueError, RecursionError) as error:
        raise Misuse(f"--negatives {folder} holds no negatives ({error}): {_REMEDY}") from None
    digest = facts.get("content_sha256") if isinstance(facts, dict) else None
    if digest != dataset.manifest.content_sha256:
        raise Misuse(
            f"--negatives {folder} belongs to the dataset {str(digest)[:16]}, this is "
            f"{dataset.manifest.content_sha256[:16]}: mine this dataset"
        )
    if facts.get("complete") is False:
        raise Misuse(f"--negatives {folder} is unfinished: run the same `xtrove mine` again")
    parts = sorted(folder.glob("negatives/part-*.parquet"))
    if not parts:
        raise Misuse(f"--negatives {folder} has no part files: {_REMEDY}")
    return parts


@dataclass(kw_only=True, slots=True)
class _Triplets:
    """Looks texts up and writes rows."""

    dataset: Dataset
    per_query: int
    writers: dict[str, ParquetRows]
    languages: frozenset[str]
    rows: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, sample_id: str, negatives: list[str]) -> None:
        """The rows of one query."""
        location = self.dataset.find(sample_id)
        if location is None:
            self.skipped["query not in the dataset"] += 1
            return
        shard, row = location
        split = shard.facts.split
        if split not in self.writers or shard.facts.language not in self.languages:
            return
        sample = shard.sample(row)
        taken = 0
        for other_id in negatives:
            other = self._negative(other_id, split, sample)
            if other is None:
                continue
            line = {
                "query": text(sample, "query"),
                "positive": text(sample, "code"),
                "negative": text(other, "code"),
            }
            self.writers[split].add(line, sum(map(len, line.values())))
            self.rows[split] += 1
            taken += 1
            if taken == self.per_query:
                break
        if not taken:
            self.skipped["query without negatives"] += 1

    def _negative(self, sample_id: str, split: str, sample: Sample) -> Sample | None:
        location = self.dataset.find(sample_id)
        if location is None:
            self.skipped["negative not in the dataset"] += 1
            return None
        shard, row = location
        if shard.facts.split != split:
            self.skipped["negative of another split"] += 1
            return None
        other = shard.sample(row)
        same = ("query_group", "code_sha256")
        if any(other[name] == sample[name] for name in same):
            self.skipped["negative that is an answer"] += 1
            return None
        return other


def export_triplets(
    dataset: Dataset,
    output: Path,
    options: ExportOptions,
    *,
    negatives: Path,
    per_query: int,
    progress: Progress,
) -> Exported:
    """Writes `pylate-triplets`. `Misuse`, or what a damaged shard raises."""
    parts = check_negatives(negatives, dataset)
    splits = list(chosen_shards(dataset, options))
    total = sum(path.stat().st_size for path in parts)
    with new_folder(output) as target:
        triplets = _write(target, dataset, options, parts, splits, per_query, progress, total)
        rows = {split: triplets.rows[split] for split in splits if triplets.rows[split]}
        if not rows:
            raise Misuse(f"--negatives {negatives} has none for {', '.join(splits)}: {_REMEDY}")
        _drop_empty(target, rows)
        describe(target, dataset, options, rows)
    return Exported(rows=rows, files=tuple(target.files), skipped=dict(triplets.skipped))


def _write(
    target: Target,
    dataset: Dataset,
    options: ExportOptions,
    parts: list[Path],
    splits: list[str],
    per_query: int,
    progress: Progress,
    total: int,
) -> _Triplets:
    done = 0
    with ExitStack() as stack:
        triplets = _Triplets(
            dataset=dataset,
            per_query=per_query,
            writers={
                split: stack.enter_context(target.parquet(split, TRIPLETS_SCHEMA))
                for split in splits
            },
            languages=frozenset(options.languages or dataset.languages()),
        )
        for path in parts:
            progress(path.name, done, total)
            for sample_id, negatives in _lists(path):
                triplets.add(sample_id, negatives)
            done += path.stat().st_size
        progress("", done, total)
    return triplets


def _lists(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Id and negatives of every row of a part file."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH, columns=["id", "negatives"]):
                for row in batch.to_pylist():
                    negatives = row["negatives"] or []
                    if not isinstance(row["id"], str) or len(negatives) > _MOST_IDS:
                        raise Misuse(f"{path.name}: {row['id']!r} has {len(negatives)} negatives")
                    yield row["id"], [str(negative) for negative in negatives]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise Misuse(f"{path} is no file of negatives: {error}") from error


def _drop_empty(target: Target, rows: dict[str, int]) -> None:
    """Removes the files of splits that got no rows."""
    for facts in list(target.files):
        if facts.path.removesuffix(".parquet") not in rows:
            (target.folder / facts.path).unlink()
            target.files.remove(facts)
