"""The writer's bytes: golden, repeatable, whole or not there at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shards.format.content_digest import ROW
from shards.format.index import open_index
from shards.format.sample import decode
from shards.read.tar import read_members
from shards.write.shard import MODE, OWNER, ShardFiles, write_shard
from tests.shards.builder import license_class, make_pair, payload
from xtrove.core.errors import DamagedData

GOLDEN_SHA256 = "bd0d4faa7337e8c63a0431956d5246e1bd1e35d067762ea9eb2a4c12782bb8fb"
GO = make_pair(3, language="go")


def rows_of(count: int) -> list[tuple[str, bytes]]:
    """Samples in id order."""
    return sorted((pair.id, payload(pair)) for pair in map(make_pair, range(count)))


def write(root: Path, rows: list[tuple[str, bytes]], number: int = 0) -> ShardFiles:
    """One shard with the usual folders."""
    return write_shard(
        root / "out",
        "python",
        "train",
        number,
        rows,
        license_class,
        tmp=root / "out/.xtrove/tmp",
        work=root / "work",
    )


def all_files(root: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_golden_tar(tmp_path: Path) -> None:
    rows = rows_of(1)
    files = write(tmp_path, rows)
    data = (tmp_path / "out" / files.tar.path).read_bytes()
    key, body = rows[0]
    name = f"{key}.json".encode().ljust(100, b"\0")
    fields = b"0000444\0" + b"0000000\0" * 2 + f"{len(body):011o}\0".encode() + b"00000000000\0"
    rest = b"0" + bytes(100) + b"ustar\x0000" + b"xtrove".ljust(32, b"\0") * 2
    rest += bytes(16 + 167)
    total = sum(name + fields + b" " * 8 + rest)
    header = name + fields + f"{total:06o}\0 ".encode() + rest
    assert len(header) == 512
    assert data == (header + body).ljust(10_240, b"\0")
    assert files.tar.sha256 == hashlib.sha256(data).hexdigest()
    assert files.tar.sha256 == GOLDEN_SHA256
    assert files.tar.bytes == 10_240


def test_the_bytes_are_those_of_the_standard_library(tmp_path: Path) -> None:
    """Over the border of a record of 10,240 bytes, with payloads of many lengths."""
    rows = rows_of(30)
    files = write(tmp_path, rows)
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, body in rows:
            info = tarfile.TarInfo(f"{key}.json")
            info.size, info.mtime, info.mode = len(body), 0, MODE
            info.uname = info.gname = OWNER
            tar.addfile(info, io.BytesIO(body))
    assert (tmp_path / "out" / files.tar.path).read_bytes() == expected.getvalue()


def test_twice_the_same_bytes(tmp_path: Path) -> None:
    rows = rows_of(40)
    files = [write(tmp_path / name, rows) for name in ("a", "b")]
    assert files[0] == files[1]
    assert all_files(tmp_path / "a") == all_files(tmp_path / "b")
    assert ShardFiles.from_dict(files[0].as_dict()) == files[0]


def test_index_twin_and_tar_hold_the_same(tmp_path: Path) -> None:
    rows = rows_of(25)
    files = write(tmp_path, rows)
    base = tmp_path / "out"
    data = (base / files.tar.path).read_bytes()
    index = open_index(base / files.index.path, full=True)
    assert len(index) == files.samples == 25
    for row, (key, body) in enumerate(rows):
        entry = index.entry(row)
        assert entry.key == key and index.find(key) == row
        assert data[entry.offset : entry.offset + entry.size] == body
        sample = decode(body)
        assert (entry.tokens, entry.quality) == (sample["tokens"], sample["quality"])
        assert entry.query_group == sample["query_group"]
        assert (entry.license_class, entry.code_sha256) == ("permissive", sample["code_sha256"])
    assert index.find("0" * 32) is None and index.find("é") is None
    twin = pq.ParquetFile(base / files.parquet.path)
    assert twin.read().to_pylist() == [decode(body) for _, body in rows]
    column = twin.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD" and column.has_column_index
    twin.close()
    with (base / files.tar.path).open("rb") as stream:
        assert [(m.key, m.payload) for m in read_members(stream)] == rows
    assert files.licenses == {"Apache-2.0": 13, "MIT": 25}
    sidecar = (tmp_path / "work" / files.digests.path).read_bytes()
    assert len(sidecar) == 25 * ROW and sidecar[:16].hex() == rows[0][0]


def test_only_final_names_are_left(tmp_path: Path) -> None:
    write(tmp_path, rows_of(3))
    names = sorted(all_files(tmp_path))
    assert names == [
        "out/data/python/train-00000.idx.arrow",
        "out/data/python/train-00000.tar",
        "out/parquet/python/train-00000.parquet",
        "work/python/train-00000.attribution",
        "work/python/train-00000.digests",
    ]


@pytest.mark.slow
def test_large_shards_have_bounded_row_groups(tmp_path: Path) -> None:
    rows = []
    for number in range(10):
        text = os.urandom(1 << 20).hex()[: 2 << 20]
        pair = make_pair(number, code=f"x{number} = '{text}'")
        rows.append((pair.id, payload(pair)))
    files = write(tmp_path, sorted(rows))
    with pq.ParquetFile(tmp_path / "out" / files.parquet.path) as twin:
        groups = [twin.metadata.row_group(n).num_rows for n in range(twin.num_row_groups)]
    assert groups == [4, 4, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[::-1], "ascend"),
        (lambda rows: [rows[0], *rows], "ascend"),
        (lambda rows: [("0" * 32, rows[0][1])], "holds the sample"),
        (lambda rows: [], "no samples"),
        (lambda rows: [*rows, ("f" * 32, b"{}")], "missing fields"),
        (lambda rows: [(GO.id, payload(GO))], "is 'go', not 'python'"),
    ],
)
def test_wrong_samples_leave_nothing_behind(tmp_path: Path, change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match=message):
        write(tmp_path, change(rows_of(4)))
    assert all_files(tmp_path) == {}


def test_an_old_shard_survives_a_failed_rewrite(tmp_path: Path) -> None:
    write(tmp_path, rows_of(4))
    before = all_files(tmp_path)
    with pytest.raises(ValueError, match="ascend"):
        write(tmp_path, rows_of(4)[::-1])
    assert all_files(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_leaves_no_final_name(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        write(small_disk, rows_of(400))
    assert all_files(small_disk) == {}
    assert write(small_disk, rows_of(10)).samples == 10


def test_python_reads_the_tar(tmp_path: Path) -> None:
    files = write(tmp_path, rows_of(5))
    with tarfile.open(tmp_path / "out" / files.tar.path) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [f"{key}.json" for key, _ in rows_of(5)]
    assert {(m.mtime, m.mode, m.uid, m.uname, m.isreg()) for m in members} == {
        (0, 0o444, 0, "xtrove", True)
    }


def test_a_foreign_index_is_refused(tmp_path: Path) -> None:
    files = write(tmp_path, rows_of(5))
    index = tmp_path / "out" / files.index.path
    index.write_bytes(index.read_bytes()[:300])
    with pytest.raises(DamagedData, match="no readable Arrow file"):
        open_index(index)


def test_a_cut_tar_is_noticed(tmp_path: Path) -> None:
    files = write(tmp_path, rows_of(5))
    tar = tmp_path / "out" / files.tar.path
    tar.write_bytes(tar.read_bytes()[:1400])
    with tar.open("rb") as stream, pytest.raises(DamagedData, match="ends inside its payload"):
        list(read_members(stream))
