"""What tests of the index run in a process of its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from evaluate.index.cache import IndexCache
from evaluate.index.token_index import BLOCK, TokenIndex
from evaluate.retrieval.maxsim import MaxSimSearcher
from evaluate.retrieval.xtr import XtrSearcher
from tests.evaluate.vectors import drawn
from train.model.encoder import TokenVectors


def made(folder: Path) -> None:
    """Makes an index of two blocks, the second slowly."""
    blocks = 0

    def encode(texts: Sequence[str]) -> TokenVectors:
        nonlocal blocks
        blocks += 1
        if blocks == 2:
            time.sleep(0.5)
        return drawn([200] * len(texts), 8, blocks)

    texts = ["x"] * (BLOCK + 1)
    index = IndexCache(folder=folder).index("c0ffee" * 6, texts, encode, precision="fp16")
    wanted = drawn([200], 8, 2).values.astype(np.float16)
    assert (index.values[-200:] == wanted).all()
    sys.stdout.write("whole\n")


def searched(mode: str, folder: Path, more: int) -> None:
    """Searches with `more` bytes of memory than are held now; mapped files do not count."""
    asked = drawn([16, 9, 16, 3, 16], 100, 1)
    kind = MaxSimSearcher if mode == "maxsim" else XtrSearcher
    torch.set_num_threads(1)
    held = next(
        int(line.split()[1]) << 10
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmData")
    )
    resource.setrlimit(resource.RLIMIT_DATA, (held + more, held + more))
    searcher = kind(
        index=TokenIndex.open(folder), encode=lambda _: asked, device=torch.device("cpu")
    )
    sys.stdout.write(f"{len(searcher.search(['x'] * 5, 100).ids)}\n")


if __name__ == "__main__":
    word, place, *rest = sys.argv[1:]
    if word == "both":
        made(Path(place))
    else:
        searched(word, Path(place), int(rest[0]))
