"""A build of a history: what a commit said finds what it changed."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset
import pytest

from tests.ingest.git_repositories import MIT, checkout, git, put
from tests.xtrove import support

BEFORE = '''def price(row, rate, taxes):
    """Convert the price of a row by a rate."""
    value = row.price * rate
    for tax in taxes:
        if tax.applies_to(row.category) and not row.is_exempt:
            value = value + tax.share * row.price
    if row.discount is not None and row.discount.is_open:
        value = value - row.discount.amount * rate
    return value


def total(rows, rate):
    """Add up the prices of all rows."""
    return sum(price(row, rate) for row in rows if row.stock)
'''
AFTER = BEFORE.replace("return value", "return round(value, 2)")


@pytest.mark.slow
def test_a_function_is_found_by_what_was_said_of_its_change(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    first = checkout(root, {"LICENSE": MIT, "shop.py": BEFORE}, "https://github.com/o/shop.git")
    put(root, {"shop.py": AFTER})
    git(root, "commit", "-qam", "fix(shop): round money to whole cents (#3)")
    sources = [{"kind": kind, "path": str(root)} for kind in ("git-history", "directory")]
    shards = {"splits": {"validation": 0, "test": 0}}
    config = {"name": "shop", "sources": sources, "shards": shards}
    path = support.write_config(tmp_path / "shop.yaml", config)
    output = tmp_path / "data"
    support.build(path, "--output", output)
    rows = pyarrow.dataset.dataset(output / "parquet").to_table().to_pylist()
    facts = sorted((row["name"], row["query"], row["query_source"]) for row in rows)
    assert facts == [
        ("price", "round money to whole cents", "commit"),
        ("total", "Add up the prices of all rows.", "documentation"),
    ]
    [change] = [row for row in rows if row["query_source"] == "commit"]
    assert (change["repo"], change["revision"]) == ("o/shop", first)
    assert "round" not in change["code"] and "Convert" not in change["code"]
    assert support.xtrove("verify", output).returncode == 0
