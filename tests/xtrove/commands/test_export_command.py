"""`xtrove export` as a program: words that do not go together, and an end to end run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shards import builder
from tests.xtrove import support


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    return builder.build(tmp_path_factory.mktemp("export")).path


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stderr.replace("│", "").split())


@pytest.mark.slow
def test_a_split_of_a_language(path: Path, tmp_path: Path) -> None:
    arguments = (
        "--to",
        "jsonl",
        "--split",
        "test",
        "--language",
        "go",
        "--output",
        tmp_path / "out",
    )
    done = support.xtrove("export", path, *arguments)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out/test.jsonl").read_text("utf-8").splitlines()
    assert lines and {json.loads(line)["language"] for line in lines} == {"go"}
    assert f"test: {len(lines)} rows" in done.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "ATTRIBUTION.jsonl",
        "README.md",
        "test.jsonl",
    ]
    again = support.xtrove("export", path, *arguments)
    assert again.returncode == 2 and "is there already" in again.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "csv"], "--to 'csv' is unknown"),
        (["--to", "jsonl", "--negatives", "x"], "--negatives means nothing for --to jsonl"),
        (["--to", "st-pairs", "--per-query", "2"], "--per-query means nothing for --to st-pairs"),
        (["--to", "onnx", "--split", "train"], "--split means nothing for --to onnx"),
        (["--to", "pylate-triplets"], "`xtrove mine DATASET --model-path MODEL --output DIR`"),
        (["--to", "jsonl", "--split", "dev"], "--split 'dev' is unknown"),
        (["--to", "jsonl", "--language", "cobol"], "language 'cobol' is not in the dataset"),
    ],
)
def test_words_that_are_wrong(path: Path, tmp_path: Path, words: list[str], said: str) -> None:
    done = support.xtrove("export", path, *words, "--output", tmp_path / "out")
    assert done.returncode == 2, done.stderr
    assert said in _said(done)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_never_into_the_dataset(path: Path) -> None:
    done = support.xtrove("export", path, "--to", "jsonl", "--output", path / "export")
    assert done.returncode == 2 and "inside the dataset" in _said(done)


@pytest.mark.slow
def test_here_and_through_a_link(path: Path, tmp_path: Path) -> None:
    """`.` has no name, and a rename over a link fails when all is written."""
    here, link = tmp_path / "here", tmp_path / "link"
    here.mkdir()
    (tmp_path / "there").mkdir()
    link.symlink_to(tmp_path / "there")
    arguments = ("export", path, "--to", "jsonl", "--split", "test", "--output")
    for output, cwd in ((".", here), (link, None)):
        done = support.xtrove(*arguments, output, cwd=cwd)
        assert done.returncode == 0, done.stderr
    for folder in (here, link):
        assert (folder / "test.jsonl").stat().st_size > 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["here", "link", "there"]


@pytest.mark.slow
def test_onnx_without_torch_names_the_remedy(path: Path, tmp_path: Path) -> None:
    """An environment in which torch cannot be imported."""
    (tmp_path / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "xtrove", "export", str(path), "--to", "onnx", "--output",
         str(tmp_path / "out")],
        cwd=support.ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{support.ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pip install -e '.[train]'" in _said(done)


@pytest.mark.slow
def test_onnx_of_what_is_no_model(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = support.xtrove("export", path, "--to", "onnx", "--output", tmp_path / "out")
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
