"""A whole build, and the doctor before it, over sources in S3: moto's server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest import stack_tables
from tests.ingest.s3_front import KEYS, Front, running_front, running_moto, say
from tests.xtrove import made_code, support

QUOTA = 45


@pytest.fixture(scope="module", name="front")
def _front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    root = tmp_path_factory.mktemp("files")
    pairs = [
        {
            "query": made_code.documentation("rust", n),
            "positive": made_code.function("rust", n),
            "language": "rust",
            "repo": f"own/{n}",
        }
        for n in range(30)
    ]
    with running_moto() as moto, running_front(moto) as front:
        client = front.client()
        client.create_bucket(Bucket="lake")
        for language in ("python", "go"):
            rows = [made_code.stack_row(language, range(s * 10, s * 10 + 3)) for s in range(20)]
            table = stack_tables.write(root / f"{language}.parquet", rows, group=5).read_bytes()
            client.put_object(Bucket="lake", Key=f"v1/data/{language}/data-0.parquet", Body=table)
        lines = "".join(json.dumps(pair) + "\n" for pair in pairs).encode()
        client.put_object(Bucket="lake", Key="own/pairs.jsonl", Body=lines)
        yield front


def _config(folder: Path, **changes: object) -> Path:
    stack = {"kind": "the-stack", "path": "s3://lake/v1", "languages": ["go", "python"]}
    own = {"kind": "pairs", "path": "s3://lake/own", "columns": {"code": "positive"}}
    config = {
        "name": "lake",
        "output": str(folder / "out"),
        "sources": [
            {**stack, "max_per_language": QUOTA, **changes},
            {**own, "declared_licenses": ["MIT"]},
        ],
        "shards": {"splits": {"validation": 0, "test": 0}},
    }
    return support.write_config(folder / "config.yaml", config)


def _run(front: Front, word: str, config: Path, **env: str) -> subprocess.CompletedProcess[str]:
    bare = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    known = {"AWS_ENDPOINT_URL": front.url, "AWS_EC2_METADATA_DISABLED": "true", "RAY_ADDRESS": ""}
    return subprocess.run(
        [sys.executable, "-m", "xtrove", word, str(config), *support.without_workers([word])],
        cwd=support.ROOT,
        env={**bare, **known, **env, "NO_COLOR": "1", "PYTHONPATH": str(support.ROOT)},
        capture_output=True,
        text=True,
        timeout=support.TIMEOUT,
        check=False,
    )


def test_the_doctor_says_whose_keys_and_what_is_there(front: Front, tmp_path: Path) -> None:
    done = _run(front, "doctor", _config(tmp_path), **KEYS)
    assert done.returncode == 0, done.stdout
    assert "keys: found by env; 127.0.0.1:" in done.stdout
    assert f"a build stops at {QUOTA} pairs a language" in done.stdout
    assert "MIT: let in, 40 rows" in done.stdout
    without = _run(front, "doctor", _config(tmp_path), HOME=str(tmp_path))
    assert without.returncode == 1
    assert "AWS_ACCESS_KEY_ID" in without.stdout
    missing = _run(front, "doctor", _config(tmp_path, path="s3://no-lake/v1"), **KEYS)
    assert missing.returncode == 1
    assert "no such bucket: s3://no-lake" in missing.stdout


@pytest.mark.slow
def test_a_build_reads_tables_and_lines_through_passing_faults(
    front: Front, tmp_path: Path
) -> None:
    front.failures = [None, say(503, "SlowDown"), None, None, say(500, "InternalError")]
    done = _run(front, "build", _config(tmp_path), **KEYS)
    assert done.returncode == 0, done.stderr
    assert not front.failures
    counts = support.manifest(tmp_path / "out")["shards"]
    assert sorted((count["language"], count["samples"]) for count in counts) == [
        ("go", QUOTA),
        ("python", QUOTA),
        ("rust", 30),
    ]
    assert "fetched" in done.stdout
    assert support.xtrove("verify", tmp_path / "out").returncode == 0
