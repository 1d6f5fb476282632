"""Exports, read back by the libraries they are for; and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.export.plain import ExportOptions, Format, export
from shards.export.triplets import export_triplets
from shards.format import layout
from shards.format.sample import FIELDS, Sample
from shards.read.dataset import Dataset
from tests.shards import builder
from xtrove.core.errors import Misuse

ROOT = Path(__file__).parents[3]
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("negatives", pa.list_(pa.string())),
        ("scores", pa.list_(pa.float32())),
        ("positive_score", pa.float32()),
    ]
)


def silent(label: str, done: int, total: int) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two languages, three splits."""
    return Dataset.open(builder.build(tmp_path_factory.mktemp("export")).path)


def _samples(dataset: Dataset, split: str, language: str | None = None) -> dict[str, Sample]:
    return {str(s["id"]): s for s in dataset.samples(language=language, split=split)}


def _exported(dataset: Dataset, output: Path, kind: Format, **more: Any) -> Path:
    export(dataset, output, ExportOptions(format=kind, **more), silent)
    return output


def _load(folder: Path, cache: Path) -> datasets.DatasetDict:
    return datasets.load_dataset(str(folder), cache_dir=str(cache))


def test_json_lines(dataset: Dataset, tmp_path: Path) -> None:
    folder = _exported(dataset, tmp_path / "out", "jsonl")
    loaded = _load(folder, tmp_path / "cache")
    assert set(loaded) == set(layout.SPLITS)
    for split in layout.SPLITS:
        expected = _samples(dataset, split)
        assert expected
        assert [dict(row) for row in loaded[split]] == list(expected.values())
        frame = pd.read_json(folder / f"{split}.jsonl", lines=True, dtype=False)
        assert frame["id"].tolist() == list(expected)
        lines = (folder / f"{split}.jsonl").read_bytes().split(b"\n")
        payloads = [
            shard.payload(row)
            for shard in dataset.shards(split=split)
            for row in range(len(shard.index))
        ]
        assert lines == [*payloads, b""]


def test_parquet(dataset: Dataset, tmp_path: Path) -> None:
    folder = _exported(dataset, tmp_path / "out", "parquet", splits=("train", "test"))
    loaded = _load(folder, tmp_path / "cache")
    assert set(loaded) == {"train", "test"}
    for split in loaded:
        expected = _samples(dataset, split)
        assert [dict(row) for row in loaded[split]] == list(expected.values())
        frame = pd.read_parquet(folder / f"{split}.parquet")
        assert list(frame.columns) == list(FIELDS)
        assert frame["id"].tolist() == list(expected)


TRAIN = """
import sys, warnings
warnings.simplefilter("ignore")
from datasets import load_dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers import SentenceTransformerTrainingArguments, losses
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

rows = load_dataset(sys.argv[1], split="train")
tokenizer = Tokenizer(models.WordLevel(unk_token="?"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.train_from_iterator(rows["positive"], trainers.WordLevelTrainer(special_tokens=["?"]))
model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
words = SentenceTransformerTrainingArguments(
    output_dir=sys.argv[2], max_steps=2, per_device_train_batch_size=8, report_to=[],
    save_strategy="no", use_cpu=True, disable_tqdm=True,
)
loss = losses.MultipleNegativesRankingLoss(model)
trainer = SentenceTransformerTrainer(model=model, args=words, train_dataset=rows, loss=loss)
done = trainer.train()
print(rows.column_names, done.global_step, done.training_loss > 0)
"""


@pytest.mark.slow
def test_pairs_train_a_sentence_transformer(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    folder = _exported(dataset, tmp_path / "out", "st-pairs", languages=("python",))
    loaded = _load(folder, tmp_path / "cache")
    for split in layout.SPLITS:
        expected = _samples(dataset, split, "python").values()
        assert loaded[split]["anchor"] == [s["query"] for s in expected]
        assert loaded[split]["positive"] == [s["code"] for s in expected]
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(folder), str(tmp_path / "model")],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"),
             "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "['anchor', 'positive'] 2 True"


def _mined(folder: Path, dataset: Dataset, lists: Mapping[str, Sequence[str]]) -> Path:
    """A folder as `xtrove mine` leaves it, in two parts."""
    (folder / "negatives").mkdir(parents=True)
    rows = [
        {"id": key, "negatives": result, "scores": [0.5] * len(result), "positive_score": 1.0}
        for key, result in lists.items()
    ]
    for number, part in enumerate((rows[:2], rows[2:])):
        table = pa.Table.from_pylist(part, schema=SCHEMA)
        pq.write_table(table, folder / f"negatives/part-python-{number:05}.parquet")
    facts = {"content_sha256": dataset.manifest.content_sha256, "complete": True}
    (folder / "mine.json").write_text(json.dumps(facts))
    return folder


def _triplets(dataset: Dataset, output: Path, negatives: Path, **more: Any) -> Any:
    options = ExportOptions(format="pylate-triplets", **more.pop("options", {}))
    return export_triplets(
        dataset, output, options, negatives=negatives, progress=silent,
        per_query=more.pop("per_query", 1),
    )  # fmt: skip


def test_triplets_are_the_mined_texts(dataset: Dataset, tmp_path: Path) -> None:
    train = _samples(dataset, "train")
    ids = list(train)
    other_split = next(iter(_samples(dataset, "test")))
    lists = {
        ids[0]: [ids[1], ids[2], ids[3]],
        ids[1]: ["f" * 32, other_split, ids[1], ids[0]],
        ids[2]: [],
        ids[3]: [ids[2]],
        "e" * 32: [ids[0]],
        other_split: [ids[0]],
    }
    mined = _mined(tmp_path / "mined", dataset, lists)
    done = _triplets(dataset, tmp_path / "out", mined, per_query=2)
    expected = [(0, 1), (0, 2), (1, 0), (3, 2)]
    rows = _load(tmp_path / "out", tmp_path / "cache")["train"]
    assert rows.column_names == ["query", "positive", "negative"]
    assert [tuple(row.values()) for row in rows] == [
        (train[ids[q]]["query"], train[ids[q]]["code"], train[ids[n]]["code"]) for q, n in expected
    ]
    assert done.rows == {"train": 4}
    assert done.skipped == {
        "negative not in the dataset": 1,
        "negative of another split": 2,
        "negative that is an answer": 1,
        "query not in the dataset": 1,
        "query without negatives": 2,
    }
    assert not (tmp_path / "out/test.parquet").exists()


def test_negatives_of_another_dataset_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    ids = list(_samples(dataset, "train"))
    mined = _mined(tmp_path / "mined", dataset, {ids[0]: [ids[1]]})
    facts = mined / "mine.json"
    for content, text in (
        ({"content_sha256": "0" * 64}, "belongs to the dataset 0000"),
        ({"content_sha256": dataset.manifest.content_sha256, "complete": False}, "unfinished"),
        ([1], "belongs to the dataset None"),
    ):
        facts.write_text(json.dumps(content))
        with pytest.raises(Misuse, match=text):
            _triplets(dataset, tmp_path / "out", mined)
    facts.write_text("[" * 100_000)
    with pytest.raises(Misuse, match="holds no negatives"):
        _triplets(dataset, tmp_path / "out", mined)
    with pytest.raises(Misuse, match="xtrove mine"):
        _triplets(dataset, tmp_path / "out", tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_a_broken_part_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    ids = list(_samples(dataset, "train"))
    mined = _mined(tmp_path / "mined", dataset, {ids[0]: [ids[1]]})
    part = mined / "negatives/part-python-00000.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(Misuse, match="part-python-00000.parquet is no file of negatives"):
        _triplets(dataset, tmp_path / "out", mined)
    assert [path.name for path in tmp_path.iterdir()] == ["mined"]


def test_what_stands_is_never_written_into(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(Misuse, match="is there already"):
        _exported(dataset, tmp_path / "out", "jsonl")
    assert (tmp_path / "out/mine.txt").read_text() == "mine"


def test_a_damaged_shard_leaves_nothing(tmp_path: Path) -> None:
    path = builder.build(tmp_path / "set").path
    shard = sorted(path.rglob("train-*.tar"))[-1]
    shard.write_bytes(shard.read_bytes()[: 512 * 5])
    with pytest.raises(ValueError, match="train-"):
        _exported(Dataset.open(path), tmp_path / "out", "jsonl")
    assert [one.name for one in tmp_path.iterdir()] == ["set"]


def test_killed_in_the_middle_no_file_has_its_name(dataset: Dataset, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from shards.read.dataset import Dataset\n"
        "from shards.export.plain import ExportOptions, export\n"
        "def progress(name, done, total):\n"
        "    if done > total // 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "export(Dataset.open(Path(sys.argv[1])), Path(sys.argv[2]),\n"
        "       ExportOptions(format='parquet'), progress)\n"
    )
    arguments = [sys.executable, "-c", script, str(dataset.path), str(tmp_path / "out")]
    killed = subprocess.run(arguments, cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert all(path.name.startswith(".out.") for path in tmp_path.iterdir())
    _exported(dataset, tmp_path / "out", "parquet")


def test_licences_and_terms_go_along(tmp_path: Path) -> None:
    path = builder.build(tmp_path / "set", [builder.make_pair(1)], [], kind="the-stack").path
    folder = _exported(Dataset.open(path), tmp_path / "out", "st-pairs")
    assert (folder / "ATTRIBUTION.jsonl").read_bytes() == (path / "ATTRIBUTION.jsonl").read_bytes()
    card = (folder / "README.md").read_text()
    assert "extra_gated_prompt:" in card and "## Terms" in card


def test_memory_does_not_follow_the_rows(dataset: Dataset, tmp_path: Path) -> None:
    """Row groups are closed at 16 MiB or 4,096 rows, whatever comes after."""
    from shards.export.plain import PAIRS_SCHEMA, new_folder

    with new_folder(tmp_path / "out") as target, target.parquet("train", PAIRS_SCHEMA) as rows:
        most = 0
        for _ in range(10_000):
            rows.add({"anchor": "a", "positive": "b" * 2000}, 2001)
            most = max(most, rows.held)
    assert most <= (1 << 24) + 2001
    groups = pq.ParquetFile(tmp_path / "out/train.parquet").metadata
    assert max(groups.row_group(n).num_rows for n in range(groups.num_row_groups)) <= 4096
    assert np.sum([groups.row_group(n).num_rows for n in range(groups.num_row_groups)]) == 10_000
