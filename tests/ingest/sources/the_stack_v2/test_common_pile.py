"""The Common Pile's copies of The Stack v2: rows, licences, streams, damaged files."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from ingest.errors import ChangedInput, SourceError
from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourceFile
from ingest.sources.registry import SourceOptions
from ingest.sources.registry import plan as plan_any
from ingest.sources.the_stack_v2.common_pile import CommonPileOptions, plan, read

SHA = "0123456789abcdef0123456789abcdef01234567"
Row = dict[str, Any]
source_adapter: TypeAdapter[SourceOptions] = TypeAdapter(SourceOptions)


def row(number: int = 0, **changes: Any) -> Row:
    """A row as published; `changes` go into its metadata, or replace `text`."""
    text = changes.pop("text", f"def f{number}():\n    return {number}\n")
    metadata = {
        "blob_id": f"{number:040x}",
        "detected_licenses": ["MIT"],
        "gha_license_id": None,
        "is_generated": False,
        "is_vendor": False,
        "language": "Python",
        "license": "MIT",
        "license_type": "permissive",
        "path": f"/src/f{number}.py",
        "repo_name": "owner/name",
        "url": f"https://github.com/owner/name/blob/{SHA}/src/f{number}.py",
    }
    return {
        "id": str(number),
        "text": text,
        "source": "stackv2",
        "added": "2024-11-01",
        "metadata": {**metadata, **changes},
    }


def write(path: Path, *rows: Row | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in rows]
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", mtime=0))
    return path


def run(
    root: Path, slice_bytes: int | None = None, **options: object
) -> tuple[Listing, list[SourceFile | Skip]]:
    chosen = CommonPileOptions.model_validate({"path": str(root), **options})
    listing = plan(chosen, "pile", LicensePolicy(), slice_bytes)
    records: list[SourceFile | Skip] = []
    for slice_ in listing.slices:
        result = list(read(chosen, "pile", LicensePolicy(), slice_, listing.revision))
        assert [one.row for one in result] == list(range(len(result)))
        records += result
    return listing, records


def reasons(records: list[SourceFile | Skip]) -> list[str]:
    return [record.reason if isinstance(record, Skip) else "file" for record in records]


def test_a_row_becomes_a_file(tmp_path: Path) -> None:
    write(tmp_path / "00001.json.gz", row(7))
    listing, records = run(tmp_path)
    assert records == [
        SourceFile(
            source="pile",
            source_revision=listing.revision,
            repo="owner/name",
            path="src/f7.py",
            revision=SHA,
            url=f"https://github.com/owner/name/blob/{SHA}/src/f7.py",
            language="python",
            content=b"def f7():\n    return 7\n",
            licenses=("MIT",),
            license_evidence="metadata detected_licenses",
            stars=-1,
            row=0,
        )
    ]
    assert str(tmp_path) not in repr((listing.revision, listing.provenance))


ROWS: list[tuple[Row | bytes, str]] = [
    (row(text=None), "null_content"),
    (row(text=5), "wrong_type"),
    (row(text="x" * 1_000_001), "too_large"),
    (row(text="\ud800"), "invalid_text"),
    (row(language="Objective-C++"), "unsupported_language"),
    (row(language=None), "unsupported_language"),
    (row(language="Go"), "file"),
    (row(is_vendor=True), "vendored"),
    (row(is_generated=True), "generated"),
    (row(repo_name=None), "null_repo"),
    (row(path=""), "null_path"),
    (row(path="a\nb"), "invalid_path"),
    (row(url="javascript:x"), "file"),
    (row(detected_licenses=["GPL-3.0-only"]), "license_not_permissive"),
    (row(detected_licenses="MIT"), "wrong_type"),
    (row(detected_licenses=[], license=None), "license_unknown"),
    (row(detected_licenses=[], license="MIT"), "file"),
    (row(detected_licenses=[], license="GPL-2.0-only"), "license_not_permissive"),
    (row(license_type="no_license"), "no_license"),
    (row(gha_license_id="GPL-3.0-only"), "license_not_permissive"),
    ({"text": "x", "metadata": None}, "missing_column"),
    (b"{oops", "invalid_json"),
    (b"[1]", "not_an_object"),
    (b'{"text": "' + b"x" * 8_000_001 + b'"}', "line_too_long"),
]


def test_each_bad_row_is_one_refusal(tmp_path: Path) -> None:
    write(tmp_path / "a.json.gz", *(one for one, _ in ROWS))
    records = run(tmp_path)[1]
    assert reasons(records) == [reason for _, reason in ROWS]
    strange = records[12]
    assert isinstance(strange, SourceFile)
    assert (strange.url, strange.revision) == ("", "")
    silent = records[16]
    assert isinstance(silent, SourceFile)
    assert silent.license_evidence == "metadata license"


def test_folders_of_languages_are_streams(tmp_path: Path) -> None:
    write(tmp_path / "data/Python/a.json.gz", row(1), row(2, language="Go"))
    write(tmp_path / "data/Go/a.jsonl.gz", row(3, language="Go"))
    write(tmp_path / "data/mixed/a.json.gz", row(4), row(5, language="Ruby"))
    (tmp_path / "README.md").write_text("no data")
    listing, records = run(tmp_path)
    assert [slice_.stream for slice_ in listing.slices] == ["", "go", "python"]
    assert Counter(reasons(records)) == {"file": 4, "language_mismatch": 1}
    assert [record.language for record in records] == ["python", "ruby", "go", "python", "python"]
    listing, records = run(tmp_path, languages=["go"])
    assert [slice_.stream for slice_ in listing.slices] == ["", "go"]
    assert reasons(records) == ["unwanted_language", "unwanted_language", "file"]


def test_small_files_share_a_slice_and_large_ones_do_not(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"{number}.json.gz", row(number))
    assert len(run(tmp_path)[0].slices) == 1
    listing, records = run(tmp_path, 1)
    assert [len(slice_.parts) for slice_ in listing.slices] == [1] * 6
    assert [getattr(record, "path", "") for record in records] == [f"src/f{i}.py" for i in range(6)]


def test_damage_costs_what_comes_after_it_in_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json.gz", *(row(i) for i in range(500)))
    path.write_bytes(path.read_bytes()[:-3000])
    write(tmp_path / "b.json.gz", row(1))
    (tmp_path / "c.json.gz").symlink_to("b.json.gz")
    listing, records = run(tmp_path)
    kinds = Counter(reasons(records))
    assert kinds["corrupt_input"] == 1
    assert 1 < kinds["file"] < 500
    assert [one.name for one in listing.quarantined] == ["c.json.gz"]
    assert getattr(records[-1], "path", "") == "src/f1.py"


@pytest.mark.slow
def test_a_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.formats.compressed.MAX_UNPACKED", 3_000_000)
    good = json.dumps(row(1)).encode() + b"\n"
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(good + b"\n" * 5_000_000))
    records = run(tmp_path)[1]
    assert reasons(records) == ["file", "corrupt_input"]
    assert "more than 3000000 bytes" in getattr(records[1], "detail", "")


def test_nothing_to_read_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        run(tmp_path / "none")
    with pytest.raises(SourceError, match=r"no file of this source.*\*\.json\.gz"):
        run(tmp_path)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "a.json.gz", row(1))
    options = CommonPileOptions(path=str(tmp_path))
    listing = plan(options, "s", LicensePolicy())
    write(tmp_path / "a.json.gz", row(2))
    with pytest.raises(ChangedInput, match=r"a\.json\.gz"):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision))


@pytest.mark.parametrize("kind", ["common-pile-stack", "the-stack"])
def test_lines_in_zstd_are_named_with_the_way_out(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "python/a.jsonl.zst"
    path.parent.mkdir()
    path.write_bytes(b"x")
    options = source_adapter.validate_python({"kind": kind, "path": str(tmp_path)})
    with pytest.raises(SourceError, match=r"a\.jsonl\.zst: compressed with zstd.*zstd -d"):
        plan_any(options, "s", LicensePolicy())
