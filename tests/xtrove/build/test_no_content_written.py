"""Nothing of what was refused stands in an output, a work folder, a log or on a terminal."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.xtrove import support
from tests.xtrove.build.test_bad_input import _good, _stack_row

pytestmark = pytest.mark.slow

SECRET = "Zq7hunter2CANARY"
ROWS = '{{"q": "the number {n} of all values below a limit", "c": {code}}}\n'


def _pairs(folder: Path) -> Path:
    """Good rows, and the secret in every way in which a row or a header can be wrong."""
    folder.mkdir()
    good = "".join(ROWS.format(n=n, code=json.dumps(_good(n))) for n in range(4))
    bad = [
        f'{{"q": "{SECRET}\n',
        f'["{SECRET}"]\n',
        f'{{"q": ["{SECRET}"], "c": "x"}}\n',
        f'{{"q": "a", "c": "b", "language": "{SECRET}"}}\n',
        f'{{"q": "a", "c": "b", "license": {{"{SECRET}": 1}}}}\n',
        f'{{"q": "a", "c": "b", "license": "{SECRET}"}}\n',
        f'{{"q": "a", "c": "b", "stars": "{SECRET}", "repo": ["{SECRET}"]}}\n',
    ]
    lines = [line.encode() for line in bad] + [SECRET.encode() + b"\xff\n"]
    (folder / "lines.jsonl").write_bytes(good.encode() + b"".join(lines))
    packed = gzip.compress(good.encode() + lines[0])
    (folder / "cut.jsonl.gz").write_bytes(packed[:-9])
    (folder / "open.csv").write_text(f'q,"[/bold] {SECRET}\n', encoding="utf-8")
    (folder / "twice.csv").write_text(f"{SECRET},{SECRET}\n", encoding="utf-8")
    (folder / "others.csv").write_text(f"{SECRET},b\n", encoding="utf-8")
    rows = f'q,c\n"{SECRET}"x,a\n{SECRET},b,c\n"{SECRET},a\n'
    (folder / "rows.csv").write_text(rows, encoding="utf-8")
    pq.write_table(pa.table({"q": [{SECRET: 1}], "c": ["x"]}), folder / "struct.parquet")
    pq.write_table(pa.table({"q": ["x"], SECRET: ["x"]}), folder / "lacks.parquet")
    return folder


def _stack(folder: Path) -> Path:
    target = folder / "data" / "python"
    target.mkdir(parents=True)
    rows = [_stack_row(_good(n), max_stars_repo_path=f"pkg/m{n}.py") for n in range(20, 24)]
    rows += [
        _stack_row(SECRET, max_stars_repo_licenses=[SECRET]),
        _stack_row(SECRET, lang=SECRET, size=-1),
        _stack_row(SECRET, max_stars_repo_name=f"a/{SECRET}\n"),
        _stack_row(f"{SECRET}\0"),
    ]
    pq.write_table(pa.Table.from_pylist(rows), target / "train-00000-of-00002.parquet")
    whole = bytearray((target / "train-00000-of-00002.parquet").read_bytes())
    whole[whole.index(SECRET.encode()) - 40] ^= 255
    (target / "train-00001-of-00002.parquet").write_bytes(bytes(whole))
    return folder


def _files(folder: Path) -> Path:
    folder.mkdir()
    (folder / "good.py").write_text(_good(50), encoding="utf-8")
    (folder / "latin.py").write_bytes(b"# " + SECRET.encode() + b"\xff\n")
    (folder / "null.py").write_bytes(SECRET.encode() + b"\0")
    (folder / "broken.py").write_text(f"def {SECRET}(:\n  {SECRET} = (\n", encoding="utf-8")
    return folder


def _licensed(folder: Path) -> Path:
    """Licence files and manifests of every kind, none of which is known."""
    for name, text in {
        "a/LICENSE": f"All rights are {SECRET}'s.",
        "b/package.json": json.dumps({"license": SECRET}),
        "c/pyproject.toml": f'[project]\nlicense = "{SECRET}"\n',
        "d/Cargo.toml": f'[package]\nlicense = "MIT {SECRET}"\n',
        "e/package.json": f'{{"license": "{SECRET}',
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        (path.parent / "code.py").write_text(_good(60), encoding="utf-8")
    return folder


def _archives(folder: Path) -> list[Path]:
    """Archives that break off behind the secret, or whose two lists of names differ."""
    folder.mkdir()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("pkg/good.py", _good(70))
        archive.writestr("pkg/aaaaaaaaaaaaaaaa.py", SECRET)
    start = held.getvalue().replace(b"aaaaaaaaaaaaaaaa.py", f"{SECRET}.py".encode(), 1)
    (folder / "names.zip").write_bytes(start)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, text in (("pkg/good.py", _good(71)), ("pkg/bad.py", SECRET * 2000)):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    (folder / "short.tar").write_bytes(held.getvalue()[:12_000])
    return [folder / "names.zip", folder / "short.tar"]


def _hits(folder: Path) -> list[str]:
    result = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            result.append(path.relative_to(folder).as_posix())
    return result


def _parquet_hits(folder: Path) -> list[str]:
    """Parquet is compressed: read it."""
    tables = [path for path in folder.rglob("*.parquet") if path.is_file()]
    return [path.name for path in tables if SECRET in str(pq.read_table(path).to_pylist())]


def test_a_secret_in_bad_input_is_written_nowhere(tmp_path: Path) -> None:
    declared = {"declared_licenses": ["MIT"]}
    sources: list[dict[str, Any]] = [
        {"kind": "the-stack", "path": str(_stack(tmp_path / "stack"))},
        {"kind": "directory", "path": str(_files(tmp_path / "files")), **declared},
        {"kind": "directory", "path": str(_licensed(tmp_path / "licensed"))},
        {
            "kind": "pairs",
            "path": str(_pairs(tmp_path / "pairs")),
            "columns": {"query": "q", "code": "c"},
            "language": "python",
            **declared,
        },
    ]
    for archive in _archives(tmp_path / "archives"):
        sources.append({"kind": "directory", "path": str(archive), **declared})
    for number, source in enumerate(sources):
        source["name"] = f"s{number}"
    shards = {"splits": {"validation": 0, "test": 0}}
    config = support.write_config(
        tmp_path / "config.yaml", {"name": "quiet", "sources": sources, "shards": shards}
    )
    done = support.build(config, "--output", tmp_path / "out")
    assert _hits(tmp_path / "out") == []
    assert _parquet_hits(tmp_path / "out") == []
    assert SECRET not in done.stdout + done.stderr
    reasons = [item["reason"] for item in support.manifest(tmp_path / "out")["quarantined"]]
    assert len(reasons) == 9
    assert any("sha256 " in reason for reason in reasons)
