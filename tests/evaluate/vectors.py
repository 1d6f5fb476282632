"""Random token vectors of texts that are their own numbers: nothing is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.index.token_index import Precision, TokenIndex, build_index
from train.model.encoder import TokenVectors


def packed(parts: Sequence[Any], dim: int) -> TokenVectors:
    """Arrays (tokens, dim) as the vectors of as many texts."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    values = np.concatenate([np.zeros((0, dim), np.float32), *parts]).astype(np.float32)
    return TokenVectors(values=values, offsets=offsets)


def drawn(lengths: Sequence[int], dim: int, seed: int, *, coarse: bool = False) -> TokenVectors:
    """Vectors of length 1, or with `coarse` small whole numbers, whose products tie exactly."""
    random = np.random.default_rng(seed)
    parts = []
    for length in lengths:
        if coarse:
            parts.append(random.integers(-2, 3, (length, dim)).astype(np.float32))
        else:
            part = random.standard_normal((length, dim)).astype(np.float32)
            parts.append(part / np.linalg.norm(part, axis=1, keepdims=True))
    return packed(parts, dim)


def some(vectors: TokenVectors, texts: Sequence[str]) -> TokenVectors:
    """The vectors of texts that are numbers."""
    return packed([vectors[int(text)] for text in texts], vectors.values.shape[1])


def numbers(vectors: TokenVectors) -> list[str]:
    """The texts of vectors."""
    return [str(number) for number in range(len(vectors))]


def indexed(folder: Path, vectors: TokenVectors, precision: Precision = "fp16") -> TokenIndex:
    """An index of vectors in a folder that is not there yet."""
    return build_index(
        folder, numbers(vectors), lambda texts: some(vectors, texts), precision=precision
    )


def grids(index: TokenIndex, queries: TokenVectors) -> list[Any]:
    """Similarities of each question's tokens with all tokens of an index, in float64."""
    values = np.asarray(index.values).astype(np.float64)
    if index.scales is not None:
        values *= np.asarray(index.scales)[:, None]
    return [queries[number].astype(np.float64) @ values.T for number in range(len(queries))]
