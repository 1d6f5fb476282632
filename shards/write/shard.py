"""One shard: tar, index, Parquet twin and the sidecars the seal needs, in one pass.

The tar is written by webdataset's TarWriter: plain USTAR, one `<id>.json` member per sample, with
mtime, owner and mode fixed, so that its bytes are a function of the samples alone. Importing
webdataset loads torch wherever that is installed (a second and 150 MB), so it is imported when a
shard is opened, and not before. All files go to temporary names and are renamed at the end,
sidecars first and the tar last, so that a full disk or a kill leaves no final name. Memory: one
Parquet row group (8 MiB of JSON), one batch of 65,536 index rows and a count per repository, and
what importing takes.
About 18,000 samples (of 1.5 kB) per second on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from shards.format import (
    BATCH_ROWS,
    BLOCK,
    INDEX_SCHEMA,
    VERSION,
    Sample,
    arrow_schema,
    decode,
    digest_row,
    layout,
    licenses_of,
    tar_size,
)
from shards.storage import arrow_columns as columns
from shards.write.attribution import Tally
from xtrove.core import FileFacts, Sink, staged

OWNER: Final = "xtrove"
MODE: Final = 0o444
ROW_GROUP_BYTES: Final = 8 << 20
LicenseClass = Callable[[list[str]], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardFiles:
    """One shard that was written."""

    language: str
    split: str
    number: int
    samples: int
    tokens: int
    licenses: dict[str, int]
    """Samples a licence."""
    tar: FileFacts
    index: FileFacts
    parquet: FileFacts
    digests: FileFacts
    """Sidecar in the work folder: rows of id and payload digest
    (`shards.format.content_digest`)."""
    attribution: FileFacts
    """Sidecar in the work folder: sorted lines (`shards.write.attribution`)."""

    def published(self) -> tuple[FileFacts, FileFacts, FileFacts]:
        """The files that belong to the dataset."""
        return self.tar, self.index, self.parquet

    def as_dict(self) -> dict[str, object]:
        """Plain values, for a receipt."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, object]) -> ShardFiles:
        """Reads `as_dict` back; `TypeError` where it is something else."""
        fields = dict(value)
        for name in ("tar", "index", "parquet", "digests", "attribution"):
            fields[name] = FileFacts(**cast(dict[str, Any], fields[name]))
        return cls(**cast(dict[str, Any], fields))


@dataclass(kw_only=True, slots=True)
class _Columns:
    """Rows that wait for their batch, by column."""

    schema: Any
    columns: dict[str, list[object]]
    rows: int = 0
    weight: int = 0

    @classmethod
    def of(cls, schema: Any) -> _Columns:
        return cls(schema=schema, columns={name: [] for name in schema.names})

    def add(self, row: Mapping[str, object], weight: int = 0) -> None:
        for name, values in self.columns.items():
            values.append(row[name])
        self.rows += 1
        self.weight += weight

    def take(self) -> Any:
        table = columns.table(self.columns, self.schema)
        for values in self.columns.values():
            values.clear()
        self.rows = self.weight = 0
        return table


@dataclass(kw_only=True, slots=True)
class _Shard:
    """The open files of a shard."""

    tar: Any
    """webdataset's `TarWriter`."""
    index: Any
    parquet: Any
    digests: Sink
    license_class: LicenseClass
    samples: _Columns
    tally: Tally = field(default_factory=Tally)
    entries: _Columns = field(default_factory=lambda: _Columns.of(INDEX_SCHEMA))
    offset: int = 0
    last: str = ""
    count: int = 0

    def add(self, key: str, payload: bytes, sample: Sample) -> None:
        self.tar.write({"__key__": key, "json": payload})
        # tarfile remembers the header of every member: about 1 kB per sample of the shard.
        self.tar.tarstream.members.clear()
        self.digests.write(digest_row(key, payload))
        self.tally.add(sample)
        self.entries.add(
            {
                **{name: sample[name] for name in ("tokens", "query_group", "quality")},
                "key": key,
                "offset": self.offset + BLOCK,
                "size": len(payload),
                "license_class": self.license_class(list(licenses_of(sample))),
                "code_sha256": sample["code_sha256"],
            }
        )
        self.samples.add(sample, len(payload))
        self.offset += tar_size(len(payload))
        self.last = key
        self.count += 1
        if self.samples.weight >= ROW_GROUP_BYTES:
            self._flush_samples()
        if self.entries.rows >= BATCH_ROWS:
            self._flush_entries()

    def _flush_samples(self) -> None:
        rows = self.samples.rows
        self.parquet.write_table(self.samples.take(), row_group_size=rows)

    def _flush_entries(self) -> None:
        rows = self.entries.rows
        self.index.write_table(self.entries.take(), max_chunksize=rows)

    def close(self) -> None:
        if self.samples.rows:
            self._flush_samples()
        if self.entries.rows:
            self._flush_entries()
        self.tar.close()
        self.index.close()
        self.parquet.close()


def write_shard(
    base: Path,
    language: str,
    split: str,
    number: int,
    samples: Iterable[tuple[str, bytes]],
    license_class: LicenseClass,
    *,
    tmp: Path,
    work: Path,
    version: int = VERSION,
) -> ShardFiles:
    """Writes shard `number` of a language and split from (id, payload) in ascending id order.

    `tmp` lies on the file system of `base`; `work` receives the unpublished sidecars.
    `license_class` maps the licences of a sample to a class (permissive, ...); `version` is that of
    the format in which the payloads are.
    `ValueError` on samples out of order, of another language, with an id that is not the key,
    or where there are none; `DamagedData` on a payload that breaks the schema; `OSError` from
    the disk. After an error no final name exists.
    """
    tar = layout.tar_path(language, split, number)
    stem = f"{language}/{split}-{number:05d}"
    with ExitStack() as stack:
        names = (tar, layout.index_path(tar), layout.parquet_path(tar))
        sinks = [stack.enter_context(staged(base, name, tmp)) for name in names]
        sides = [
            stack.enter_context(staged(work, f"{stem}.{kind}", work / "tmp"))
            for kind in ("digests", "attribution")
        ]
        shard = _open(sinks, sides[0], license_class, arrow_schema(version))
        for key, payload in samples:
            shard.add(key, payload, _checked(key, payload, language, shard.last, tar))
        if not shard.count:
            raise ValueError(f"{tar}: no samples were given; an empty shard is never written")
        shard.close()
        for line in shard.tally.lines():
            sides[1].write(line.encode("utf-8"))
        digests, attribution = [side.commit() for side in sides]
        facts = {sink_name: sink.commit() for sink_name, sink in _tar_last(names, sinks)}
        return ShardFiles(
            language=language,
            split=split,
            number=number,
            samples=shard.count,
            tokens=shard.tally.tokens,
            licenses=dict(sorted(shard.tally.licenses.items())),
            tar=facts[names[0]],
            index=facts[names[1]],
            parquet=facts[names[2]],
            digests=digests,
            attribution=attribution,
        )


def _tar_last(names: tuple[str, ...], sinks: list[Sink]) -> list[tuple[str, Sink]]:
    return list(reversed(list(zip(names, sinks, strict=True))))


def _open(
    sinks: list[Sink], digests: Sink, license_class: LicenseClass, schema: pa.Schema
) -> _Shard:
    from webdataset import TarWriter

    tar, index, parquet = sinks
    return _Shard(
        tar=TarWriter(
            tar, user=OWNER, group=OWNER, mode=MODE, mtime=0, encoder=False, compress=False
        ),
        index=pa.ipc.new_file(pa.PythonFile(index, mode="w"), INDEX_SCHEMA),
        parquet=pq.ParquetWriter(
            pa.PythonFile(parquet, mode="w"),
            schema,
            compression="zstd",
            write_page_index=True,
            use_content_defined_chunking=True,
        ),
        digests=digests,
        license_class=license_class,
        samples=_Columns.of(schema),
    )


def _checked(key: str, payload: bytes, language: str, last: str, tar: str) -> Sample:
    sample = decode(payload)
    if sample["id"] != key:
        raise ValueError(f"{tar}: key {key!r} holds the sample {sample['id']!r}")
    if key <= last:
        raise ValueError(f"{tar}: {key!r} comes after {last!r}: ids must ascend, each once")
    if sample["language"] != language:
        raise ValueError(f"{tar}: {key!r} is {sample['language']!r}, not {language!r}")
    return sample
