"""Archives read in place: the same files as in the folder, and nothing that a name could do."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ChangedInput, SourceError
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourceFile
from ingest.sources.directory import DirectoryOptions, plan, read
from tests.ingest.csn_copies import MIT

KINDS = ("zip", "tar", "tar.gz", "tgz")
FILES = {
    "LICENSE": MIT.encode(),
    "src/a.py": b"def a():\n    return 1\n",
    "src/b.go": b"package b\n",
    "vendor/LICENSE": b"GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007",
    "vendor/c.py": b"c = 1\n",
    "node_modules/d.js": b"d\n",
    "notes.txt": b"no code",
}
Files = Mapping[str, bytes]


def write(path: Path, files: Files, top: str = "") -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(f"{top}{name}", data)
        return path
    mode = "w" if path.suffix == ".tar" else "w:gz"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(f"{top}{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def unpack(root: Path, files: Files) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def run(
    path: Path, slice_bytes: int | None = None, **options: object
) -> tuple[Listing, list[SourceFile | Skip]]:
    chosen = DirectoryOptions.model_validate({"path": str(path), **options})
    listing = plan(chosen, "s", LicensePolicy(), slice_bytes)
    records: list[SourceFile | Skip] = []
    for piece in listing.slices:
        found = list(read(chosen, "s", LicensePolicy(), piece, listing.revision))
        assert [one.row for one in found] == list(range(len(found)))
        records += found
    return listing, records


def outcomes(records: list[SourceFile | Skip]) -> dict[str, str]:
    """Path (or what the refusal names) -> content or reason."""
    return {
        one.detail.partition(":")[0] if isinstance(one, Skip) else one.path: (
            one.reason if isinstance(one, Skip) else one.content.decode()
        )
        for one in records
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top", ["", "name-1.0/", "./"])
def test_an_archive_holds_what_the_folder_holds(tmp_path: Path, kind: str, top: str) -> None:
    folder = run(unpack(tmp_path / "name", FILES))[1]
    before = sorted(tmp_path.rglob("*"))
    path = write(tmp_path / f"name.{kind}", FILES, top)
    listing, records = run(path)
    assert outcomes(records) == outcomes(folder)
    assert outcomes(records) == {
        "src/a.py": FILES["src/a.py"].decode(),
        "src/b.go": FILES["src/b.go"].decode(),
        "vendor/c.py": "license_not_permissive",
    }
    (first, *_) = [one for one in records if isinstance(one, SourceFile)]
    assert (first.repo, first.licenses, first.license_evidence) == (
        "name",
        ("MIT",),
        "LICENSE: text of MIT",
    )
    assert str(tmp_path) not in repr((listing.revision, listing.provenance))
    assert sorted(tmp_path.rglob("*")) == sorted([*before, path])


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_gives_the_same_files(tmp_path: Path, kind: str) -> None:
    files = {"LICENSE": MIT.encode()} | {f"f{i:02}.py": b"x = %d\n" % i for i in range(40)}
    path = write(tmp_path / f"a.{kind}", files)
    whole = outcomes(run(path)[1])
    listing, records = run(path, 1)
    assert len(listing.slices) == 40
    assert outcomes(records) == whole
    assert len({one.digest for one in listing.slices}) == 40
    (tmp_path / "elsewhere").mkdir()
    again = write(tmp_path / "elsewhere" / f"a.{kind}", files)
    assert {one.digest for one in run(again, 1)[0].slices} == {o.digest for o in listing.slices}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_that_lead_out_are_counted_and_never_followed(tmp_path: Path, kind: str) -> None:
    names = ["/etc/a.py", "../b.py", "x/../../c.py", "..\\d.py", "x/bad\nname.py", "good.py"]
    path = write(tmp_path / f"a.{kind}", dict.fromkeys(names, b"x = 1\n"))
    records = run(path, declared_licenses=["MIT"])[1]
    assert Counter(getattr(one, "reason", "file") for one in records) == {
        "outside_archive": 4,
        "invalid_path": 1,
        "file": 1,
    }
    assert [one.name for one in tmp_path.rglob("*")] == [path.name]


def test_links_devices_and_doubles_in_a_tar_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    kinds = {
        "a.py": tarfile.SYMTYPE,
        "b.py": tarfile.LNKTYPE,
        "c.py": tarfile.FIFOTYPE,
        "d.py": tarfile.CHRTYPE,
        "e.py": tarfile.GNUTYPE_SPARSE,
    }
    with tarfile.open(path, "w") as tar:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for content in (b"first = 1\n", b"last = 1\n"):
            info = tarfile.TarInfo("f.py")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    records = run(path, declared_licenses=["MIT"])[1]
    reasons = Counter(getattr(one, "reason", "file") for one in records)
    assert reasons == {"symlink": 2, "not_a_file": 3, "duplicate_member": 1, "file": 1}
    assert [one.content for one in records if isinstance(one, SourceFile)] == [b"last = 1\n"]


def test_links_and_devices_in_a_zip_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in (("a.py", stat.S_IFLNK), ("b.py", stat.S_IFIFO), ("c.py", stat.S_IFREG)):
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode | 0o644) << 16
            archive.writestr(info, b"x = 1\n")
    records = run(path, declared_licenses=["MIT"])[1]
    assert [getattr(one, "reason", "file") for one in records] == ["symlink", "not_a_file", "file"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_large_members_are_not_read(tmp_path: Path, kind: str) -> None:
    files = {"bomb.py": b"\0" * 300_000_000, "good.py": b"x = 1\n"}
    path = write(tmp_path / f"a.{kind}", files)
    start = time.process_time()
    records = run(path, declared_licenses=["MIT"])[1]
    assert outcomes(records) == {"bomb.py": "too_large", "good.py": "x = 1\n"}
    assert time.process_time() - start < 20


def test_a_member_that_lies_about_its_size_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {"bomb.py": b"\0" * 5_000_000, "good.py": b"x = 1\n"})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    records = run(path, declared_licenses=["MIT"])[1]
    assert outcomes(records) == {"bomb.py": "unreadable", "good.py": "x = 1\n"}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_header_cannot_ask_for_much_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        write(path, {f"{'x' * 200}{i}.py": b"" for i in range(70_000)})
    else:
        info = tarfile.TarInfo("PaxHeaders/x")
        info.type, info.size = tarfile.XHDTYPE, 200_000_000
        data = info.tobuf() + b"\0" * 200_000_000
        path.write_bytes(data if kind == "tar" else gzip.compress(data, 1))
    with pytest.raises(SourceError, match=r"directory of|asks for \d+ bytes"):
        run(path, declared_licenses=["MIT"])


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_breaks_off(tmp_path: Path, kind: str) -> None:
    """A zip has its directory at the end; of a tar, what came before is still good."""
    files = {"LICENSE": MIT.encode()} | {f"{i:03}.py": b"x = %d\n" % i * 300 for i in range(200)}
    path = write(tmp_path / f"a.{kind}", files)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    if kind == "zip":
        with pytest.raises(SourceError, match=r"cannot be read: a\.zip"):
            run(path)
        return
    listing, records = run(path)
    good = [one for one in records if isinstance(one, SourceFile)]
    assert 20 < len(good) < 200
    assert [one.name for one in listing.quarantined] == [path.name]


def test_a_damaged_header_is_no_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", {f"{i}.py": b"x = 1\n" for i in range(9)})
    data = bytearray(path.read_bytes())
    data[5 * 1024 + 10] ^= 0xFF
    path.write_bytes(bytes(data))
    listing, records = run(path, declared_licenses=["MIT"])
    assert len(records) == 5
    assert [one.reason for one in listing.quarantined] == ["unreadable archive: a damaged header"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_archive_is_noticed(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"a.{kind}", FILES)
    options = DirectoryOptions(path=str(path))
    listing = plan(options, "s", LicensePolicy())
    write(path, {**FILES, "src/a.py": b"def b():\n    return 1\n"})
    with pytest.raises(ChangedInput, match=r"a\.py"):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


def test_what_is_no_archive_stops_the_build(tmp_path: Path) -> None:
    for kind in KINDS:
        (tmp_path / f"a.{kind}").write_bytes(b"not an archive")
        with pytest.raises(SourceError, match=r"a\.(zip|tar|tgz)|no readable file"):
            run(tmp_path / f"a.{kind}")


@given(st.data())
def test_damage_is_a_reason_and_never_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    path = write(tmp_path / f"a.{kind}", FILES)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    try:
        records = run(path, declared_licenses=["MIT"])[1]
    except SourceError as error:
        assert error.remedy
    else:
        assert len(records) <= len(FILES)
