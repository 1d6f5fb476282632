"""A dataset in plain formats for the tools of others: JSON lines, Parquet, pairs for
sentence-transformers, triplets for PyLate.

    OUTPUT/train.parquet, validation.parquet, test.parquet   (or .jsonl): one file a split
    OUTPUT/README.md            its card: configs for `load_dataset`, origin, terms
    OUTPUT/ATTRIBUTION.jsonl    the licences and repositories, which go along with the code

`jsonl` and `parquet` hold whole samples; `st-pairs` the columns anchor and positive, `query` and
`code` of a sample; `pylate-triplets` the texts query, positive and negative (`export_triplets`).
Shards are read one after another and written as they come, so that memory is a batch of samples
(16 MiB of text) whatever the dataset's size; about 20,000 samples of 1.5 kB a second on a core.
The folder gets its name by one rename when all of it is there; a kill leaves a folder that
begins with a dot. Limit: samples stand in the order of the shards, language by language, so that
a trainer has to shuffle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from shards.format import ARROW_SCHEMA, Sample, ShardFacts, decode, layout, text
from shards.read import Dataset, read_members
from shards.storage import Progress
from shards.write import card_text, is_gated, size_category
from xtrove.core import DamagedData, FileFacts, Misuse, Sink, staged
from xtrove.core import new_folder as atomic_folder

Format = Literal["jsonl", "parquet", "st-pairs", "pylate-triplets"]
FORMATS: Final[tuple[Format, ...]] = ("jsonl", "parquet", "st-pairs", "pylate-triplets")
PAIRS_SCHEMA: Final = pa.schema([("anchor", pa.string()), ("positive", pa.string())])
_BATCH_BYTES: Final = 1 << 24
_BATCH_ROWS: Final = 4096
_TEXT_BYTES: Final = 400
"""What a row of short texts is taken to weigh at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """What to write."""

    format: Format
    splits: tuple[str, ...] = layout.SPLITS
    languages: tuple[str, ...] | None = None
    """None: all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written."""

    rows: Mapping[str, int]
    """By split; those without rows have no file."""
    files: tuple[FileFacts, ...]
    skipped: Mapping[str, int]
    """Rows that could not be made, by reason."""


@dataclass(kw_only=True, slots=True)
class ParquetRows:
    """Rows to a Parquet file, in row groups of at most 4,096 rows or 16 MiB."""

    writer: pq.ParquetWriter
    rows: list[Mapping[str, Any]]
    held: int = 0

    @classmethod
    def open(cls, sink: Sink, schema: pa.Schema) -> ParquetRows:
        """An empty file."""
        writer = pq.ParquetWriter(sink, schema, compression="zstd", write_page_index=True)
        return cls(writer=writer, rows=[])

    def add(self, row: Mapping[str, Any], size: int) -> None:
        """Takes one row of about so many bytes."""
        self.rows.append(row)
        self.held += max(size, _TEXT_BYTES)
        if self.held >= _BATCH_BYTES or len(self.rows) >= _BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Writes what is left and the footer."""
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, schema=self.writer.schema))
        self.rows, self.held = [], 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The folder that is being made."""

    folder: Path
    files: list[FileFacts]

    @contextmanager
    def file(self, name: str) -> Iterator[Sink]:
        """A file of it, in place when the block ends well."""
        with staged(self.folder, name, self.folder) as sink:
            yield sink
            self.files.append(sink.commit())

    @contextmanager
    def parquet(self, split: str, schema: pa.Schema) -> Iterator[ParquetRows]:
        """The Parquet file of a split."""
        with self.file(f"{split}.parquet") as sink:
            rows = ParquetRows.open(sink, schema)
            yield rows
            rows.close()


@contextmanager
def new_folder(output: Path) -> Iterator[Target]:
    """A folder that gets its name when the block ends well. `Misuse` where it stands."""
    # `.` has no name to be renamed to, and a link cannot be replaced by a folder.
    output = output.resolve()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise Misuse(f"{output} is there already: give another --output, or remove it")
    with atomic_folder(output) as draft:
        yield Target(folder=draft, files=[])


def chosen_shards(dataset: Dataset, options: ExportOptions) -> dict[str, list[ShardFacts]]:
    """Split -> its shards. `Misuse` for a language that is not there, or nothing at all."""
    languages = dataset.languages()
    for language in options.languages or ():
        if language not in languages:
            raise Misuse(
                f"language {language!r} is not in the dataset: it has {', '.join(languages)}"
            )
    by_split: dict[str, list[ShardFacts]] = {}
    for split in options.splits:
        shards = [
            facts
            for facts in dataset.manifest.shards
            if facts.split == split and facts.language in (options.languages or languages)
        ]
        if shards:
            by_split[split] = shards
    if not by_split:
        raise Misuse(f"no samples in {', '.join(options.splits)}: choose another --split")
    return by_split


def export(dataset: Dataset, output: Path, options: ExportOptions, progress: Progress) -> Exported:
    """Writes `jsonl`, `parquet` or `st-pairs`. `Misuse`, or what a damaged shard raises."""
    shards = chosen_shards(dataset, options)
    rows: dict[str, int] = {}
    read = _Reading(
        dataset=dataset,
        progress=progress,
        total=sum(facts.bytes for several in shards.values() for facts in several),
    )
    with new_folder(output) as target:
        for split, several in shards.items():
            rows[split] = _WRITERS[options.format](target, split, read.members(several))
        describe(target, dataset, options, rows)
    return Exported(rows=rows, files=tuple(target.files), skipped={})


Members = Iterable[tuple[bytes, Sample]]


@dataclass(kw_only=True, slots=True)
class _Reading:
    """Shards one after another, checked as they are read."""

    dataset: Dataset
    progress: Progress
    total: int
    done: int = 0

    def members(self, shards: Sequence[ShardFacts]) -> Iterator[tuple[bytes, Sample]]:
        """Payload and sample of every member."""
        for facts in shards:
            self.progress(facts.path, self.done, self.total)
            count = 0
            try:
                for payload, sample in self._shard(facts):
                    yield payload, sample
                    count += 1
            except DamagedData as error:
                raise DamagedData(f"{facts.path}: {error}") from error
            if count != facts.samples:
                raise DamagedData(f"{facts.path} holds {count} samples, should {facts.samples}")
            self.done += facts.bytes
        self.progress("", self.done, self.total)

    def _shard(self, facts: ShardFacts) -> Iterator[tuple[bytes, Sample]]:
        with layout.safe_file(self.dataset.path, facts.path).open("rb") as stream:
            for member in read_members(stream):
                sample = decode(member.payload)
                if sample["id"] != member.key:
                    raise DamagedData(f"{member.key} is {sample['id']!r}")
                yield member.payload, sample


def _write_lines(target: Target, split: str, members: Members) -> int:
    count = 0
    with target.file(f"{split}.jsonl") as sink:
        for payload, _ in members:
            sink.write(payload)
            sink.write(b"\n")
            count += 1
    return count


def _write_samples(target: Target, split: str, members: Members) -> int:
    count = 0
    with target.parquet(split, ARROW_SCHEMA) as rows:
        for payload, sample in members:
            rows.add(sample, len(payload))
            count += 1
    return count


def _write_pairs(target: Target, split: str, members: Members) -> int:
    count = 0
    with target.parquet(split, PAIRS_SCHEMA) as rows:
        for payload, sample in members:
            row = {"anchor": text(sample, "query"), "positive": text(sample, "code")}
            rows.add(row, len(payload))
            count += 1
    return count


_WRITERS: Final[dict[str, Callable[[Target, str, Members], int]]] = {
    "jsonl": _write_lines,
    "parquet": _write_samples,
    "st-pairs": _write_pairs,
}


def describe(
    target: Target, dataset: Dataset, options: ExportOptions, rows: Mapping[str, int]
) -> None:
    """The card of the export and the attribution that goes along with the code."""
    manifest = dataset.manifest
    kind = "jsonl" if options.format == "jsonl" else "parquet"
    files = [{"split": split, "path": f"{split}.{kind}"} for split in rows]
    head: dict[str, object] = {
        "license": "other",
        "license_name": "per-sample",
        "license_link": layout.ATTRIBUTION,
        "size_categories": [size_category(sum(rows.values()))],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    if is_gated(manifest):
        head |= card_text.gate(manifest)
    counts = ", ".join(f"{count:,} {split}" for split, count in rows.items())
    languages = ", ".join(options.languages or manifest.languages())
    body = [
        f"# {' '.join(manifest.name.split())}: {options.format}",
        f"{counts} rows ({languages}), exported by xtrove from the dataset with content SHA-256 "
        f"`{manifest.content_sha256}`.",
        "Rows stand language by language: shuffle them. The code keeps its licences, which "
        f"`{layout.ATTRIBUTION}` lists by repository.",
    ]
    if is_gated(manifest):
        body += ["## Terms", card_text.terms(manifest)]
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)
    with target.file(layout.CARD) as sink:
        sink.write(("---\n" + front + "---\n" + "\n\n".join(body) + "\n").encode("utf-8"))
    with (
        layout.safe_file(dataset.path, layout.ATTRIBUTION).open("rb") as source,
        target.file(layout.ATTRIBUTION) as sink,
    ):
        while data := source.read(1 << 20):
            sink.write(data)
