"""Step 2 of the plan against the small Hub: quotas, bytes, faults, gates, in whole builds."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hub.running import RunningHub, running_hub
from tests.hub.store import Access
from tests.ingest.stack_tables import row, write
from tests.xtrove import support
from tests.xtrove.hub_reading import Fetched, fetched

pytestmark = pytest.mark.slow
REPO = "bigcode/the-stack-dedup"
QUOTA = 40
GO = """package main

// {name} returns the number of items of the list that lie above the limit of {number}.
func {name}(items []int, limit int) int {{
	{name}Count := 0
	for _, item := range items {{
		if item > limit+{number} {{
			{name}Count += item * {number}
		}}
	}}
	return {name}Count
}}
"""


def _python_files() -> list[Path]:
    folder = Path(sysconfig.get_path("stdlib"))
    return [
        path
        for path in sorted(folder.rglob("*.py"))
        if not {"test", "tests", "site-packages", "idlelib"} & set(path.parts)
        and 1000 < path.stat().st_size < 60_000
    ][:500]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A Hub with Python and Go in the layout of the-stack-dedup, many row groups of each."""
    root = tmp_path_factory.mktemp("files")
    paths = _python_files()
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    rows = [
        row(
            n, content=text, max_stars_repo_name=f"owner{n % 9}/name", max_stars_repo_path=f"{n}.py"
        )
        for n, text in enumerate(texts)
    ]
    for number in range(6):
        share = rows[number::6]
        write(root / f"data/python/data-{number:05d}-of-00006.parquet", share, group=4)
    go = []
    for number in range(240):
        name = "".join(chr(65 + int(digit)) for digit in str(number)) + "Above"
        text = (
            GO.format(name=name, number=number)
            + "// filler of fifty bytes, more or less of it\n" * 90
        )
        fields = {"lang": "Go", "max_stars_repo_path": f"{number}.go"}
        go.append(row(number, content=text, max_stars_repo_name=f"go{number % 7}/n", **fields))
    for number in range(4):
        share = go[number::4]
        write(root / f"data/go/data-{number:05d}-of-00004.parquet", share, group=5)
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*.parquet"))
    }
    with running_hub(tmp_path_factory.mktemp("hub"), page=3) as running:
        running.store.commit(REPO, files)
        yield running


def _config(folder: Path, **changes: object) -> Path:
    """The shipped config of step 2, with two of its languages and a small quota."""
    config: dict[str, Any] = yaml.safe_load(
        (support.ROOT / "config" / "the_stack.yaml").read_text(encoding="utf-8")
    )
    assert config["sources"][0]["max_per_language"] == 100_000
    assert len(config["sources"][0]["languages"]) == 6
    config["sources"][0] |= {"languages": ["python", "go"], "max_per_language": QUOTA, **changes}
    config |= {"slice_bytes": 1_000_000, "shards": {"splits": {"validation": 0, "test": 0}}}
    return support.write_config(folder / "config.yaml", config)


def _build(
    hub: RunningHub, config: Path, output: Path, token: str = "", *more: str
) -> subprocess.CompletedProcess[str]:
    arguments = ["build", str(config), "--output", str(output), *more]
    arguments = [sys.executable, "-m", "xtrove", *arguments, *support.without_workers(arguments)]
    return hub.run(arguments, token=token, RAY_ADDRESS="", NO_COLOR="1")


def _kept(output: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for shard in support.manifest(output)["shards"]:
        counts[shard["language"]] = counts.get(shard["language"], 0) + shard["samples"]
    return counts


def _fetched_by(reference: Path) -> Fetched:
    """What the build with nothing going wrong read."""
    return Fetched(**json.loads((reference.parent / "fetched").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def reference(hub: RunningHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build with nothing going wrong, and what it read beside it."""
    base = tmp_path_factory.mktemp("reference")
    hub.forget()
    done = _build(hub, _config(base), base / "out")
    assert done.returncode == 0, done.stderr
    read = dataclasses.asdict(fetched(hub, base / "out", "the-stack", REPO))
    (base / "fetched").write_text(json.dumps(read), encoding="utf-8")
    return base / "out"


def test_a_quota_stops_the_reading(hub: RunningHub, reference: Path) -> None:
    assert _kept(reference) == {"go": QUOTA, "python": QUOTA}
    assert support.xtrove("verify", reference).returncode == 0
    read = _fetched_by(reference)
    assert read.within_the_promise(workers=1), read
    files = len(hub.store.blobs(REPO, str(hub.store.resolve(REPO, "main"))))
    assert read.planning <= 70_000 * files
    slices = len(list((reference / ".xtrove" / "plan").glob("slice-*.json")))
    assert read.tasks <= slices / 3
    assert read.beyond <= 0.25 * (read.tasks - read.beyond) + 1


def test_passing_faults_change_no_byte(hub: RunningHub, reference: Path, tmp_path: Path) -> None:
    hub.forget()
    asked = _fetched_by(reference).requests
    faults: list[dict[str, object]] = [
        {"skip": 3, "delay_s": 1.5, "times": 2},
        {"skip": 5, "status": 503, "times": 2},
        {"skip": 12, "drop_after": 700, "times": 2, "port": "cdn"},
        {"skip": asked - 8, "status": 429, "headers": {"Retry-After": "1"}, "times": 2},
        {"skip": asked - 6, "status": 408, "times": 2},
        {"skip": asked - 4, "drop_after": 700, "times": 2},
        {"skip": asked - 2, "status": 503, "times": 2},
    ]
    hub.faults(*({"match": "*.parquet", **fault} for fault in faults))
    done = _build(hub, _config(tmp_path), tmp_path / "out", "", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert support.sums(tmp_path / "out") == support.sums(reference)
    struck = [one for one in hub.log() if one["status"] in (408, 429, 503)]
    assert len(struck) >= 6
    hub.forget()


LASTING: list[tuple[dict[str, object], str]] = [
    ({"status": 401, "headers": {"X-Error-Code": "GatedRepo"}}, "Accept its terms"),
    ({"status": 403}, "HF_TOKEN"),
    ({"status": 404}, "not found on the Hub"),
    ({"status": 412}, "HTTP 412"),
    ({"status": 408}, "HTTP 408"),
    ({"status": 429, "headers": {"Retry-After": "900"}}, "HTTP 429"),
    ({"status": 503}, "HTTP 503"),
    ({"drop_after": 0}, "parquet"),
    ({"delay_s": 100}, "ReadTimeout"),
]


HASTY = ("--set", "hub.patience_s=2")
# A task of a worker is tried four times, each with that patience.
HASTIER = ("--set", "hub.patience_s=0.1")


@pytest.mark.parametrize(("fault", "said"), LASTING)
def test_a_lasting_fault_while_planning_is_said(
    hub: RunningHub, tmp_path: Path, fault: dict[str, object], said: str
) -> None:
    hub.forget()
    hub.faults({"match": "*.parquet", "skip": 3, "times": -1, **fault})
    timeout = ("--set", "hub.timeout_s=0.8") if "delay_s" in fault else ()
    done = _build(hub, _config(tmp_path), tmp_path / "out", "", *HASTY, *timeout)
    assert done.returncode in (1, 2), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Signature" not in done.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_lasting_faults_of_workers_are_said_and_the_build_goes_on_after_them(
    hub: RunningHub, reference: Path, tmp_path: Path
) -> None:
    # Workers ask after the planning: some of them here, then none at all. What was read is kept,
    # and how much that is depends on which worker was first, so that only the planning is counted.
    read = _fetched_by(reference)
    half = (read.requests - read.planning_requests) // 2
    assert half > 20
    for fault, skip, said in (
        ({"status": 404}, read.planning_requests + half, "not found on the Hub"),
        ({"status": 503}, read.planning_requests, "HTTP 503"),
    ):
        hub.forget()
        hub.faults({"match": "*.parquet", "skip": skip, "times": -1, **fault})
        done = _build(hub, _config(tmp_path), tmp_path / "out", "", *HASTIER)
        assert done.returncode == 1, f"{fault}: {done.stderr}"
        assert said in done.stderr
        assert ".parquet" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out" / "manifest.json").exists()
    hub.forget()
    done = _build(hub, _config(tmp_path), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert support.sums(tmp_path / "out") == support.sums(reference)


def test_a_gate_says_where_its_terms_are_accepted(hub: RunningHub, tmp_path: Path) -> None:
    files = {"data/python/data-00000-of-00001.parquet": b"PAR1"}
    hub.store.commit("bigcode/gated", files, access=Access(visibility="gated", granted=("good",)))
    config = _config(tmp_path, path="hf://datasets/bigcode/gated")
    for token in ("", "hf_other"):
        done = _build(hub, config, tmp_path / "out", token)
        assert done.returncode == 2, done.stderr
        assert "datasets/bigcode/gated" in done.stderr
        assert "hf_other" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_named(hub: RunningHub, tmp_path: Path) -> None:
    for path, words in (
        ("hf://datasets/bigcode/nothing", "bigcode/nothing"),
        (f"hf://datasets/{REPO}@elsewhere", "elsewhere"),
    ):
        done = _build(hub, _config(tmp_path, path=path), tmp_path / "out")
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
    done = _build(hub, _config(tmp_path, languages=["rust"]), tmp_path / "out")
    assert done.returncode == 2
    assert "rust" in done.stderr


def test_the_shipped_configs_are_sound() -> None:
    builds = [one for one in (support.ROOT / "config").glob("*.yaml") if "train" not in one.name]
    assert len(builds) >= 5
    for path in sorted(builds):
        done = support.xtrove("build", path, "--print-config")
        assert done.returncode == 0, f"{path.name}: {done.stderr}"
        assert json.dumps(yaml.safe_load(done.stdout))
