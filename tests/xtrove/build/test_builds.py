"""What a build decides, end to end: quotas, decontamination, consumers, the real data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from tests.xtrove import support

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(library_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config over a part of the standard library, and work files of its build."""
    folder = tmp_path_factory.mktemp("builds")
    shutil.copytree(library_dataset / ".xtrove", folder / "work")
    source = library_dataset.with_name("source")
    support.write_config(
        folder / "config.yaml", support.library_config(source, work=str(folder / "work"))
    )
    return folder


@pytest.fixture(scope="module")
def whole(library_dataset: Path) -> Path:
    """The dataset without quotas."""
    return library_dataset


QUOTA_SETTINGS = (
    "sources.0.languages=[python]",
    "shards.splits.validation=0",
    "shards.splits.test=0",
)


def _settings(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def _removed(output: Path) -> dict[str, dict[str, object]]:
    tables = [pq.read_table(path) for path in sorted((output / "removals").glob("*.parquet"))]
    return {str(row["id"]): row for table in tables for row in table.to_pylist()}


def test_a_quota_keeps_the_first_survivors_in_rank_order(base: Path, whole: Path) -> None:
    output = base / "quota"
    config = base / "config.yaml"
    settings = _settings("sources.0.max_per_language=300", *QUOTA_SETTINGS)
    support.build(config, "--output", output, *settings)
    kept = set(support.ids(output))
    assert len(kept) == 300
    assert kept < set(support.ids(whole))
    pairs = support.funnel(output)["totals"]["pairs"]
    assert pairs["dropped"]["over_quota"] > 0
    reasons = [row["reason"] for row in _removed(output).values()]
    assert reasons.count("over_quota") == pairs["dropped"]["over_quota"]
    # Five slices hold all; the first 300 survivors stand in one or two of them.
    assert len({event["key"] for event in _tasks(base, "extract")}) <= 3
    done = support.xtrove("verify", output)
    assert done.returncode == 0, done.stdout


def _tasks(base: Path, stage: str) -> list[dict[str, object]]:
    logs = (base / "work" / "logs").glob("*.jsonl")
    newest = max(logs, key=lambda path: path.stat().st_mtime_ns)
    rows = [json.loads(line) for line in newest.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["event"] == "task" and row["stage"] == stage]


def test_a_quota_is_the_same_for_any_number_of_workers(base: Path, whole: Path) -> None:
    settings = _settings("sources.0.max_per_language=220", *QUOTA_SETTINGS)
    sums = set()
    for workers in (0, 2):
        output = base / f"quota-{workers}"
        work = f"work={base / f'work-{workers}'}"
        arguments = ["--output", output, "--workers", workers, "--set", work]
        support.build(base / "config.yaml", *arguments, *settings)
        sums.add(support.sums(output))
    assert len(sums) == 1


def test_evaluation_items_are_kept_out_with_evidence(base: Path, whole: Path) -> None:
    samples = [json.loads(text) for text in _payloads(whole)][:400]
    chosen = [s for s in samples if s["tokens"] >= 40][:3]
    evaluation = base / "evaluation.jsonl"
    rows = [
        {"query": "something nobody asked in these words", "code": chosen[0]["code"]},
        {"query": "another thing entirely", "code": "# new\n" + chosen[1]["code"] + "\n\n# end"},
        {"query": "  " + chosen[2]["query"].upper()},
        {"query": "words of no pair at all", "code": "MOVE A TO B", "language": "cobol"},
    ]
    evaluation.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    output = base / "clean"
    sets = f"[{{name: mine, path: {evaluation}, language: python}}]"
    done = support.build(base / "config.yaml", "--output", output, "--set", f"decontaminate={sets}")
    assert "decontaminate mine: 1 rows hold code" in " ".join(done.stderr.split())
    removed = _removed(output)
    for number, sample in enumerate(chosen):
        row = removed[sample["id"]]
        assert row["reason"] == "decontaminated"
        assert str(row["witness_id"]).startswith("mine:")
        assert row["detail"] == ("query" if number == 2 else "exact")
    assert not {s["id"] for s in chosen} & set(support.ids(output))
    assert support.xtrove("verify", output).returncode == 0


def _payloads(output: Path) -> list[str]:
    table = pyarrow.dataset.dataset(sorted(map(str, (output / "parquet").rglob("*.parquet"))))
    return [json.dumps(row) for row in table.to_table().to_pylist()]


def test_every_consumer_reads_exactly_the_samples(whole: Path, tmp_path: Path) -> None:
    expected = sorted(support.ids(whole))
    assert len(expected) == support.manifest(whole)["samples"] == len(set(expected))
    rows = pyarrow.dataset.dataset(sorted(map(str, (whole / "parquet").rglob("*.parquet"))))
    assert sorted(rows.to_table(columns=["id"]).column("id").to_pylist()) == expected
    script = tmp_path / "read.py"
    script.write_text(
        "import json, sys, webdataset\n"
        "from datasets import load_dataset\n"
        "from pathlib import Path\n"
        "base = Path(sys.argv[1])\n"
        "tars = [str(p) for p in sorted(base.glob('data/*/*.tar'))]\n"
        "found = {}\n"
        "web = webdataset.WebDataset(tars, shardshuffle=False, empty_check=False)\n"
        "found['webdataset'] = [s['__key__'].rsplit('/', 1)[-1] for s in web]\n"
        "for streaming in (True, False):\n"
        "    rows = load_dataset('webdataset', data_files={'train': tars}, split='train',\n"
        "                        streaming=streaming)\n"
        "    found[f'datasets {streaming}'] = [row['json']['id'] for row in rows]\n"
        "    card = load_dataset(str(base), 'python', streaming=streaming)\n"
        "    found[f'card {streaming}'] = [r['id'] for split in card for r in card[split]]\n"
        "print('RESULT' + json.dumps(found))\n",
        encoding="utf-8",
    )
    places = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(whole)],
        env={**support.environment(), **places},
        capture_output=True,
        text=True,
        timeout=support.TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.split("RESULT", 1)[1])
    for consumer, ids in result.items():
        assert sorted(ids) == expected, consumer
    assert len(result) == 5


def test_why_explains_kept_and_dropped(whole: Path, base: Path) -> None:
    kept = support.xtrove("why", whole, support.ids(whole)[0])
    assert kept.returncode == 0
    assert kept.stdout.startswith("kept")
    assert "declared by config" in kept.stdout
    removed = _removed(whole)
    for reason in ("exact_duplicate", "near_duplicate", "query_cap", "trivial_body"):
        row = next((row for row in removed.values() if row["reason"] == reason), None)
        assert row is not None, reason
        done = support.xtrove("why", whole, row["id"], "--work", base / "work")
        assert done.returncode == 0, done.stderr
        assert reason in done.stdout
        assert str(row["path"]) in done.stdout
        if reason == "near_duplicate":
            assert str(row["witness_id"]) in done.stdout
            assert "+++ dropped code" in done.stdout
            assert re.search(r"agrees:   .* name.*; \d+ of \d+ words of both queries", done.stdout)
    bare = support.xtrove("why", whole, next(iter(removed)))
    assert bare.returncode == 0


def test_why_refuses_what_is_no_id(whole: Path) -> None:
    for words, message in (("xyz", "no id"), ("0" * 32, "no pair"), ("ab", "at least")):
        done = support.xtrove("why", whole, words)
        assert done.returncode == 2, words
        assert message in done.stderr


def test_inspect_shows_counts_and_whole_samples(whole: Path) -> None:
    done = support.xtrove("inspect", whole, "--samples", 2)
    assert done.returncode == 0
    assert f"{support.manifest(whole)['samples']:,} samples" in done.stdout
    assert done.stdout.count("query:    ") == 2
    assert "exact_duplicate" in done.stdout


def test_verify_finds_a_flipped_byte(base: Path, whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(whole), str(copy)], check=True)
    tar = copy / support.manifest(copy)["shards"][0]["path"]
    tar.chmod(0o644)
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(bytes(data))
    done = support.xtrove("verify", copy)
    assert done.returncode == 1
    assert tar.name in done.stdout
    assert support.xtrove("verify", tmp_path).returncode == 2


def test_nothing_is_left_says_which_reasons(base: Path, tmp_path: Path) -> None:
    arguments = ["--set", "filters.min_query_chars=500", "--set", f"work={tmp_path / 'work'}"]
    done = support.xtrove("build", base / "config.yaml", "--output", tmp_path / "out", *arguments)
    assert done.returncode == 1
    assert "query_too_short" in done.stderr
    assert "no pair is left" in done.stderr


@pytest.mark.skipif("XTROVE_DATA" not in os.environ, reason="XTROVE_DATA is not set")
def test_the_stack_sample_is_built_and_holds(tmp_path: Path) -> None:
    config = support.write_config(
        tmp_path / "config.yaml",
        {
            "name": "stack",
            "sources": [{"kind": "the-stack", "path": os.environ["XTROVE_DATA"] + "/the-stack"}],
        },
    )
    done = support.build(config, "--output", tmp_path / "out")
    files = support.funnel(tmp_path / "out")["totals"]["files"]
    assert files["seen"] == 20_819
    refused = files["dropped"]["license_not_permissive"] + files["dropped"]["license_unknown"]
    assert files["seen"] - refused == 18_061
    assert re.search(r"near \(Jaccard >= 0\.7, with another name and query >= 0\.95\)", done.stdout)
    assert "MB/s" in done.stdout
    assert len(support.manifest(tmp_path / "out")["shards"]) >= 8
    assert support.xtrove("verify", tmp_path / "out").returncode == 0
