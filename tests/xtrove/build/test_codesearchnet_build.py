"""CodeSearchNet end to end: its held-out parts keep train rows out, or its split is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.ingest.csn_copies import row, write_unpacked
from tests.xtrove import support

pytestmark = pytest.mark.slow
WORDS = ("apples", "bridges", "candles", "doors", "engines", "feathers", "gardens", "hammers")


def _row(number: int, split: str, **changes: Any) -> dict[str, Any]:
    """A row whose code is unlike that of any other number."""
    thing = f"{WORDS[number % len(WORDS)]}_{number}"
    text = f"Count the {thing.replace('_', ' number ')} that the warehouse still holds."
    body = "".join(
        f"    {thing}_{step} = [{thing} for {thing} in stock if {thing}.shelf == {number * step}]\n"
        for step in range(1, 5)
    )
    code = f'def count_{thing}(stock):\n    """{text}"""\n{body}    return len({thing}_1)'
    name = f"Warehouse.count_{thing}"
    fields = {"docstring": text, "code": code, "original_string": code, "func_name": name}
    return row(number, split, **{**fields, **changes})


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty train rows; two are in valid again (one with other comments), one query is in test."""
    folder = tmp_path_factory.mktemp("csn") / "copy"
    same = _row(5, "valid", repo="copied/here", url="https://github.com/copied/here/a#L1-L9")
    code = str(_row(6, "valid")["code"]).replace("    return", "    # the end\n    return")
    commented = _row(6, "valid", code=code, url="https://github.com/copied/here/b#L1-L9")
    asked = _row(90, "test", docstring=_row(7, "train")["docstring"])
    write_unpacked(
        folder,
        {
            "train": [_row(number, "train") for number in range(40)],
            "valid": [same, commented, *(_row(n, "valid") for n in range(50, 55))],
            "test": [asked, *(_row(n, "test") for n in range(60, 65))],
        },
    )
    return folder


def _config(copy: Path, path: Path, **changes: object) -> Path:
    source = {"kind": "codesearchnet", "path": str(copy), "declared_licenses": ["MIT"], **changes}
    config = {
        "name": "csn",
        "sources": [source],
        "query_cap": {"per_repo": None, "total": None},
        "shards": {"splits": {"validation": 0, "test": 0}},
    }
    return support.write_config(path, config)


def _samples(output: Path, split: str = "*") -> list[dict[str, Any]]:
    tables = [pq.read_table(path) for path in sorted(output.glob(f"parquet/python/{split}-*"))]
    return [sample for table in tables for sample in table.to_pylist()]


def test_what_is_held_out_keeps_train_rows_out(copy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    support.build(_config(copy, tmp_path / "config.yaml"), "--output", output)
    removed = {
        row["name"]: row
        for path in (output / "removals").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    assert {row["reason"] for row in removed.values()} == {"decontaminated"}
    assert len(removed) == 3
    witnesses = sorted(str(row["witness_id"]).split(":", 1)[0] for row in removed.values())
    assert witnesses == ["codesearchnet/test", *["codesearchnet/validation"] * 2]
    samples = _samples(output)
    assert len(samples) == 37
    for sample in samples:
        assert sample["query"] not in sample["code"]
        assert '"""' not in sample["code"]
        assert sample["url"].count("#") == 1
    assert support.xtrove("verify", output).returncode == 0
    again = support.build(_config(copy, tmp_path / "config.yaml"), "--output", output)
    assert "finished before" in again.stdout


def test_its_own_split_can_be_kept(copy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    config = _config(copy, tmp_path / "config.yaml", partition="keep")
    support.build(config, "--output", output, "--set", "dedupe.threshold=1.0")
    rule = support.manifest(output)["split"]
    assert (rule["by"], rule["reason"]) == ("source", "partition: keep")
    for split, numbers in (("validation", range(50, 55)), ("test", range(60, 65))):
        names = {sample["name"] for sample in _samples(output, split)}
        assert {f"count_{WORDS[n % len(WORDS)]}_{n}" for n in numbers} <= names
    assert support.xtrove("verify", output).returncode == 0


def test_two_split_rules_do_not_mix(copy: Path, tmp_path: Path) -> None:
    config = _config(copy, tmp_path / "config.yaml", partition="keep")
    text = config.read_text(encoding="utf-8")
    mixed = text.replace("sources:\n", f"sources:\n- {{kind: directory, path: {tmp_path}}}\n")
    config.write_text(mixed, encoding="utf-8")
    done = support.xtrove("build", config, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "partition: holdout" in done.stderr
