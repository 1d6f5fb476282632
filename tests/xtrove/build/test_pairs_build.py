"""A build of ready pairs that name neither repository nor file, as one's own JSONL has them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from shards.write.removals import read_removals, removal_files
from tests.xtrove import support

PLAIN = 160
SHARED = "Count the pages of all books that are left"
TWIN = "function total(rows, rate) { let sum = 0; for (const row of rows) sum += row; return sum; }"


def code(number: int) -> str:
    return f"def part_{number}(value):\n    kept = value * {number} + {number + 7}\n    return kept"


def rows() -> list[dict[str, str]]:
    made = [
        {"query": f"Return the part number {n} of a value", "code": code(n), "language": "python"}
        for n in range(PLAIN)
    ]
    for number in range(PLAIN, PLAIN + 4):
        made.append({"query": SHARED, "code": code(number), "language": "python"})
    for language in ("javascript", "typescript"):
        made.append({"query": "Sum the rows of a table", "code": TWIN, "language": language})
    # One code, two questions: the first is refused, the second one enters.
    made.append({"query": "Short", "code": code(900), "language": "python"})
    made.append({"query": "Give back nine hundred", "code": code(900), "language": "python"})
    return made


@pytest.mark.slow
def test_pairs_without_a_repository_are_not_one_repository(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")
    config = {
        "name": "own",
        "sources": [{"kind": "pairs", "path": str(path), "declared_licenses": ["MIT"]}],
        "shards": {"splits": {"validation": 0.2, "test": 0.2, "by": "repository"}},
    }
    support.write_config(tmp_path / "config.yaml", config)
    output = tmp_path / "out"
    support.build(tmp_path / "config.yaml", "--output", output)
    done = support.xtrove("verify", output)
    assert done.returncode == 0, done.stdout + done.stderr
    samples = Counter[str]()
    for shard in support.manifest(output)["shards"]:
        samples[shard["split"]] += shard["samples"]
    # 160, 3 of the 4 with one query (query_cap.total), the twin once, one of the two questions.
    assert samples.total() == PLAIN + 3 + 1 + 1
    assert min(samples[split] for split in ("train", "validation", "test")) >= 10
    gone = [row for file in removal_files(output) for row in read_removals(file)]
    assert sorted((row.language, row.reason) for row in gone) == [
        ("python", "query_cap"),
        ("python", "query_too_short"),
        ("typescript", "exact_duplicate"),
    ]
    twin = next(row for row in gone if row.language == "typescript")
    assert twin.witness_id == twin.id
    assert twin.id in support.ids(output)
    again = ("--set", f"work={output / '.xtrove'}", "--set", "shards.splits.by=auto")
    support.build(tmp_path / "config.yaml", "--output", tmp_path / "auto", *again)
    rule = support.manifest(tmp_path / "auto")["split"]
    assert (rule["by"], rule["reason"]) == ("path", "0 repositories, fewer than 200")
    assert support.xtrove("verify", tmp_path / "auto").returncode == 0
