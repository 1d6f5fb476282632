"""Secrets in repositories, paths, names and addresses: in no published file, and forgettable."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.xtrove import support

KEY = "ghp_" + "A1b2C3d4E5f6G7h8I9" * 2
OWNER = "jane.doe@corp-mail.net"
REPO = f"{OWNER}/tools"


def _config(folder: Path) -> Path:
    rows = [
        {
            "query": f"Settle the balance of account {number} at the rate given.",
            "code": f"def settle_{number}(rate, total):\n"
            + "".join(f"    total = total * {n} + rate[{number}]\n" for n in range(6))
            + "    return total\n",
            "language": "python",
            "name": f"settle_{KEY}_{number}",
            "repo": REPO if number < 6 else "alpha/core",
            "path": f"home/{OWNER}/part{number}.py",
            "url": f"https://bob:{KEY}@git.corp-mail.net/part{number}.py",
            "license": "MIT",
        }
        # Two are refused: their evidence is published too.
        for number in (*range(12), 3, 9)
    ]
    path = folder / "pairs"
    (path / OWNER).mkdir(parents=True)
    code = str(rows[0]["code"]).replace("settle", "days").replace("total", "left")
    query = "Tells how many days are left until the rate may change."
    held_out = {**rows[0], "query": query, "code": code}
    lines = [json.dumps(row).encode() + b"\n" for row in (*rows, held_out)]
    (path / OWNER / "rows.jsonl").write_bytes(b"".join(lines))
    # One file is set aside by the driver, one by a worker; an evaluation set keeps a row out.
    (path / OWNER / "first.parquet").write_bytes(b"PAR1 and no more")
    (path / f"{KEY}.jsonl.gz").write_bytes(gzip.compress(lines[0])[:-9])
    known = {"id": f"{OWNER}/{KEY}", "query": held_out["query"], "code": held_out["code"]}
    (folder / "known.jsonl").write_text(json.dumps(known), encoding="utf-8")
    config = {
        "name": "settled",
        "sources": [{"kind": "pairs", "name": "mine", "path": str(path)}],
        "decontaminate": [
            {"name": "known", "path": str(folder / "known.jsonl"), "language": "python"}
        ],
        "shards": {"splits": {"validation": 0, "test": 0}},
    }
    return support.write_config(folder / "config.yaml", config)


def _repos(output: Path) -> set[str]:
    lines = (output / "ATTRIBUTION.jsonl").read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["repo"] for line in lines}


@pytest.mark.slow
def test_nothing_of_them_is_published_and_the_first_name_is_forgotten(tmp_path: Path) -> None:
    """`verify` recomputes every id from what is stored; later builds leave the repository out."""
    config, output = _config(tmp_path), tmp_path / "dataset"
    support.build(config, "--output", output)
    # What tasks read has the addresses of the input as they are, in a private folder.
    plans = output / ".xtrove" / "plan"
    for file in output.rglob("*"):
        if file.is_file() and file.parent != plans:
            content = file.read_bytes()
            if file.suffix == ".parquet":  # Compressed.
                content = str(pq.read_table(file).to_pylist()).encode()
            for secret in (KEY, OWNER, "jane.doe", "bob:"):
                assert secret.encode() not in content, file
    manifest = support.manifest(output)
    names = sorted(one["name"] for one in manifest["quarantined"])
    assert names == ["<EMAIL>/first.parquet", "<KEY>.jsonl.gz"]
    provenance = [name for name, _ in manifest["sources"][0]["provenance"]]
    assert provenance == ["file <EMAIL>/rows.jsonl", "file <KEY>.jsonl.gz"]
    assert support.funnel(output)["totals"]["pairs"]["dropped"]["decontaminated"] == 1
    assert _repos(output) == {"<EMAIL>/tools", "alpha/core"}
    assert support.xtrove("verify", output).returncode == 0
    samples = list(support.ids(output))
    assert len(samples) == 12

    done = support.xtrove("forget", output, REPO)
    assert done.returncode == 0, done.stderr
    assert _repos(output) == {"alpha/core"}
    assert support.xtrove("verify", output).returncode == 0
    assert "forgotten before" in support.xtrove("forget", output, REPO).stdout

    other = tmp_path / "other"
    support.build(config, "--output", other, "--set", f"work={output / '.xtrove'}")
    assert _repos(other) == {"alpha/core"}
