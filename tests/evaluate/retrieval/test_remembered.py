"""Texts that come again are not encoded again, and their vectors are the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluate.retrieval.remembered import Remembered
from train.model.token_vectors import TokenVectors


class Counting:
    """Gives each text as many vectors as it has characters, and notes what it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, texts: Sequence[str]) -> TokenVectors:
        self.given += texts
        values = [[float(ord(letter)), float(place)] for text in texts
                  for place, letter in enumerate(text)]  # fmt: skip
        offsets = np.cumsum([0, *map(len, texts)])
        shaped = np.array(values, dtype=np.float32).reshape(-1, 2)
        return TokenVectors(values=shaped, offsets=offsets)


def test_each_text_is_encoded_once_and_comes_in_its_place() -> None:
    encode = Counting()
    remembered = Remembered(encode=encode)
    for texts in (["ab", "c", "ab"], ["c", "def", "ab"], ["def"]):
        result, plain = remembered(texts), Counting()(texts)
        assert np.array_equal(result.values, plain.values)
        assert result.offsets.tolist() == plain.offsets.tolist()
    assert encode.given == ["ab", "c", "def"]


def test_the_least_recently_used_is_forgotten_above_the_limit() -> None:
    encode = Counting()
    # A letter takes 8 bytes.
    remembered = Remembered(encode=encode, limit=16)
    remembered(["a", "b"])
    remembered(["a"])
    remembered(["c"])
    remembered(["a"])
    assert encode.given == ["a", "b", "c"]
    remembered(["b"])
    assert encode.given == ["a", "b", "c", "b"]
    assert remembered(["longer"]).values.shape == (6, 2)
