"""Tars of others: what is read, what is left out and counted, and that nothing is ever written."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.loader.reader import CacheOptions, PlanError, PlanOptions, Reader, Select
from shards.read.dataset import DamagedShard

CODE = b"def work(value):\n    return value + %d\n"


def member(
    tar: tarfile.TarFile,
    name: str,
    data: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
) -> None:
    """One member of any kind."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    tar.addfile(info, io.BytesIO(data))


def write_tar(path: Path, count: int = 20, form: int = tarfile.GNU_FORMAT) -> Path:
    """A plain tar in webdataset's manner: `.txt` and `.py`, every third one as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for number in range(count):
            key = f"{path.stem}/{number:04d}"
            if number % 3:
                member(tar, f"{key}.txt", f"Adds {number} ü to a value".encode())
                member(tar, f"{key}.py", CODE % number)
            else:
                row = {
                    "query": f"Adds {number} to it",
                    "code": (CODE % number).decode(),
                    "language": "Python",
                    "stars": number,
                    "nested": {"a": 1},
                    "none": None,
                    "half": "\ud800",
                }
                member(tar, f"{key}.json", json.dumps(row).encode())
    return path


def open_tars(place: Path | list[Path], folder: Path, select: Select | None = None) -> Reader:
    """A reader whose indexes go to the folder."""
    return Reader.open(place, cache=CacheOptions(folder=folder / "cache"), select=select)


def test_text_code_and_json_members(tmp_path: Path) -> None:
    write_tar(tmp_path / "tars/a-000.tar")
    write_tar(tmp_path / "tars/more/b-000.tar", 10)
    write_tar(tmp_path / "tars/more/b-val.tar", 5)
    before = sorted(path for path in (tmp_path / "tars").rglob("*"))
    with open_tars(tmp_path / "tars", tmp_path) as reader:
        assert reader.manifest is None
        assert reader.languages == ("python",)
        assert len(reader) == 30
        samples = list(reader.iterate())
        assert len({str(one["id"]) for one in samples}) == 30
        by_key = {str(one["key"]): one for one in samples}
        plain, rich = by_key["a-000/0001"], by_key["a-000/0003"]
        assert (plain["query"], plain["code"]) == ("Adds 1 ü to a value", (CODE % 1).decode())
        assert plain["py"] == plain["code"]
        assert (rich["query"], rich["stars"], rich["language"]) == ("Adds 3 to it", 3, "python")
        assert not {"nested", "none", "half"} & rich.keys()
        assert reader.tokens().min() > 5
        options = PlanOptions(seed=1, batch_size=4, window=8, run=2, pool=4)
        batches = list(reader.batches(options))
        assert sorted(p for one in batches for p in one.positions.tolist()) == list(range(30))
        # Numbers 1, 2... of both tars have the same code: never in one batch.
        assert all(len({one["code"] for one in b.samples}) == len(b.samples) for b in batches)
        digest = reader.digest
    assert sorted(path for path in (tmp_path / "tars").rglob("*")) == before
    with open_tars(tmp_path / "tars", tmp_path, Select(splits=("validation",))) as reader:
        assert len(reader) == 5
        assert reader.digest == digest


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(tmp_path: Path, form: int) -> None:
    path = tmp_path / "a.tar"
    key = "folder/" * 30 + "n" * 90 + "-ü"
    with tarfile.open(path, "w", format=form) as tar:
        member(tar, f"{key}.txt", b"a query")
        member(tar, f"{key}.py", CODE % 1)
        member(tar, "short.py", CODE % 2)
    with open_tars(path, tmp_path) as reader:
        assert [one["key"] for one in reader.iterate()] == [key, "short"]
        assert reader.sample(0)["query"] == "a query"


def test_an_index_is_made_once_and_again_after_a_change(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar")
    with open_tars(path, tmp_path) as reader:
        first = reader.digest
    made = sorted((tmp_path / "cache/indexes").iterdir())
    with open_tars([path], tmp_path) as reader:
        assert reader.digest == first
    assert sorted((tmp_path / "cache/indexes").iterdir()) == made
    write_tar(path, 21)
    os.utime(path, (1, 1))
    with open_tars(path, tmp_path) as reader:
        assert reader.digest != first
        assert len(reader) == 21


def test_a_tar_that_changed_in_secret_stops_with_its_name(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar")
    with open_tars(path, tmp_path) as reader:
        assert len(list(reader.iterate())) == 20
    data, status = path.read_bytes(), path.stat()
    path.write_bytes(data.replace(b"a/00", b"b/00"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with (
        open_tars(path, tmp_path) as reader,
        pytest.raises(DamagedShard, match=r"a\.tar: sample"),
    ):
        list(reader.iterate())


def test_hostile_members_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as tar:
        member(tar, "good.py", CODE % 1)
        member(tar, "../../escape.py", CODE % 2)
        member(tar, "/etc/absolute.py", CODE % 3)
        member(tar, "link.py", kind=tarfile.SYMTYPE, link="/etc/passwd")
        member(tar, "hard.py", kind=tarfile.LNKTYPE, link="good.py")
        member(tar, "device.py", kind=tarfile.CHRTYPE)
        member(tar, "pipe.py", kind=tarfile.FIFOTYPE)
        member(tar, "folder.py", kind=tarfile.DIRTYPE)
        member(tar, "giant.py", bytes((16 << 20) + 1))
        member(tar, "deep.json", b"[" * 200_000)
        member(tar, "digits.json", b'{"code": ' + b"9" * 100_000 + b"}")
        member(tar, "binary.py", b"\xff\xfe\x00")
        member(tar, "twice.py", CODE % 4)
        member(tar, "twice.py", CODE % 5)
        member(tar, "good.py", CODE % 6)
        member(tar, "nosuffix", b"x")
        member(tar, ".hidden.py", b"x")
        member(tar, "last.py", CODE % 7)
    with open_tars(path, tmp_path) as reader:
        assert [one["key"] for one in reader.iterate()] == ["good", "twice", "last"]
        assert reader.skipped == {
            "a name that leaves the tar": 2,
            "a name without key or suffix": 2,
            "key twice in a tar": 1,
            "member is not JSON": 2,
            "member is not UTF-8": 1,
            "member too large": 1,
            "member twice in a sample": 1,
            "no text or code in a sample": 3,
            "not a regular file": 5,
        }
    assert {one.name for one in tmp_path.iterdir()} == {"bad.tar", "cache"}


def test_truncated_empty_and_no_tars(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar").read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[:9000])
    with open_tars(cut, tmp_path) as reader:
        assert 0 < len(list(reader.iterate())) < 20
        assert any("ends" in reason for reason in reader.skipped)
    for data in (b"", bytes(10240), b"not a tar at all" * 100):
        cut.write_bytes(data)
        with pytest.raises(PlanError, match="no sample"):
            open_tars(cut, tmp_path)


@given(data=st.data())
def test_damage_anywhere_is_never_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    path = write_tar(tmp_path / "fuzz" / f"{random.getrandbits(60):x}.tar", 6)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, 9000))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        with open_tars(path, tmp_path) as reader:
            assert len(list(reader.iterate())) == len(reader)
    except PlanError as error:
        assert "no sample" in str(error)
    path.unlink()
