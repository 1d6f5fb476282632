"""Other people's readers each yield exactly the manifest's samples.

They run in a child process: `datasets` reads its environment on import, and its warnings are
not ours to raise.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.shards.builder import Built, build, published


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One dataset for all readers."""
    return build(tmp_path_factory.mktemp("consumers"))


def child(code: str, built: Built, tmp_path: Path) -> object:
    """Runs code with `path` and `tars` set; its last line is JSON."""
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_DATASETS_CACHE": str(tmp_path / "cache"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    tars = [str(built.path / shard.path) for shard in built.manifest.shards]
    # os._exit: pyarrow can fail in its finalisers when the interpreter ends (datasets#8169).
    script = f"""
import json, os, sys
path, tars = {str(built.path)!r}, {tars!r}
{code}
sys.stdout.write("\\n" + json.dumps(result) + "\\n")
sys.stdout.flush()
os._exit(0)
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
def test_load_dataset_through_the_card(built: Built, tmp_path: Path) -> None:
    code = """
from datasets import load_dataset, get_dataset_config_names
from itertools import islice
result = {"configs": sorted(get_dataset_config_names(path)), "rows": {}}
for name in result["configs"]:
    loaded = load_dataset(path, name)
    result["rows"][name] = {split: rows["id"] [:] for split, rows in loaded.items()}
result["default"] = {s: sorted(r["id"]) for s, r in load_dataset(path).items()}
row = load_dataset(path, "python", split="test", streaming=True)
result["streamed"] = sorted(r["id"] for r in row)
result["first"] = next(iter(row))
"""
    result = child(code, built, tmp_path)
    assert isinstance(result, dict)
    assert result["configs"] == ["default", "go", "python"]
    for language in ("go", "python"):
        counts = {split: len(ids) for split, ids in result["rows"][language].items()}
        assert counts == built.manifest.counts()[language]
        ids = [id_ for ids in result["rows"][language].values() for id_ in ids]
        expected = sorted(pair.id for pair in built.kept if pair.language == language)
        assert sorted(ids) == expected
    assert sorted(id_ for ids in result["default"].values() for id_ in ids) == built.ids
    assert result["streamed"] == sorted(result["rows"]["python"]["test"])
    pair = next(pair for pair in built.kept if pair.id == result["first"]["id"])
    assert result["first"]["code"] == pair.code
    assert result["first"]["licenses"] == list(pair.licenses)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [True, False])
def test_load_dataset_webdataset(built: Built, tmp_path: Path, streaming: bool) -> None:
    code = f"""
from datasets import load_dataset
rows = load_dataset("webdataset", data_files=tars, split="train", streaming={streaming})
result = [[row["__key__"], row["json"]["id"], row["json"]["query"]] for row in rows]
"""
    result = child(code, built, tmp_path)
    queries = {pair.id: pair.query for pair in built.kept}
    assert isinstance(result, list)
    assert sorted(key for key, _, _ in result) == built.ids
    assert all(key == one and queries[one] == query for key, one, query in result)


@pytest.mark.slow
def test_webdataset(built: Built, tmp_path: Path) -> None:
    code = """
import webdataset
rows = webdataset.WebDataset(tars, shardshuffle=False).decode()
result = [[row["__key__"], row["json"]["id"]] for row in rows]
"""
    result = child(code, built, tmp_path)
    assert isinstance(result, list)
    assert sorted(key for key, _ in result) == built.ids
    assert all(key == one for key, one in result)


def test_tarfile_and_pyarrow(built: Built) -> None:
    ids = []
    for shard in built.manifest.shards:
        with tarfile.open(built.path / shard.path) as tar:
            for member in tar:
                stream = tar.extractfile(member)
                assert stream is not None
                ids.append(json.loads(stream.read())["id"])
    assert sorted(ids) == built.ids
    table = pq.ParquetDataset(built.path / "parquet").read()
    assert sorted(table.column("id").to_pylist()) == built.ids


def test_sha256sum_agrees(built: Built) -> None:
    command = ["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(command, cwd=built.path, check=True)
    listed = {
        line.split("  ", 1)[1] for line in (built.path / "SHA256SUMS").read_text().splitlines()
    }
    assert listed == published(built.path).keys() - {"SHA256SUMS"}


@pytest.mark.slow
def test_a_missing_twin_is_noticed_by_load_dataset(built: Built, tmp_path: Path) -> None:
    # The card's counts protect a reader who never runs `xtrove verify`.
    copy = tmp_path / "copy"
    shutil.copytree(built.path, copy)
    (copy / "parquet/python/train-00000.parquet").unlink()
    code = f"""
from datasets import load_dataset
try:
    load_dataset({str(copy)!r}, "python")
    result = "loaded"
except Exception as error:
    result = type(error).__name__
"""
    assert child(code, built, tmp_path) == "NonMatchingSplitsSizesError"
