"""Local datasets that lie: indexes, tars and manifests that are not what they say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.format.index import INDEX_SCHEMA, open_index
from shards.format.layout import index_path
from shards.format.manifest import NewerFormat, NotADataset, UnfinishedBuild
from shards.loader.reader import PlanError, PlanOptions, Reader, Select
from tests.shards.builder import Built, build
from xtrove.core.errors import DamagedData

OPTIONS = PlanOptions(seed=7, batch_size=8, window=32)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A small dataset."""
    return build(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def copy(original: Built, tmp_path: Path) -> Path:
    """One that may be damaged."""
    return Path(shutil.copytree(original.path, tmp_path / "copy"))


def shard_of(built: Built) -> str:
    """A train shard."""
    return next(shard.path for shard in built.manifest.shards if shard.split == "train")


def rewrite_index(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """The index with its rows changed."""
    with pa.ipc.open_file(path.read_bytes()) as reader:
        rows = reader.read_all().to_pylist()
    change(rows)
    table = pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, INDEX_SCHEMA) as writer:
        writer.write_table(table)


def read_all(path: Path) -> int:
    """Plans and reads an epoch, and asks for every column."""
    with Reader.open(path) as reader:
        reader.quality()
        return sum(len(batch.samples) for batch in reader.batches(OPTIONS))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[0].update(offset=1 << 40),
        lambda rows: rows[0].update(offset=-5),
        lambda rows: rows[0].update(size=-1),
        lambda rows: rows[0].update(size=1 << 60),
        lambda rows: rows[0].update(offset=(1 << 63) - 1, size=100),
        lambda rows: rows[0].update(query_group="zz" * 8),
        lambda rows: rows[0].update(query_group="12345"),
        lambda rows: rows[0].update(code_sha256="0" * 63 + "\n0"),
        lambda rows: rows.pop(),
        lambda rows: rows.append(rows[0]),
    ],
)
def test_an_index_that_lies_is_refused_by_name(
    original: Built, copy: Path, change: Callable[[list[dict[str, Any]]], object]
) -> None:
    name = index_path(shard_of(original))
    rewrite_index(copy / name, change)
    with pytest.raises(DamagedData, match=name):
        read_all(copy)


def test_an_index_that_swaps_samples_is_refused_by_name(original: Built, copy: Path) -> None:
    def swap(rows: list[dict[str, Any]]) -> None:
        rows[0]["key"], rows[1]["key"] = rows[1]["key"], rows[0]["key"]

    name = shard_of(original)
    rewrite_index(copy / index_path(name), swap)
    with pytest.raises(DamagedData, match=f"{name}: sample"):
        read_all(copy)


def test_changed_truncated_missing_and_linked_tars(original: Built, copy: Path) -> None:
    name = shard_of(original)
    good = (copy / name).read_bytes()
    (copy / name).write_bytes(good.replace(b"total = total", b"total = totem", 1))
    with pytest.raises(DamagedData, match=f"{name}: sample .* SHA-256"):
        read_all(copy)
    (copy / name).write_bytes(good[:-1])
    with pytest.raises(DamagedData, match=f"{name} has .* bytes"):
        read_all(copy)
    (copy / name).unlink()
    with pytest.raises(DamagedData, match=name):
        read_all(copy)
    (copy / name).symlink_to("/etc/passwd")
    with pytest.raises(DamagedData, match="symbolic link"):
        read_all(copy)


@pytest.mark.parametrize("bomb", [b"[" * 3000, b'{"a":' * 500, b'{"tokens":' + b"9" * 2000])
def test_json_bombs_are_damage(original: Built, copy: Path, bomb: bytes) -> None:
    name = shard_of(original)
    with pa.ipc.open_file((copy / index_path(name)).read_bytes()) as reader:
        row = reader.read_all().to_pylist()[0]
    content = bytearray((copy / name).read_bytes())
    content[row["offset"] : row["offset"] + row["size"]] = bomb[: row["size"]].ljust(row["size"])
    (copy / name).write_bytes(content)
    with pytest.raises(DamagedData, match=f"{name}: sample {row['key']}"):
        read_all(copy)


@given(data=st.data())
def test_damage_anywhere_in_an_index_is_refused(
    original: Built, copy: Path, data: st.DataObject
) -> None:
    name = index_path(shard_of(original))
    good = (original.path / name).read_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (copy / name).write_bytes(content[: data.draw(st.integers(len(good) // 2, len(good)))])
    try:
        # Quality and tokens are the index's own word: a changed one is no crash.
        read_all(copy)
        with Reader.open(copy, select=Select(license_classes=("permissive",))) as reader:
            list(reader.iterate())
    except (DamagedData, PlanError):
        pass
    (copy / name).write_bytes(good)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_an_index_that_unpacks_is_refused(original: Built, copy: Path, codec: str) -> None:
    name = index_path(shard_of(original))
    with pa.ipc.open_file((copy / name).read_bytes()) as reader:
        table = reader.read_all()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_file(str(copy / name), table.schema, options=options) as writer:
        writer.write_table(table)
    with pytest.raises(DamagedData, match="is compressed"):
        read_all(copy)
    with pytest.raises(DamagedData, match="is compressed"):
        open_index(copy / name)


def test_the_footer_of_an_index_leads_nowhere(original: Built, copy: Path) -> None:
    name = index_path(shard_of(original))
    content = bytearray((copy / name).read_bytes())
    length = int.from_bytes(content[-10:-6], "little")
    content[-10 - length : -10] = bytes(length)
    (copy / name).write_bytes(content)
    assert read_all(copy) == read_all(original.path)


def test_what_is_no_dataset(original: Built, copy: Path, tmp_path: Path) -> None:
    with pytest.raises(NotADataset):
        Reader.open(tmp_path / "nothing")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": "xtrove-3"}))
    with pytest.raises(NewerFormat, match="update xtrove"):
        Reader.open(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(UnfinishedBuild):
        Reader.open(copy)
    shutil.rmtree(copy / ".xtrove", ignore_errors=True)
    with pytest.raises(UnfinishedBuild):
        Reader.open(copy)
