"""A checkpoint of ours in PyLate and in sentence-transformers: the largest difference of a vector.

`python benchmarks/peers/check_checkpoint.py write CHECKPOINT REFERENCE.npz [TEXTS]` in our own
environment encodes some queries and documents (built-in ones, or the lines of a file);
`... compare CHECKPOINT REFERENCE.npz` in a peer's environment (`pip install pylate==1.6.0`, or
sentence-transformers 6.2) loads the folder unchanged with whichever peer is installed there,
encodes the same texts, and prints, by kind, the number of texts and tokens and the largest
absolute difference. Exit 1 where the numbers of tokens differ or a difference is 1e-6 or more.
Cost: a few seconds for a small encoder.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 1e-6
KINDS = ("query", "document")
TEXTS = (
    "read all lines of a file",
    "Returns the number of bytes that were written to the socket, or -1 if it was closed.",
    "def read_lines(path):\n    with open(path) as stream:\n        return stream.readlines()",
    "func Sum(values []int) int {\n\ttotal := 0\n\tfor _, v := range values { total += v }\n}",
    "Café naïve: “quoted” text, 数据 🙂, and numbers 1234567890.",
    "x",
    "if (grid[Q] == y) { return null; } // " + "sort the list and return it; " * 200,
    "[D] stands here by itself, and [Q] too",
)


def write(checkpoint: Path, reference: Path, texts: list[str]) -> int:
    from train.checkpoint import load_model

    encoder = load_model(checkpoint)
    result: dict[str, Any] = {"texts": json.dumps(texts)}
    for kind in KINDS:
        vectors = encoder.encode(texts, kind)  # type: ignore[arg-type]
        result[f"{kind}_values"], result[f"{kind}_offsets"] = vectors.values, vectors.offsets
    np.savez(reference, **result)
    say(f"wrote {reference}: {len(texts)} texts")
    return 0


def compare(checkpoint: Path, reference: Path) -> int:
    with np.load(reference, allow_pickle=False) as stored:
        result = {name: stored[name] for name in stored.files}
    texts = json.loads(str(result["texts"]))
    name, encoded = peer(checkpoint, texts)
    failed = False
    for kind in KINDS:
        values, offsets = result[f"{kind}_values"], result[f"{kind}_offsets"]
        worst = 0.0
        for i, theirs in enumerate(encoded[kind]):
            ours = values[offsets[i] : offsets[i + 1]]
            if ours.shape != theirs.shape:
                say(f"{kind} {i} {texts[i][:40]!r}: ours {ours.shape}, theirs {theirs.shape}")
                failed = True
                continue
            worst = max(worst, float(np.abs(ours - theirs).max()))
        failed = failed or not worst < LIMIT
        say(f"{name}: {kind}: {len(texts)} texts, {len(values)} tokens, max abs diff {worst:.3g}")
    return int(failed)


def peer(checkpoint: Path, texts: list[str]) -> tuple[str, dict[str, list[np.ndarray]]]:
    """The peer's name and its vectors of each text, by kind."""
    if importlib.util.find_spec("pylate"):
        from pylate import models

        colbert = models.ColBERT(model_name_or_path=str(checkpoint), device="cpu")
        return f"pylate {importlib.metadata.version('pylate')}", {
            kind: [np.asarray(v) for v in colbert.encode(texts, is_query=kind == "query")]
            for kind in KINDS
        }
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(checkpoint), device="cpu")
    version = importlib.metadata.version("sentence-transformers")
    return f"sentence-transformers {version}", {
        "query": [np.asarray(v) for v in model.encode_query(texts)],
        "document": [np.asarray(v) for v in model.encode_document(texts)],
    }


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("write", "compare"))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("texts", type=Path, nargs="?")
    words = parser.parse_args()
    if words.what == "compare":
        return compare(words.checkpoint, words.reference)
    texts = list(TEXTS)
    if words.texts is not None:
        texts = [t for t in words.texts.read_text(encoding="utf-8").splitlines() if t.strip()]
    return write(words.checkpoint, words.reference, texts)


if __name__ == "__main__":
    sys.exit(main())
