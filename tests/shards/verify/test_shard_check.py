"""Every corruption is found, and named for what it is."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shards.format.manifest import NewerFormat, NotADataset, UnfinishedBuild
from shards.storage.findings import KEPT_PER_CHECK, Findings
from shards.verify.dataset import check_dataset
from tests.shards.builder import Built, build, make_pair
from tests.shards.damage import (
    INDEX,
    TAR,
    TWIN,
    checks,
    edit_index,
    edit_manifest,
    edit_sample,
    edit_tar,
    findings,
    resign,
    write_json,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A dataset that is never changed."""
    return build(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def copy(sound: Built, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    shutil.copytree(sound.path, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_sound_dataset_has_no_findings(sound: Built) -> None:
    seen: list[tuple[str, int, int]] = []
    report = check_dataset(sound.path, lambda *step: seen.append(step))
    assert report.sound and report.suppressed == {}
    assert report.counts["samples"] == 100
    assert report.counts["removals"] == 4 and report.counts["witnesses"] == 3
    assert all(0 <= done <= total for _, done, total in seen)
    assert {label for label, _, _ in seen} >= {TAR, "removals", "SHA256SUMS"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [TAR, INDEX, TWIN, "README.md", "funnel.json"])
def test_a_flipped_byte_breaks_the_checksum(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert ("checksums", name) in {(f.check, f.subject) for f in findings(copy)}


def test_a_flipped_payload_byte_is_found_without_checksums(copy: Path) -> None:
    data = bytearray((copy / TAR).read_bytes())
    place = data.index(b"total", 512)
    data[place] ^= 1
    (copy / TAR).write_bytes(data)
    resign(copy)
    assert checks(copy) == {"sample", "parquet", "content"}


def test_stray_missing_unlisted_and_linked_files(copy: Path) -> None:
    (copy / "notes.txt").write_text("x")
    (copy / "data/python/train-00099.tar").write_bytes(bytes(10_240))
    (copy / ".DS_Store").write_text("x")
    (copy / TWIN).unlink()
    target = copy.parent / "elsewhere"
    (copy / "ATTRIBUTION.jsonl").rename(target)
    (copy / "ATTRIBUTION.jsonl").symlink_to(target)
    result = {(f.check, f.subject) for f in findings(copy)}
    for name in ("notes.txt", "data/python/train-00099.tar", ".DS_Store", TWIN):
        assert ("files", name) in result
    assert ("files", "ATTRIBUTION.jsonl") in result and ("parquet", TWIN) in result


def test_a_file_that_the_checksums_leave_out(copy: Path) -> None:
    sums = (copy / "SHA256SUMS").read_text().splitlines(keepends=True)
    (copy / "SHA256SUMS").write_text("".join(line for line in sums if INDEX not in line))
    assert [(f.check, f.subject) for f in findings(copy)] == [("checksums", INDEX)]
    (copy / "SHA256SUMS").write_text("no checksum\n")
    assert "checksums" in checks(copy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.__setitem__(slice(0, 2), rows[1::-1]), "key is"),
        (lambda rows: rows[2].update(offset=rows[2]["offset"] + 512), "offset is"),
        (lambda rows: rows[2].update(size=rows[2]["size"] - 1), "size is"),
        (lambda rows: rows[2].update(tokens=5), "tokens is"),
        (lambda rows: rows[2].update(query_group="0" * 16), "query_group is"),
        (lambda rows: rows[2].update(license_class="other"), "license_class is"),
        (lambda rows: rows.pop(), "has no row"),
        (lambda rows: rows.append({**rows[-1], "key": "f" * 32}), "not in the tar"),
        (lambda rows: rows[2].update(key="f" * 31), "32 characters"),
    ],
)
def test_index_against_tar(copy: Path, change: Callable[[Any], object], message: str) -> None:
    edit_index(copy, change)
    result = [f for f in findings(copy) if f.check == "index"]
    assert any(message in f.message for f in result)
    assert all(f.subject.startswith((TAR, INDEX)) for f in result)


def test_a_dropped_member(copy: Path) -> None:
    edit_tar(copy, lambda members: members[:-1])
    assert {"count", "index", "parquet", "content", "boundaries", "funnel"} <= checks(copy)


def test_a_doubled_member(copy: Path) -> None:
    edit_tar(copy, lambda members: [members[0], *members])
    result = findings(copy)
    assert {"unique", "tar", "count"} <= {f.check for f in result}
    assert any(f.check == "tar" and "ascend" in f.message for f in result)


def test_swapped_members(copy: Path) -> None:
    edit_tar(copy, lambda members: [members[1], members[0], *members[2:]])
    assert "tar" in checks(copy)


@pytest.mark.parametrize(
    "arguments", [{"mtime": 5}, {"kind": tarfile.SYMTYPE}, {"kind": tarfile.GNUTYPE_SPARSE}]
)
def test_hostile_headers(copy: Path, arguments: dict[str, Any]) -> None:
    edit_tar(copy, lambda members: members, **arguments)
    assert any(f.check == "tar" and f.subject.startswith(TAR) for f in findings(copy))


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/passwd", "a.json", "0" * 32 + ".py"])
def test_hostile_names(copy: Path, name: str) -> None:
    edit_tar(copy, lambda members: [(name, b"{}"), *members])
    assert any(f.check == "tar" and name in f.message for f in findings(copy))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-512],
        lambda data: data + b"\0" * 512,
        lambda data: data[:700],
        lambda data: data[:-1] + b"x",
        lambda data: b"\0" * len(data),
        lambda data: data[:124] + b"77777777777\0" + data[136:],
    ],
)
def test_tars_that_end_wrong(copy: Path, change: Callable[[bytes], bytes]) -> None:
    (copy / TAR).write_bytes(change((copy / TAR).read_bytes()))
    resign(copy)
    assert "tar" in checks(copy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokens": 1}, "tokens is 1"),
        ({"code_sha256": "0" * 64}, "code_sha256 is"),
        ({"query_group": "0" * 16}, "query_group is"),
        ({"start_byte": 8}, "id is"),
        ({"language": "go"}, "language is 'go'"),
        ({"id": "f" * 32}, "holds the sample"),
        ({"stars": None}, "stars is None"),
        ({"extra": 1}, "unknown fields"),
    ],
)
def test_sample_fields_are_recomputed(copy: Path, fields: dict[str, Any], message: str) -> None:
    key = edit_sample(copy, **fields)
    result = [f for f in findings(copy) if f.check == "sample"]
    assert any(message in f.message and key in f.subject for f in result)


def test_json_that_is_not_canonical(copy: Path) -> None:
    edit_tar(copy, lambda members: [(members[0][0], members[0][1] + b" "), *members[1:]])
    assert any("canonical" in f.message for f in findings(copy))


def test_a_query_that_its_code_contains(tmp_path: Path) -> None:
    leaky = make_pair(3, query="Total  = TOTAL * 0 +")
    built = build(tmp_path, [leaky, *(make_pair(n) for n in range(10, 60))], [])
    assert [(f.check, leaky.id in f.subject) for f in findings(built.path)] == [("leak", True)]


def test_a_sample_in_the_wrong_split(copy: Path) -> None:
    edit_manifest(copy, lambda m: m["split"].update(validation=0.5))
    assert "split" in checks(copy)


def test_boundaries_by_another_size(copy: Path) -> None:
    edit_manifest(copy, lambda m: m.update(max_bytes=40_000))
    assert checks(copy) == {"boundaries"}


def test_query_caps(tmp_path: Path) -> None:
    same = [make_pair(n, query="the very same question") for n in (0, 1, 2, 3, 11)]
    built = build(tmp_path, [*same, *(make_pair(n) for n in range(20, 80))], [])
    result = [f for f in findings(built.path) if f.check == "query_cap"]
    assert ["in all" in f.message for f in result] == [True, False]
    assert "in one repository" in result[1].message
    assert any(pair.id in result[1].subject for pair in (same[1], same[4]))


def test_manifest_numbers(copy: Path) -> None:
    edit_manifest(copy, lambda m: m.update(tokens=m["tokens"] + 1, content_sha256="0" * 64))
    assert checks(copy) == {"count", "content"}
    edit_manifest(copy, lambda m: m["licenses"].update(MIT=1))
    assert any("MIT" in f.message for f in findings(copy))


def test_an_edited_funnel(copy: Path) -> None:
    document = json.loads((copy / "funnel.json").read_bytes())
    level = document["sources"]["local"]["python"]["pairs"]
    level["dropped"]["near_duplicate"] += 1
    write_json(copy, "funnel.json", document)
    resign(copy)
    assert "funnel" in checks(copy)
    level["seen"] += 1
    document["sources"]["local"]["python"]["functions"]["kept"] += 1
    document["sources"]["local"]["python"]["functions"]["seen"] += 1
    for name in ("functions", "pairs"):
        document["totals"][name]["seen"] += 1
    document["totals"]["functions"]["kept"] += 1
    document["totals"]["pairs"]["dropped"]["near_duplicate"] += 1
    write_json(copy, "funnel.json", document)
    resign(copy)
    messages = [f.message for f in findings(copy) if f.check == "funnel"]
    assert messages == ["local/python/near_duplicate: 2 pairs dropped, removals/ holds 1"]


def test_an_edited_card_and_attribution(copy: Path) -> None:
    card = (copy / "README.md").read_text(encoding="utf-8")
    (copy / "README.md").write_text(card.replace("| all | 60 |", "| all | 61 |"), encoding="utf-8")
    lines = (copy / "ATTRIBUTION.jsonl").read_text().splitlines(keepends=True)
    (copy / "ATTRIBUTION.jsonl").write_text("".join(lines[1:]))
    resign(copy)
    assert checks(copy) == {"card", "attribution"}
    (copy / "README.md").write_text(card.replace("num_examples: 60", "num_examples: 6"))
    resign(copy)
    assert any("dataset_info" in f.message for f in findings(copy))


def test_missing_newer_and_damaged_manifests(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(NotADataset, match="is not a dataset"):
        check_dataset(tmp_path / "nowhere")
    text = (copy / "manifest.json").read_text(encoding="utf-8")
    (copy / "manifest.json").write_text(text.replace("xtrove-2", "xtrove-3"), encoding="utf-8")
    with pytest.raises(NewerFormat, match="update xtrove"):
        check_dataset(copy)
    (copy / "manifest.json").write_text(text[:-40], encoding="utf-8")
    assert [f.check for f in findings(copy)] == ["manifest"]
    hostile = text.replace('"data/go/test-00000.tar"', '"../../etc/passwd"')
    (copy / "manifest.json").write_text(hostile, encoding="utf-8")
    assert [f.check for f in findings(copy)] == ["manifest"]
    (copy / "manifest.json").unlink()
    with pytest.raises(UnfinishedBuild, match="xtrove build"):
        check_dataset(copy)


def test_findings_are_bounded() -> None:
    result = Findings()
    for number in range(KEPT_PER_CHECK + 7):
        result.add("tar", str(number), "x")
    report = result.report()
    assert len(report.findings) == KEPT_PER_CHECK and report.suppressed == {"tar": 7}
    assert not report.sound
