"""Bad input never costs good data: each fault is named and counted, the rest is built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.xtrove import support

pytestmark = pytest.mark.slow

GOOD = '''"""A module."""


def {name}(values, limit):
    """Return the {name} of the values that lie under a limit.

    Values at the limit count as under it.
    """
    chosen = [value for value in values if value <= limit]
    {name}_total = sum(value * {factor} for value in chosen)
    return {name}_total, len(chosen)
'''
NAMES = ("average", "balance", "capacity", "density", "energy", "frequency", "gradient")


def _good(number: int) -> str:
    return GOOD.format(name=f"{NAMES[number % len(NAMES)]}_{number}", factor=number + 2)


def _stack_row(content: object, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "hexsha": "0" * 40,
        "size": len(str(content)),
        "ext": "py",
        "lang": "Python",
        "max_stars_repo_path": "pkg/module.py",
        "max_stars_repo_name": "somebody/something",
        "max_stars_repo_head_hexsha": "f" * 40,
        "max_stars_repo_licenses": ["MIT"],
        "max_stars_count": 3,
        "content": content,
    }
    return {**row, **changes}


def _stack(folder: Path) -> Path:
    """Good rows, rows that are wrong, a truncated file and one of another type."""
    target = folder / "data" / "python"
    target.mkdir(parents=True)
    rows = [_stack_row(_good(n), max_stars_repo_path=f"pkg/m{n}.py") for n in range(20, 30)]
    rows += [
        _stack_row(None),
        _stack_row(_good(30), max_stars_repo_licenses=None),
        _stack_row(_good(31), max_stars_repo_licenses=["GPL-3.0"]),
        _stack_row(_good(32) + "\0"),
    ]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, target / "train-00000-of-00003.parquet")
    whole = (target / "train-00000-of-00003.parquet").read_bytes()
    (target / "train-00001-of-00003.parquet").write_bytes(whole[: len(whole) // 2])
    wrong = table.drop_columns(["content"]).append_column("content", pa.array([1] * len(table)))
    pq.write_table(wrong, target / "train-00002-of-00003.parquet")
    return folder


def _files(folder: Path) -> Path:
    """Good files among files that cannot be read as code, a loop and a pipe."""
    folder.mkdir()
    for number in range(8):
        (folder / f"good{number}.py").write_text(_good(number), encoding="utf-8")
    latin = _good(8).replace("values that", "values \xe9t\xe9 that")
    (folder / "latin1.py").write_bytes(latin.encode("latin-1"))
    (folder / "nulls.py").write_text(_good(9) + "\0\0\0", encoding="utf-8")
    (folder / "huge.py").write_text(_good(10) + "#" * 2_000_000, encoding="utf-8")
    (folder / "loop").symlink_to(folder)
    (folder / "outside.py").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.py")
    return folder


def _lines(path: Path) -> Path:
    """Good pairs among broken lines, one of them of 100 MB."""
    with path.open("wb") as file:
        for number in range(40, 48):
            text = _good(number)
            query = f"the number {number} among all of the values under a limit"
            file.write(json.dumps({"q": query, "c": text.split('"""', 4)[-1]}).encode() + b"\n")
            if number == 42:
                file.write(b'{"q": "' + b"x" * 100_000_000 + b'", "c": "y"}\n')
            if number == 44:
                file.write(b'{"q": "cut off\n[1, 2]\n{"q": 5, "c": "x"}\n\xff\xfe\n\n')
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """One build over all of it, and what it said."""
    base = tmp_path_factory.mktemp("bad")
    config = {
        "name": "bad",
        "sources": [
            {"kind": "the-stack", "path": str(_stack(base / "stack"))},
            {
                "kind": "directory",
                "path": str(_files(base / "files")),
                "declared_licenses": ["MIT"],
            },
            {
                "kind": "pairs",
                "path": str(_lines(base / "pairs.jsonl")),
                "columns": {"query": "q", "code": "c"},
                "language": "python",
                "declared_licenses": ["MIT"],
            },
        ],
        "shards": {"splits": {"validation": 0, "test": 0}},
        "dedupe": {"threshold": 1.0},
    }
    path = support.write_config(base / "config.yaml", config)
    done = support.build(path, "--output", base / "out")
    yield base / "out", done.stdout + done.stderr


def _dropped(output: Path, source: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for levels in support.funnel(output)["sources"][source].values():
        for reason, count in levels["files"]["dropped"].items():
            counts[reason] = counts.get(reason, 0) + count
    return counts


def _kept(output: Path, source: str) -> int:
    levels = support.funnel(output)["sources"][source].values()
    return sum(int(level["pairs"]["kept"]) for level in levels)


def test_all_good_data_is_there_and_the_dataset_holds(built: tuple[Path, str]) -> None:
    output, _ = built
    assert _kept(output, "the-stack") == 10
    assert _kept(output, "directory") == 8
    assert _kept(output, "pairs") == 8
    done = support.xtrove("verify", output)
    assert done.returncode == 0, done.stdout


def test_a_truncated_parquet_file_is_quarantined_by_name(built: tuple[Path, str]) -> None:
    output, words = built
    names = {item["name"]: item["reason"] for item in support.manifest(output)["quarantined"]}
    assert any("train-00001-of-00003.parquet" in name for name in names)
    assert "train-00001-of-00003.parquet" in words


def test_rows_of_the_wrong_type_are_quarantined_by_name(built: tuple[Path, str]) -> None:
    output, _ = built
    reasons = {item["name"]: item["reason"] for item in support.manifest(output)["quarantined"]}
    wrong = next(reason for name, reason in reasons.items() if "train-00002" in name)
    assert "content" in wrong
    assert "int64" in wrong


def test_bad_rows_are_counted_by_reason(built: tuple[Path, str]) -> None:
    dropped = _dropped(built[0], "the-stack")
    assert dropped["null_content"] == 1
    assert dropped["license_unknown"] == 1
    assert dropped["license_not_permissive"] == 1
    assert dropped["null_byte"] == 1
    assert dropped["corrupt_input"] == 2


def test_bad_files_are_counted_by_reason(built: tuple[Path, str]) -> None:
    dropped = _dropped(built[0], "directory")
    assert dropped["not_utf8"] == 1
    assert dropped["null_byte"] == 1
    assert dropped["too_large"] == 1


def test_a_link_leads_nowhere_and_a_pipe_is_never_opened(built: tuple[Path, str]) -> None:
    output, _ = built
    seen = sum(
        int(levels["files"]["seen"])
        for levels in support.funnel(output)["sources"]["directory"].values()
    )
    dropped = _dropped(output, "directory")
    assert seen - sum(dropped.values()) == 8
    published = b"".join(path.read_bytes() for path in (output / "data").rglob("*.tar"))
    assert b"root:x:0:0" not in published


def test_bad_lines_are_counted_by_reason(built: tuple[Path, str]) -> None:
    dropped = _dropped(built[0], "pairs")
    assert dropped["line_too_long"] == 1
    assert dropped["invalid_json"] == 1
    assert dropped["not_an_object"] == 1
    assert dropped["wrong_type"] == 1
    assert dropped["not_utf8"] == 1


def test_an_output_of_another_config_is_left_alone(built: tuple[Path, str]) -> None:
    output, _ = built
    before = support.sums(output)
    config = output.parent / "config.yaml"
    done = support.xtrove("build", config, "--output", output, "--set", "query_cap.total=2")
    assert done.returncode == 2
    assert "query_cap.total: was 3, is 2" in done.stderr
    assert "--output" in done.stderr
    assert support.sums(output) == before


def test_an_output_of_other_inputs_is_left_alone(built: tuple[Path, str]) -> None:
    output, _ = built
    before = support.sums(output)
    extra = output.parent / "files" / "extra.py"
    extra.write_text(_good(50), encoding="utf-8")
    done = support.xtrove("build", output.parent / "config.yaml", "--output", output)
    extra.unlink()
    assert done.returncode == 2
    assert "input directory" in done.stderr
    assert support.sums(output) == before


def test_a_folder_that_is_not_ours_is_left_alone(built: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    config = built[0].parent / "config.yaml"
    done = support.xtrove("build", config, "--output", tmp_path)
    assert done.returncode == 2
    assert "thesis.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unreadable_folder_is_named(tmp_path: Path) -> None:
    """Root reads everything, so that this runs as somebody else."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become somebody who may not read")
    base = tmp_path / "mine"
    closed = base / "closed"
    closed.mkdir(parents=True)
    (closed / "secret.py").write_text(_good(60), encoding="utf-8")
    (base / "open.py").write_text(_good(61), encoding="utf-8")
    closed.chmod(0)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ingest.licenses.policy import LicensePolicy\n"
        "from ingest.records import Skip\n"
        "from ingest.sources.directory.source import DirectoryOptions\n"
        "from ingest.sources.registry import plan, read\n"
        "words = {'path': sys.argv[1], 'declared_licenses': ['MIT']}\n"
        "options = DirectoryOptions(kind='directory', **words)\n"
        "policy = LicensePolicy()\n"
        "plan(options, 'directory', policy)  # whatever is imported late, before root is left\n"
        "os.setuid(65534)\n"
        "listing = plan(options, 'directory', policy)\n"
        "rows = [r for s in listing.slices\n"
        "        for r in read(options, 'directory', policy, s, listing.revision)]\n"
        "names = [r.quarantined or r.reason for r in rows if isinstance(r, Skip)]\n"
        "print(len(rows) - len(names), names, [q.name for q in listing.quarantined])\n"
    )
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", script, str(base)],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    closed.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 ")
    assert "closed" in done.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    target = tmp_path / "disk"
    target.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(target)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield target
    subprocess.run(["umount", "-l", str(target)], check=True)


def test_a_full_disk_stops_and_the_build_goes_on_after_it(small_disk: Path, tmp_path: Path) -> None:
    source = support.library(tmp_path / "source", limit=3_000_000)
    shards = {"splits": {"validation": 0, "test": 0}}
    settings = support.library_config(source, shards=shards)
    config = support.write_config(tmp_path / "config.yaml", settings)
    output = small_disk / "out"
    done = support.xtrove("build", config, "--output", output)
    assert done.returncode == 1, done.stderr
    assert "No space left" in done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (output / "manifest.json").exists()
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    support.build(config, "--output", output)
    other = tmp_path / "other"
    support.build(config, "--output", other)
    assert support.sums(output) == support.sums(other)
