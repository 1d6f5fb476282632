"""`xtrove forget` on a real build: gone here, gone from later builds, finished after any kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shards.format.tombstones import repo_sha256
from tests.xtrove import support
from xtrove.build import tombstones
from xtrove.config import opt_out as opt_outs
from xtrove.core.errors import Misuse, XtroveError
from xtrove.runtime.workspace import Workspace
from xtrove.stages.extract import repo_number
from xtrove.stages.run_files import load

STAYS, GOES = "alpha/core", "Beta/Tools"


def _config(folder: Path, **changes: object) -> Path:
    """Two sources, each a repository of its own; the second repeats some of the first."""
    for name, start in (("one", 0), ("two", 8)):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        for number in range(start, start + 12):
            body = "\n".join(f"    total = total * {n} + rate[{number}]" for n in range(6))
            target.joinpath(f"part{number}.py").write_text(
                f"def settle_{number}(rate, total):\n"
                f'    """Settle the balance of account {number} at the rate given."""\n'
                f"{body}\n    return total\n",
                encoding="utf-8",
            )
    sources = [
        {"kind": "directory", "name": "first", "path": str(folder / "two"), "repo": GOES,
         "declared_licenses": ["MIT"]},
        {"kind": "directory", "name": "second", "path": str(folder / "one"), "repo": STAYS,
         "declared_licenses": ["MIT"]},
    ]  # fmt: skip
    config = {
        "name": "settled",
        "sources": sources,
        "shards": {"max_bytes": "4KB", "splits": {"validation": 0, "test": 0}},
        **changes,
    }
    return support.write_config(folder / f"config{len(changes)}.yaml", config)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of all builds here."""
    return _config(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def built(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with its work folder, only copied."""
    output = tmp_path_factory.mktemp("built") / "dataset"
    support.build(config, "--output", output)
    return output


def _repos(output: Path) -> set[str]:
    lines = (output / "ATTRIBUTION.jsonl").read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["repo"] for line in lines}


def _verify(output: Path) -> str:
    done = support.xtrove("verify", output)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_words(built: Path) -> None:
    """Exit codes, nearest names, and a dry run that changes nothing."""
    before = support.sums(built)
    done = support.xtrove("forget", built, "beta/tool", "nobody/nothing")
    assert done.returncode == 2 and GOES in done.stderr and "nobody/nothing" in done.stderr
    done = support.xtrove("forget", built, GOES.lower(), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "beta/tools: 12 samples" in done.stdout and "witness of 4 others" in done.stdout
    assert "data/python/train-00001.tar: 1 of 2 samples\n" in done.stdout
    assert "2 of 2 samples (all: the shard disappears)" in done.stdout
    assert "nothing was changed" in done.stdout
    assert support.sums(built) == before
    assert support.xtrove("forget", built.parent, GOES).returncode == 2
    assert support.xtrove("forget", built, "").returncode == 2
    assert not (built.parent / ".xtrove").exists()


@pytest.mark.slow
def test_forgotten_here_and_in_every_later_build(built: Path, config: Path, tmp_path: Path) -> None:
    """Same output: finished. Another output, same work folder: never read. `opt_out`: the same."""
    output = tmp_path / "dataset"
    # A finished output is known by its path: this copy is built in place from the receipts.
    support.build(config, "--output", output)
    assert support.sums(output) == support.sums(built)
    gone = next(i for i in support.ids(output) if _sample_repo(output, i) == GOES)
    done = support.xtrove("forget", output, GOES)
    assert done.returncode == 0, done.stderr
    assert "4 witness_forgotten" in _verify(output) and _repos(output) == {STAYS}
    assert support.funnel(output)["totals"]["pairs"]["dropped"]["forgotten"] == 12
    assert GOES.lower() not in (output / "manifest.json").read_text().lower()
    sums = support.sums(output)

    assert "forgotten before" in support.xtrove("forget", output, GOES).stdout
    assert "finished before" in support.build(config, "--output", output).stdout
    assert support.sums(output) == sums
    _holds_nothing(output / ".xtrove")

    done = support.xtrove("why", output, gone)
    assert done.returncode == 0 and "forgotten" in done.stdout
    assert "forgotten: 1 repositories, 12 samples" in support.xtrove("inspect", output).stdout

    other = tmp_path / "other"
    support.build(config, "--output", other, "--set", f"work={output / '.xtrove'}")
    assert _repos(other) == {STAYS}
    assert len(support.ids(other)) == 12, "what it had as duplicates is kept now"
    assert support.funnel(other)["totals"]["files"]["dropped"]["forgotten"] == 12
    (stone,) = support.manifest(other)["tombstones"]
    assert stone["repo_sha256"] == repo_sha256(GOES) and stone["samples"] == 0
    assert GOES.lower() not in (other / "manifest.json").read_text().lower()
    _verify(other)

    chained = _config(tmp_path, opt_out=[str(other)])
    support.build(chained, "--output", tmp_path / "third")
    assert support.sums(tmp_path / "third") == support.sums(other)


def _sample_repo(output: Path, sample: str) -> str:
    from shards.read.dataset import Dataset

    result = Dataset.open(output).get(sample)
    assert result is not None
    return str(result["repo"])


def _holds_nothing(work: Path) -> None:
    """No run has the code, and no byte of the name is left beside it or in the dataset."""
    number = repo_number(GOES)
    runs = [load(path) for path in (work / "files" / "extract").glob("*/items.npy")]
    assert runs and all(number not in run["repo"] for run in runs)  # type: ignore[call-overload]
    forms = (GOES, GOES.replace("/", "%2F"), GOES.replace("/", "\\/"))
    for path in work.parent.rglob("*"):
        if path.is_file():
            data = path.read_bytes().lower()
            assert not [form for form in forms if form.lower().encode() in data], path
            if path.suffix == ".parquet":
                assert GOES.lower() not in str(pq.read_table(path).to_pylist()).lower(), path


@pytest.mark.slow
def test_opt_out_by_name_and_list(config: Path, tmp_path: Path) -> None:
    """An owner in a text file: refused before anything is extracted, and counted."""
    names = tmp_path / "names.txt"
    names.write_text("# who asked\nBETA\n", encoding="utf-8")
    chosen = _config(tmp_path, opt_out=[str(names)])
    output = tmp_path / "dataset"
    support.build(chosen, "--output", output)
    assert _repos(output) == {STAYS}
    assert support.funnel(output)["totals"]["files"]["dropped"] == {"opted_out": 12}
    assert "tombstones" not in support.manifest(output)
    names.write_text("gamma/other\n", encoding="utf-8")
    done = support.xtrove("build", chosen, "--output", output)
    assert done.returncode == 2 and "opt_out" in done.stderr, "other inputs"


@pytest.mark.slow
def test_killed_at_any_moment(built: Path, tmp_path: Path) -> None:
    """SIGKILL of the command; then it holds the old dataset, or the same command finishes it."""
    whole = tmp_path / "whole"
    shutil.copytree(built, whole)
    start = time.monotonic()
    assert support.xtrove("forget", whole, GOES).returncode == 0
    seconds = time.monotonic() - start
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    for share in (0.5, 0.7, 0.8, 0.9, 0.97):
        arguments = [sys.executable, "-m", "xtrove", "forget", str(copy), GOES]
        child = subprocess.Popen(
            arguments, cwd=support.ROOT, env=support.environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds * share)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        if (copy / "manifest.json").exists():
            assert support.sums(copy) in (support.sums(built), support.sums(whole))
    assert support.xtrove("forget", copy, GOES).returncode == 0
    assert support.sums(copy) == support.sums(whole)
    _verify(copy)


@pytest.mark.slow
def test_a_build_over_a_forget_that_was_stopped_does_not_read_it(
    config: Path, tmp_path: Path
) -> None:
    """The journal was written, the manifest is away, and the user builds instead."""
    output = tmp_path / "dataset"
    support.build(config, "--output", output)
    script = (
        "import sys; from pathlib import Path; from shards.read.dataset import Dataset\n"
        "from shards.forget.rewrite import prepare; from shards.forget.inventory import survey\n"
        "from xtrove.stages.shard import license_class\n"
        "data = Dataset.open(Path(sys.argv[1])); say = lambda *step: None\n"
        "prepare(data, survey(data, [sys.argv[2]], say), license_class, say).promise()\n"
        "(data.path / 'manifest.json').unlink()\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(output), GOES],
        cwd=support.ROOT, env=support.environment(), check=True,
    )  # fmt: skip
    assert "forget" in support.xtrove("verify", output).stderr
    support.build(config, "--output", output)
    assert _repos(output) == {STAYS} and len(support.ids(output)) == 12
    assert not (output / ".xtrove" / "forget").exists()
    _verify(output)


def test_what_an_opt_out_may_be(tmp_path: Path) -> None:
    names = tmp_path / "lists" / "names.txt"
    names.parent.mkdir()
    names.write_text("Owner\nother/Repo  # by mail\n\n", encoding="utf-8")
    entries = opt_outs.resolve(["lists/names.txt", "Third/One", "fourth"], tmp_path)
    assert entries == (str(names), "third/one", "fourth")
    result = opt_outs.read(entries)
    expected = ("owner", "other/repo", "third/one", "fourth")
    assert result.names == tuple(sorted(map(repo_sha256, expected))) and result.forgotten == ()
    for wrong in ("./missing.txt", "a/b/c", "white space", ""):
        with pytest.raises(Misuse, match="opt_out"):
            opt_outs.read(opt_outs.resolve([wrong], tmp_path / "lists"))
    names.write_text("not a name\n", encoding="utf-8")
    with pytest.raises(Misuse, match="opt_out"):
        opt_outs.read(entries)


def test_a_damaged_memory_stops_instead_of_forgetting_what_was_forgotten(tmp_path: Path) -> None:
    workspace = Workspace(work=tmp_path, output=tmp_path / "out")
    tombstones.remember(workspace, {"a": ["12"], "b": ()})
    tombstones.remember(workspace, {"a": ["11"]})
    assert tombstones.known(tmp_path) == {"a": ["11", "12"], "b": []}
    assert tombstones.honoured(workspace) == ("a", "b")
    assert tombstones.is_forgotten(tmp_path, "1") and not tombstones.is_forgotten(tmp_path, "2")
    (tmp_path / "tombstones.json").write_text("{}")
    with pytest.raises(XtroveError, match=r"tombstones\.json"):
        tombstones.honoured(workspace)
