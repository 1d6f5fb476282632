"""Tars of others: an index is made when they are first used, then they are read like ours.

Method: each tar is scanned once (`shards.access.foreign_scan`), its samples are decoded, and an
index of our schema is written for each language in it, into the cache folder and never beside the
tar. An index is found again by the tar's real path, size and time of change. A sample has `id` (a
hash of the tar's name and the key), `key`, `query`, `code`, `language`, the text members under
their suffix, and the text, whole numbers and lists of text of JSON members. What is no UTF-8, no
JSON or too deep is left out, with a count.
Cost: 50 us a sample, once. Limits: tars on this machine; the split is that in the tar's name
(`test`, `val`...), else `train`; licence class `unknown`, quality 0, tokens by a simple lexer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dedupe import query_group
from ingest import language_of, normalise_language
from shards.access.foreign_scan import Group, Scan
from shards.access.index_map import MappedIndex
from shards.access.shard_files import LocalTar, Need, TarFacts
from shards.format import BATCH_ROWS, INDEX_SCHEMA, MAX_PAYLOAD_BYTES, Sample, SampleError, Value
from xtrove.core import private_folder

_VERSION: Final = 1
_QUERY: Final = ("query", "query.txt", "docstring", "func_documentation_string", "txt", "text")
_CODE: Final = ("code", "code.txt", "func_code_string", "content")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_SPLITS: Final = {"valid": "validation", "val": "validation", "dev": "validation"}
_UNKNOWN: Final = "unknown"
_MAX_FIELDS: Final = 256
Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTar:
    """The samples of one language in one tar; implements `shard_files.TarFacts`."""

    path: str
    sha256: str
    """Of the index: it covers the keys, the places and the code of the samples."""
    bytes: int
    samples: int
    language: str
    split: str
    index: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTars:
    """What was found in the tars."""

    digest: str
    tars: tuple[ForeignTar, ...]
    skipped: Mapping[str, int]


def index_tars(tars: Sequence[Path], folder: Path, progress: Progress | None = None) -> ForeignTars:
    """The tars with their indexes, made below `folder` where they are not there yet."""
    found: list[ForeignTar] = []
    skipped: Counter[str] = Counter()
    paths = sorted({tar.resolve(strict=True) for tar in tars})
    total, done = sum(path.stat().st_size for path in paths), 0
    for path in paths:
        facts = _indexed(path, folder / "indexes")
        skipped.update(facts["skipped"])
        found.extend(_tars_of(path, facts, folder / "indexes"))
        done += path.stat().st_size
        if progress is not None:
            progress(done, total)
    lines = "".join(f"{one.path.rpartition('/')[2]} {one.bytes} {one.sha256}\n" for one in found)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    return ForeignTars(digest=digest, tars=tuple(found), skipped=dict(sorted(skipped.items())))


def decode_foreign(payload: bytes, path: str, key: str) -> Sample:
    """The sample in a stretch of a foreign tar. `SampleError` where it is not that of the key."""
    scan = Scan(read=lambda at, size: payload[at : at + size], size=len(payload))
    for group in scan.groups():
        if foreign_id(path.rpartition("/")[2], group.key) != key:
            raise SampleError(f"its place holds the sample {group.key!r:.200}")
        return _sample(group, scan) | {"id": key}
    raise SampleError("its place holds no sample")


class ForeignShards:
    """Implements `shard_files.ShardFiles` over foreign tars."""

    def __init__(self, tars: Sequence[TarFacts]) -> None:
        self._tars = [one for one in tars if isinstance(one, ForeignTar)]

    def open_index(self, shard: int) -> MappedIndex:
        """See `ShardFiles`."""
        tar = self._tars[shard]
        name = f"the index of {tar.path}"
        return MappedIndex.open(tar.index, name, samples=tar.samples, tar_bytes=tar.bytes)

    def open_tar(self, shard: int, release: Callable[[], None]) -> LocalTar:
        """See `ShardFiles`."""
        return LocalTar.open(Path(self._tars[shard].path), self._tars[shard])

    def expect(self, window: Sequence[Need], following: Sequence[int]) -> None:
        """See `ShardFiles`."""

    def close(self) -> None:
        """See `ShardFiles`."""


def foreign_id(tar: str, key: str) -> str:
    """32 hex digits of a sample: a hash of the tar's basename and the key in it."""
    text = f"{tar}\0{key}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]


def _tars_of(path: Path, facts: Mapping[str, Any], folder: Path) -> list[ForeignTar]:
    return [
        ForeignTar(
            path=str(path),
            sha256=str(one["sha256"]),
            bytes=int(facts["bytes"]),
            samples=int(one["samples"]),
            language=language,
            split=_split_of(path.stem),
            index=folder / str(facts["name"]) / f"{language}.idx.arrow",
        )
        for language, one in sorted(facts["languages"].items())
    ]


def _split_of(stem: str) -> str:
    for word in re.split(r"[^a-z]+", stem.lower()):
        if word in ("train", "validation", "test"):
            return word
        if word in _SPLITS:
            return _SPLITS[word]
    return "train"


def _indexed(path: Path, folder: Path) -> Mapping[str, Any]:
    """The facts of a tar's index, which is made if it is not there."""
    status = path.stat()
    text = f"{_VERSION}\0{path}\0{status.st_size}\0{status.st_mtime_ns}"
    name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    place = folder / name / "facts.json"
    if not place.is_file():
        private_folder(folder)
        temporary = folder / f".{name}.{uuid.uuid4().hex}"
        temporary.mkdir()
        try:
            _make(path, status.st_size, name, temporary)
            temporary.rename(folder / name)
        except OSError:
            # Another process was faster: its index is as good.
            if not place.is_file():
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    facts: Mapping[str, Any] = json.loads(place.read_bytes())
    return facts


def _make(path: Path, size: int, name: str, folder: Path) -> None:
    writers: dict[str, _IndexWriter] = {}
    descriptor = os.open(path, os.O_RDONLY)
    try:
        scan = Scan(read=lambda at, size: os.pread(descriptor, size, at), size=size)
        for group in scan.groups():
            if group.stop - group.start > MAX_PAYLOAD_BYTES:
                scan.skipped["sample too large"] += 1
                continue
            sample = _sample(group, scan)
            if not sample["query"] and not sample["code"]:
                scan.skipped["no text or code in a sample"] += 1
                continue
            language = str(sample["language"])
            if language not in writers:
                writers[language] = _IndexWriter(folder / f"{language}.idx.arrow")
            row_id = foreign_id(path.name, group.key)
            writers[language].add(row_id, group.start, group.stop - group.start, sample)
        languages = {
            language: {"samples": writer.rows, "sha256": writer.close()}
            for language, writer in sorted(writers.items())
        }
    finally:
        os.close(descriptor)
    facts = {"name": name, "bytes": size, "languages": languages, "skipped": dict(scan.skipped)}
    (folder / "facts.json").write_text(json.dumps(facts, sort_keys=True), "utf-8")


class _IndexWriter:
    """Rows of an index, written in batches."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path
        self._columns: dict[str, list[Value]] = {name: [] for name in INDEX_SCHEMA.names}
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, INDEX_SCHEMA)

    def add(self, row_id: str, offset: int, size: int, sample: Sample) -> None:
        """One row."""
        code, query = str(sample["code"]), str(sample["query"])
        row: dict[str, Value] = {
            "key": row_id,
            "offset": offset,
            "size": size,
            "tokens": sum(1 for _ in _TOKEN.finditer(code)),
            "query_group": query_group(query) if query else row_id[:16],
            "quality": 0,
            "license_class": _UNKNOWN,
            "code_sha256": hashlib.sha256(code.encode("utf-8")).hexdigest(),
        }
        for name, value in row.items():
            self._columns[name].append(value)
        self.rows += 1
        if self.rows % BATCH_ROWS == 0:
            self._flush()

    def close(self) -> str:
        """The SHA-256 of the finished index."""
        self._flush()
        self._writer.close()
        self._file.close()
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    def _flush(self) -> None:
        if self._columns["key"]:
            self._writer.write_batch(pa.record_batch(self._columns, schema=INDEX_SCHEMA))
            self._columns = {name: [] for name in INDEX_SCHEMA.names}


def _sample(group: Group, scan: Scan) -> Sample:
    fields: Sample = {}
    language = ""
    for piece in group.pieces:
        try:
            text = scan.read(piece.offset, piece.size).decode("utf-8")
        except UnicodeDecodeError:
            scan.skipped["member is not UTF-8"] += 1
            continue
        if piece.suffix.rpartition(".")[2] in ("json", "jsn"):
            for name, value in _fields(text, scan).items():
                fields.setdefault(name, value)
            continue
        fields[piece.suffix] = text
        if not language and (found := language_of(f"a.{piece.suffix}")):
            language = found
            fields.setdefault("code", text)
    named = fields.get("language")
    stated = normalise_language(named) if isinstance(named, str) else ""
    return fields | {
        "id": "",
        "key": group.key.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "query": _first(fields, _QUERY),
        "code": _first(fields, _CODE),
        "language": stated or language or _UNKNOWN,
    }


def _first(fields: Sample, names: Sequence[str]) -> str:
    texts = (fields.get(name) for name in names)
    return next((text for text in texts if isinstance(text, str) and text), "")


def _fields(text: str, scan: Scan) -> Sample:
    """The fields of a JSON object that a sample may hold."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        scan.skipped["member is not JSON"] += 1
        return {}
    if not isinstance(value, dict) or len(value) > _MAX_FIELDS:
        scan.skipped["JSON is no object of few fields"] += 1
        return {}
    return {name: one for name, one in value.items() if _is_value(one)}


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) and _is_text(one) for one in value)
    if isinstance(value, str):
        return _is_text(value)
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _is_text(value: str) -> bool:
    """Whether it can be stored: JSON may hold half of a surrogate pair."""
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
