"""Stage extract: one slice of one source -> one run.

rows -> licence, size, generated, minified checks -> functions -> query and code -> filters ->
decontamination -> exact key, signature, band keys, encoded sample -> run files and counts.
Memory: one batch of pairs, plus 24 bytes a band key of the slice (900 bytes a pair at 36
bands), plus the evaluation index where one is configured.
"""

from __future__ import annotations

import functools
import gc
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dedupe import BAND_ROW, EvaluationIndex, Fingerprint, fingerprints, name_number
from extract import DroppedPair, Pair
from extract.pipeline import COLLECT_EVERY, Extraction, Stopped, extract_row, shared
from extract.redaction import published_name
from ingest import LANGUAGES, Skip, SourceFile, SourcePair
from ingest.sources import read
from shards.format import SPLITS, GroupBy, SplitOptions, encode, group_hash, split_of
from shards.storage import table as columns_table
from xtrove.runtime import Workspace
from xtrove.stages.run_files import PACKED_ITEM, RUN_ITEM, UNNAMED, Ragged, halves, save
from xtrove.stages.task_settings import ExtractSettings, index_of, read_slice, settings, share

BATCH = 512
FAILURES_IN_A_ROW = 20
DROPS_PER_GROUP = 1000
NAMED_FILES = 1000
UNKNOWN_LANGUAGE = "unknown"
DROP_FIELDS = (
    "id", "language", "source", "repo", "path", "start_line", "end_line", "name", "reason",
    "detail", "witness_id", "score", "code_sha256",
)  # fmt: skip
DROP_SCHEMA = pa.schema(
    [
        (
            name,
            pa.int64()
            if name.endswith("_line")
            else pa.float64()
            if name == "score"
            else pa.string(),
        )
        for name in DROP_FIELDS
    ]
)


def run(workspace: Workspace, key: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Do one slice; returns the counts and the names of what was quarantined."""
    chosen = settings(workspace.plan_path(spec["settings"]))
    source_slice = read_slice(workspace.plan_path(spec["slice"]))
    shared().start()
    with (
        workspace.task_folder("extract", key) as folder,
        (folder / "payload.bin").open("wb") as payload,
        (folder / "shingles.bin").open("wb") as shingles,
        _rare_collections(),
    ):
        writer = _Writer(
            settings=chosen,
            index=index_of(chosen, workspace, source_slice.stream),
            payload=Ragged(payload),
            shingles=Ragged(shingles),
        )
        rows = read(
            chosen.source,
            chosen.name,
            chosen.policy,
            source_slice,
            chosen.revision,
            limits=share(spec),
        )
        for batch in writer.batches(rows):
            writer.add(batch)
        payload.flush()
        shingles.flush()
        writer.finish(folder)
    return {
        "source": chosen.name,
        "counts": sorted([*key, count] for key, count in writer.counts.items()),
        "redactions": dict(sorted(writer.redactions.items())),
        "syntax_errors": dict(sorted(writer.syntax_errors.items())),
        "syntax_error_files": writer.syntax_error_files,
        "quarantined": sorted(writer.quarantined.items()),
        "details": dict(sorted(writer.details.items())),
        "items": writer.count(),
        "band_rows": writer.band_rows(),
        "bytes": source_slice.bytes,
        "grown": writer.grown,
    }


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles less often while many small objects are made, none of them in cycles: at
    the default a twentieth of the stage went into looking."""
    before = gc.get_threshold()
    gc.set_threshold(*COLLECT_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(kw_only=True, slots=True)
class _Writer:
    """Collects one slice; every row it is given ends in exactly one count a level."""

    settings: ExtractSettings
    index: EvaluationIndex | None
    payload: Ragged
    shingles: Ragged
    items: bytearray = field(default_factory=bytearray)
    """`PACKED_ITEM`, one after the other."""
    bands: list[np.ndarray] = field(default_factory=list)
    """`BAND_ROW`, an array a batch."""
    drops: list[tuple[object, ...]] = field(default_factory=list)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    redactions: Counter[str] = field(default_factory=Counter)
    syntax_errors: Counter[str] = field(default_factory=Counter)
    """Files that do not follow their grammar, by language: functions may be missing."""
    syntax_error_files: list[str] = field(default_factory=list)
    """Names of the first `NAMED_FILES` of them."""
    quarantined: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    sets: dict[bytes, int] = field(default_factory=dict)
    partitions: dict[str, str] = field(default_factory=dict)
    """Split of the source's own, by id, of the pairs of the batch that have one."""
    file_facts: _FileFacts | None = None
    """Of the last pair: those of one file follow each other."""
    grown: int = 0
    failures: int = 0

    def batches(self, rows: Iterator[SourceFile | SourcePair | Skip]) -> Iterator[list[Pair]]:
        """Pairs in rank order, some hundreds at a time; counts what does not become one."""
        options = self.settings.extract
        batch: list[Pair] = []
        for row, result in shared().map(
            extract_row, self._admitted(rows), options.limits, options, size=_size
        ):
            if isinstance(result, Stopped):
                self._set_aside(row, result)
                continue
            self.failures = 0
            self._count(row.language, result)
            if result.has_syntax_error:
                self.syntax_errors[row.language] += 1
                if len(self.syntax_error_files) < NAMED_FILES:
                    self.syntax_error_files.append(f"{row.repo}/{row.path}")
            if isinstance(row, SourcePair) and row.partition:
                self.partitions.update((pair.id, row.partition) for pair in result.pairs)
            batch.extend(result.pairs)
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _admitted(
        self, rows: Iterator[SourceFile | SourcePair | Skip]
    ) -> Iterator[SourceFile | SourcePair]:
        """The rows to extract; counts those that are not."""
        for row in rows:
            if isinstance(row, Skip):
                self._skip(row)
            elif refusal := self.settings.refuses(row.repo):
                self._skip(Skip(language=row.language, reason=refusal, row=row.row))
            else:
                self.grown += _size(row)
                yield row

    def _set_aside(self, row: SourceFile | SourcePair, stopped: Stopped) -> None:
        """Count a row that has no answer, by name.

        Errors of our own code in many rows in a row are a fault of ours, not of the input: the
        slice fails then.
        """
        if stopped.reason == "extractor_failed":
            self.failures += 1
            if self.failures >= FAILURES_IN_A_ROW:
                raise RuntimeError(
                    f"the extractor failed at {self.failures} rows in a row: {stopped.detail}"
                )
        self._skip(
            Skip(
                language=row.language,
                reason=stopped.reason,
                row=row.row,
                detail=stopped.detail,
                fact=stopped.detail,
                quarantined=f"{row.repo}/{row.path}",
            )
        )

    def _published(self, name: str) -> str:
        return published_name(name, self.settings.extract.redact)

    def _skip(self, row: Skip) -> None:
        language = row.language or UNKNOWN_LANGUAGE
        self.counts[language, "files", "seen"] += row.rows
        self.counts[language, "files", row.reason] += row.rows
        if row.quarantined:
            self.quarantined[self._published(row.quarantined)] = f"{row.reason}: {row.evidence}"
        elif row.detail:
            self.details.setdefault(row.reason, row.evidence)

    def _count(self, language: str, result: Extraction) -> None:
        self.counts[language, "files", "seen"] += 1
        if result.file_reason:
            self.counts[language, "files", result.file_reason] += 1
            return
        self.counts[language, "functions", "seen"] += result.functions
        for reason, count in result.function_drops:
            self.counts[language, "functions", reason] += count
        self.counts[language, "pairs", "seen"] += len(result.pairs) + len(result.dropped)
        for dropped in result.dropped:
            self._drop(dropped)
        self.redactions.update(dict(result.redactions))

    def _drop(self, pair: Pair | DroppedPair, reason: str = "", **evidence: object) -> None:
        row = {name: getattr(pair, name, "") for name in DROP_FIELDS}
        row.update({"witness_id": "", "score": 0.0, **evidence})
        if reason:
            row["reason"] = reason
        self.counts[pair.language, "pairs", str(row["reason"])] += 1
        self.drops.append(tuple(row.values()))

    def add(self, batch: list[Pair]) -> None:
        """Fingerprint a batch, decontaminate it, and keep its samples."""
        options = self.settings.dedupe
        marks = fingerprints([(p.language, p.code, p.query) for p in batch], options)
        index = self.index
        fresh: list[tuple[int, Fingerprint]] = []
        for pair, fingerprint in zip(batch, marks, strict=True):
            hit = index.match(pair.language, pair.code, pair.query, fingerprint) if index else None
            if hit is not None:
                self._drop(
                    pair,
                    "decontaminated",
                    detail=hit.layer,
                    witness_id=f"{hit.set}:{self._published(hit.item)}",
                    score=float(hit.score),
                )
            else:
                self._keep(pair, fingerprint, fresh)
        if fresh:
            self.bands.append(_band_rows(fresh))

    def _keep(
        self, pair: Pair, fingerprint: Fingerprint, fresh: list[tuple[int, Fingerprint]]
    ) -> None:
        """Write a pair down; into `fresh` where it is the first of its exact key."""
        data = encode(pair, tokens=fingerprint.tokens, query_group=fingerprint.query_group)
        number = self.sets.get(fingerprint.exact_key)
        if number is None:
            number = self.shingles.append(fingerprint.shingles.astype("<u8").tobytes())
            self.sets[fingerprint.exact_key] = number
            fresh.append((self.count(), fingerprint))
        self.payload.append(data)
        file_facts = self.file_facts
        if (
            not pair.repo
            or file_facts is None
            or file_facts.repo != pair.repo
            or file_facts.path != pair.path
        ):
            file_facts = self.file_facts = _FileFacts.of(pair, self.settings.splits)
        self.items += PACKED_ITEM.pack(
            *halves(bytes.fromhex(pair.id)),
            *halves(fingerprint.exact_key),
            int(fingerprint.query_group, 16),
            *file_facts.groups,
            name_number(pair.name),
            LANGUAGES.index(pair.language),
            *file_facts.splits,
            SPLITS.index(self.partitions.pop(pair.id, SPLITS[0])),
            len(data),
            fingerprint.tokens,
            number,
        )

    def count(self) -> int:
        """How many items the run holds."""
        return len(self.items) // PACKED_ITEM.size

    def band_rows(self) -> int:
        """How many band keys the run holds."""
        return sum(len(rows) for rows in self.bands)

    def finish(self, folder: Path) -> None:
        """Write everything but the payload, which is written already."""
        save(folder / "items.npy", np.frombuffer(self.items, dtype=RUN_ITEM))
        save(folder / "payload.npy", self.payload.offsets())
        save(folder / "sets.npy", self.shingles.offsets() // np.uint64(8))
        raw = folder / "shingles.bin"
        save(folder / "shingles.npy", np.fromfile(raw, dtype="<u8"))
        raw.unlink()
        empty = np.empty(0, dtype=BAND_ROW)
        rows = np.concatenate(self.bands) if self.bands else empty
        save(folder / "bands.npy", rows[np.argsort(rows["key"], kind="stable")])
        # By id, and in small row groups: a part of the evidence reads only its own range of them.
        drops = sorted(self.drops, key=itemgetter(0))
        columns = list(zip(*drops, strict=True)) or [()] * len(DROP_FIELDS)
        pq.write_table(
            columns_table(dict(zip(DROP_FIELDS, columns, strict=True)), DROP_SCHEMA),
            folder / "drops.parquet",
            compression="zstd",
            row_group_size=DROPS_PER_GROUP,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _FileFacts:
    """What follows from the file that a pair stands in, or from its code where it names none."""

    repo: str
    path: str
    groups: tuple[int, int]
    """Numbers of the repository and of the file."""
    splits: tuple[int, int]
    """By repository, by path."""

    @classmethod
    def of(cls, pair: Pair, options: SplitOptions) -> _FileFacts:
        rules: tuple[GroupBy, GroupBy] = ("repository", "path")
        repo, path, digest = pair.repo, pair.path, pair.code_sha256
        first, second = (
            SPLITS.index(split_of(repo, path, options, rule, code_sha256=digest)) for rule in rules
        )
        number = repo_number(repo) if repo else unnamed_number(digest)
        return cls(
            repo=repo,
            path=path,
            groups=(number, group_hash(repo, path, code_sha256=digest)),
            splits=(first, second),
        )


def _band_rows(fresh: list[tuple[int, Fingerprint]]) -> np.ndarray:
    """The band keys of items, each with its number and the first 8 bytes of its exact key."""
    counts = [len(fingerprint.band_keys) for _, fingerprint in fresh]
    exact = np.frombuffer(
        b"".join(fingerprint.exact_key[:8] for _, fingerprint in fresh), dtype="<u8"
    )
    rows = np.empty(sum(counts), dtype=BAND_ROW)
    rows["key"] = np.concatenate([fingerprint.band_keys for _, fingerprint in fresh])
    rows["exact"] = np.repeat(exact, counts)
    rows["item"] = np.repeat([item for item, _ in fresh], counts)
    return rows


def _size(row: SourceFile | SourcePair) -> int:
    return len(row.content if isinstance(row, SourceFile) else row.code)


@functools.lru_cache(maxsize=4096)
def repo_number(repo: str) -> int:
    """A 63-bit number for a repository, equal for names that differ in case only."""
    return int.from_bytes(hashlib.sha256(repo.casefold().encode()).digest()[:8], "big") >> 1


def unnamed_number(code_sha256: str) -> int:
    """A number from 2**63 for a pair that names no repository: one for each code."""
    return int(code_sha256[:16], 16) >> 1 | UNNAMED
