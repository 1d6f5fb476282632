"""Datasets of many shards without their content: true manifests and indexes, tars of holes.

For what is decided by the index alone: opening, planning, resuming. Rows are random, ids ascend.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from shards.format.index import BATCH_ROWS, INDEX_SCHEMA
from shards.format.layout import index_path, tar_path
from shards.format.manifest import FORMAT, Manifest, QueryCap, ShardFacts, SplitFacts
from shards.format.shard_sizes import archive_bytes

PAYLOAD = 1_536
MEMBER = 2_048


def hex_texts(words: np.ndarray, width: int) -> pa.Array:
    """Rows of `width` hex digits from random bytes of shape (n, width / 2)."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    text = np.empty((len(words), width), dtype=np.uint8)
    text[:, 0::2], text[:, 1::2] = digits[words >> 4], digits[words & 15]
    offsets = np.arange(0, (len(words) + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(offsets), pa.py_buffer(text))


def write_index(path: Path, rows: int, seed: int, repeats: float) -> None:
    """An index of so many rows; a share of `repeats` has the query group of another row."""
    random = np.random.default_rng(seed)
    keys = random.integers(0, 256, (rows, 16), dtype=np.uint8)
    keys = keys[np.lexsort(keys.T[::-1])]
    groups = random.integers(0, 256, (rows, 8), dtype=np.uint8)
    groups[random.random(rows) < repeats] = groups[0]
    columns = [
        hex_texts(keys, 32),
        pa.array(np.arange(rows, dtype=np.int64) * MEMBER + 512),
        pa.array(np.full(rows, PAYLOAD, dtype=np.int64)),
        pa.array(random.integers(30, 400, rows)),
        hex_texts(groups, 16),
        pa.array(random.integers(0, 1001, rows)),
        pa.array(["permissive"] * rows),
        hex_texts(random.integers(0, 256, (rows, 32), dtype=np.uint8), 64),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns, schema=INDEX_SCHEMA)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, INDEX_SCHEMA) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)


def simulate(
    base: Path, *, languages: int, shards: int, rows: int, repeats: float = 0.0
) -> Manifest:
    """A dataset of `languages * shards` shards of `rows` samples, none of them readable."""
    facts = []
    size = archive_bytes(rows * MEMBER)
    for language in range(languages):
        for number in range(shards):
            path = tar_path(f"language{language}", "train", number)
            write_index(base / index_path(path), rows, language * 100_000 + number, repeats)
            with (base / path).open("wb") as tar:
                tar.truncate(size)
            facts.append(
                ShardFacts(
                    path=path,
                    sha256="0" * 64,
                    bytes=size,
                    samples=rows,
                    language=f"language{language}",
                    split="train",
                )
            )
    manifest = Manifest(
        format=FORMAT,
        name="simulated",
        config_digest="0" * 64,
        content_sha256="0" * 64,
        samples=rows * len(facts),
        tokens=0,
        licenses={"MIT": rows * len(facts)},
        sources=[],
        versions={},
        dedupe={},
        query_cap=QueryCap(per_repo=1, total=3),
        split=SplitFacts(requested="auto", by="repository", reason="", validation=0.0, test=0.0),
        max_bytes=size,
        shards=sorted(facts, key=lambda one: one.path),
        removals=0,
        quarantined=[],
    )
    (base / "manifest.json").write_bytes(manifest.to_json())
    return manifest
