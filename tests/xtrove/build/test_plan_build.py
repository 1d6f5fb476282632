"""Steps 1 and 3 of the plan against the small Hub: the shipped configs as they stand, whole builds.

Only where data lies, the size of a quota and of a slice are set from outside.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hub.running import RunningHub, running_hub
from tests.ingest import csn_copies, stack_tables
from tests.xtrove import made_code, support
from tests.xtrove.hub_reading import fetched

pytestmark = pytest.mark.slow
CSN, STACK = "code-search-net/code_search_net", "bigcode/the-stack-dedup"
TABLES = "open/code_search_net_tables"
CSN_LANGUAGES = ("go", "java", "javascript", "php", "python", "ruby")
STACK_LANGUAGES = ("go", "java", "javascript", "python", "rust", "typescript")
TRAIN = 60
QUOTA = 200
SLICE = "slice_bytes=1000000"


def _archive(folder: Path, language: str) -> bytes:
    """An original archive: 60 train rows (one of them in valid too), one under the GPL."""
    rows = {
        "train": [made_code.csn_row(language, n) for n in range(TRAIN)],
        "valid": [made_code.csn_row(language, n, "valid") for n in (3, 100, 101)],
        "test": [made_code.csn_row(language, n, "test") for n in (110, 111)],
    }
    texts = {f"csn{n}__{language}": csn_copies.MIT for n in range(TRAIN)}
    texts[f"csn7__{language}"] = csn_copies.GPL
    book = csn_copies.licences(**texts)
    return csn_copies.write_zip(folder / f"{language}.zip", rows, language, book).read_bytes()


def _tables(language: str) -> dict[str, bytes]:
    """The layout of the Hub's branch: files by split, five slices of train; and a config `all`."""
    by_name = {
        "train": [made_code.csn_row(language, n, filler=100) for n in range(1000, 1800)],
        "validation": [made_code.csn_row(language, n, "valid") for n in range(100, 103)],
        "test": [made_code.csn_row(language, n, "test") for n in range(110, 112)],
    }
    files: dict[str, bytes] = {}
    for name, lines in by_name.items():
        file = f"{name}-00000-of-00001.parquet"
        files[f"{language}/{file}"] = csn_copies.parquet_bytes(lines, group=40)
    for name in ("train", "validation", "test"):
        number = CSN_LANGUAGES.index(language)
        file = f"all/{name}-{number:05d}-of-00006.parquet"
        files[file] = csn_copies.parquet_bytes(by_name[name][:40], group=40)
    return files


def _stack(folder: Path, language: str) -> dict[str, bytes]:
    """Eight slices of 27 files of three functions; one function is a row of CodeSearchNet."""
    files: dict[str, bytes] = {}
    for number in range(3):
        starts = [10_000 + 100 * (72 * number + n) for n in range(72)]
        rows = [made_code.stack_row(language, range(s, s + 3), filler=600) for s in starts]
        rows[0] = made_code.stack_row(language, range(5, 6)) if number == 0 else rows[0]
        name = f"data/{language}/data-{number:05d}-of-00003.parquet"
        files[name] = stack_tables.write(folder / name, rows, group=9).read_bytes()
    return files


@pytest.fixture(scope="module", name="hub")
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    root = tmp_path_factory.mktemp("files")
    archives = {
        f"data/{csn_language}.zip": _archive(root, csn_language) for csn_language in CSN_LANGUAGES
    }
    tables: dict[str, bytes] = {}
    for language in CSN_LANGUAGES:
        tables |= _tables(language)
    stack: dict[str, bytes] = {}
    for language in STACK_LANGUAGES:
        stack |= _stack(root, language)
    with running_hub(tmp_path_factory.mktemp("hub"), page=5) as running:
        running.store.commit(CSN, archives)
        running.store.commit(TABLES, tables)
        running.store.commit(STACK, stack)
        yield running


@pytest.fixture(scope="module", name="pairs")
def _pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One's own pairs under the names of the config; the first is in The Stack too."""
    path = tmp_path_factory.mktemp("pairs") / "training_data_extended.jsonl"
    numbers = [10_100, *range(90_000, 90_040)]
    lines = [
        {
            "query": made_code.documentation("rust", number),
            "positive": made_code.function("rust", number),
            "language": "rust",
            "repo": f"own/{number}",
        }
        for number in numbers
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def _build(
    hub: RunningHub, config: str, output: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    hub.forget()
    command = [sys.executable, "-m", "xtrove", "build", f"config/{config}.yaml", "--workers", "0"]
    done = hub.run([*command, "--output", str(output), *words], RAY_ADDRESS="", NO_COLOR="1")
    assert done.returncode == 0, done.stderr + done.stdout
    assert not [one for one in hub.log() if one["violation"]]
    return done


def _samples(output: Path) -> list[dict[str, Any]]:
    tables = [pq.read_table(path) for path in sorted(output.glob("parquet/*/*.parquet"))]
    held: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return held


def _revisions(output: Path) -> set[str]:
    return {str(one["revision"]) for one in support.manifest(output)["sources"]}


def test_codesearchnet_from_its_archives(hub: RunningHub, tmp_path: Path) -> None:
    _build(hub, "codesearchnet", tmp_path / "out")
    samples = _samples(tmp_path / "out")
    # Of 60 a language one is held out, one is under the GPL.
    assert Counter(sample["language"] for sample in samples) == dict.fromkeys(
        CSN_LANGUAGES, TRAIN - 2
    )
    assert {tuple(sample["licenses"]) for sample in samples} == {("MIT",)}
    names = {int(sample["repo"].split("/")[0].removeprefix("csn")) for sample in samples}
    assert names == set(range(TRAIN)) - {3, 7}
    for one in samples:
        assert made_code.WORDS[0] in one["query"] or "Count the" in one["query"]
        assert one["query"] not in one["code"]
        assert one["url"].endswith("#L1-L9")
    funnel = json.dumps(support.funnel(tmp_path / "out"))
    assert "license_not_permissive" in funnel
    assert "decontaminated" in funnel
    assert _revisions(tmp_path / "out") == {str(hub.store.resolve(CSN, "main"))}
    assert support.xtrove("verify", tmp_path / "out").returncode == 0


def test_codesearchnet_from_tables_stops_at_its_quota_and_never_reads_all(
    hub: RunningHub, tmp_path: Path
) -> None:
    arguments = ("--set", f"sources.0.path=hf://datasets/{TABLES}", "--set", SLICE,
             "--set", "sources.0.declared_licenses=[MIT]",
             "--set", f"sources.0.max_per_language={QUOTA}")  # fmt: skip
    _build(hub, "codesearchnet", tmp_path / "out", *arguments)
    samples = _samples(tmp_path / "out")
    assert Counter(sample["language"] for sample in samples) == dict.fromkeys(CSN_LANGUAGES, QUOTA)
    asked = {one["path"] for one in hub.log()}
    assert not [path for path in asked if "/all/" in path]
    read = fetched(hub, tmp_path / "out", "codesearchnet", TABLES)
    assert read.within_the_promise(workers=1), read
    plan = len(list((tmp_path / "out/.xtrove/plan").glob("slice-*.json")))
    assert read.tasks <= 0.6 * plan


def test_combined(hub: RunningHub, pairs: Path, tmp_path: Path) -> None:
    arguments = ("--set", f"sources.1.max_per_language={QUOTA}", "--set", f"sources.2.path={pairs}",
             "--set", SLICE)  # fmt: skip
    done = _build(hub, "combined", tmp_path / "out", *arguments)
    assert "fetched" in done.stdout
    samples = _samples(tmp_path / "out")
    by_source = Counter((sample["source"], sample["language"]) for sample in samples)
    for language in STACK_LANGUAGES:
        assert by_source["the-stack", language] == QUOTA
    for language in CSN_LANGUAGES:
        assert by_source["codesearchnet", language] == TRAIN - 2
    # The order of the sources decides which copy stays.
    copies = Counter(
        sample["source"] for sample in samples if sample["code"].startswith("func countF(")
    )
    assert copies == {"codesearchnet": 1}
    own = {sample["repo"] for sample in samples if sample["source"] == "pairs"}
    assert by_source["pairs", "rust"] in (40, 41)
    assert {f"own/{n}" for n in range(90_000, 90_040)} <= own
    read = fetched(hub, tmp_path / "out", "the-stack", STACK)
    assert read.within_the_promise(workers=1), read
    slices = [
        json.loads(path.read_bytes()) for path in (tmp_path / "out/.xtrove/plan").glob("slice-*")
    ]
    assert read.tasks < 0.7 * sum(slice_["source"] == "the-stack" for slice_ in slices)
    commits = {str(hub.store.resolve(repo, "main")) for repo in (CSN, STACK)}
    assert commits <= _revisions(tmp_path / "out")
    assert "extra_gated_prompt" in (tmp_path / "out/README.md").read_text("utf-8")
    assert support.xtrove("verify", tmp_path / "out").returncode == 0
