"""Damages a dataset for the tests of the checker, and signs it again.

`resign` makes checksums and manifest agree with the corrupted files, so that the deeper check
has to find the corruption by itself.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from shards.format.checksums import write_checksums
from shards.format.index import INDEX_SCHEMA
from shards.format.layout import walk
from shards.storage.findings import Finding
from shards.verify.dataset import check_dataset
from tests.shards.builder import license_class
from xtrove.core.atomic import file_sha256

TAR = "data/python/train-00000.tar"
INDEX = "data/python/train-00000.idx.arrow"
TWIN = "parquet/python/train-00000.parquet"


def resign(path: Path) -> None:
    """Makes SHA256SUMS and the manifest's digests fit the files."""
    document = json.loads((path / "manifest.json").read_bytes())
    for shard in document["shards"]:
        if (path / shard["path"]).exists():
            shard["sha256"], shard["bytes"] = file_sha256(path / shard["path"])
    write_json(path, "manifest.json", document)
    write_checksums(path, walk(path), {}, path / ".xtrove/tmp")


def write_json(path: Path, name: str, document: object) -> None:
    """Canonical JSON of a top-level file."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1)
    (path / name).write_text(text + "\n", encoding="utf-8")


def edit_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manifest and signs it."""
    document = json.loads((path / "manifest.json").read_bytes())
    change(document)
    write_json(path, "manifest.json", document)
    resign(path)


def findings(path: Path) -> list[Finding]:
    """What the checker says."""
    return list(check_dataset(path, license_class=license_class).findings)


def checks(path: Path) -> set[str]:
    """The names of the checks that found something."""
    return {finding.check for finding in findings(path)}


Payloads = list[tuple[str, bytes]]


def edit_tar(
    path: Path, change: Callable[[Payloads], Payloads], *, mtime: int = 0, kind: bytes = b"0"
) -> None:
    """Writes a shard's tar anew from changed members, and signs it."""
    with tarfile.open(path / TAR) as tar:
        members: Payloads = []
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            members.append((member.name, stream.read()))
    with tarfile.open(path / TAR, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in change(members):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime, info.type = len(data), 0o444, mtime, kind
            info.uname = info.gname = "xtrove"
            tar.addfile(info, io.BytesIO(data))
    resign(path)


def edit_sample(path: Path, **fields: object) -> str:
    """Changes fields of the first sample of a shard; returns its id."""
    ids = []

    def change(members: Payloads) -> Payloads:
        sample = {**json.loads(members[0][1]), **fields}
        ids.append(members[0][0].removesuffix(".json"))
        text = json.dumps(sample, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return [(members[0][0], text.encode()), *members[1:]]

    edit_tar(path, change)
    return ids[0]


def edit_index(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Changes the rows of an index, and signs it."""
    with pa.OSFile(str(path / INDEX)) as source:
        rows = pa.ipc.open_file(source).read_all().to_pylist()
    change(rows)
    with pa.OSFile(str(path / INDEX), "wb") as sink, pa.ipc.new_file(sink, INDEX_SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=INDEX_SCHEMA))
    resign(path)
