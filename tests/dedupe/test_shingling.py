"""Shingles and their Jaccard, against sets of token tuples."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dedupe import shingling as module
from dedupe.lexer import tokens
from dedupe.shingling import jaccard, mix, shingle_sets, shingles, token_hashes

WORDS = st.lists(st.sampled_from(["a", "b", "c", "(", ")", "1"]), max_size=20).map(" ".join)


def grams(code: str, ngram: int) -> set[tuple[str, ...]]:
    words = tokens("go", code)
    return {tuple(words[at : at + ngram]) for at in range(max(1, len(words) - ngram + 1)) if words}


@given(one=WORDS, other=WORDS, ngram=st.integers(1, 6))
def test_jaccard_is_that_of_the_sets_of_token_tuples(one: str, other: str, ngram: int) -> None:
    a, b = grams(one, ngram), grams(other, ngram)
    result = jaccard(shingles("go", one, ngram), shingles("python", other, ngram))
    assert result == (len(a & b), len(a | b))


@given(codes=st.lists(WORDS, max_size=6), ngram=st.integers(1, 6))
def test_a_batch_is_its_parts(codes: list[str], ngram: int) -> None:
    batch = shingle_sets([token_hashes(tokens("go", code)) for code in codes], ngram)
    for code, result in zip(codes, batch, strict=True):
        assert result.dtype == np.uint64
        assert result.tolist() == sorted(set(shingles("go", code, ngram).tolist()))


def test_order_matters_and_language_does_not() -> None:
    assert shingles("go", "a b c d e").tolist() != shingles("go", "e d c b a").tolist()
    assert shingles("go", "a b c d e").tolist() == shingles("java", "a b c d e").tolist()


def test_few_tokens_make_one_shingle_and_none_make_none() -> None:
    assert len(shingles("go", "a b")) == 1
    assert shingles("go", "a b").tolist() != shingles("go", "a b a").tolist()
    assert len(shingles("go", "// only a comment")) == 0


def test_values_are_stable() -> None:
    """Published evidence holds these values: they may change only with the lexer's version."""
    assert token_hashes(["return"]).tolist() == [xxhash.xxh3_64_intdigest(b"return")]
    assert mix(np.array([1], dtype=np.uint64)).tolist() == [0xB456BCFC34C2CB2C]
    assert shingles("go", "a b c d e f").tolist() == GOLDEN


GOLDEN = [4610777015826374248, 7854155850231285900]


def test_a_full_cache_is_emptied_and_long_tokens_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHE_ENTRIES", 4)
    monkeypatch.setattr(module, "_hashes", module._TokenHashes())
    arguments = [f"w{number}" for number in range(20)] + ["x" * 65]
    expected = [xxhash.xxh3_64_intdigest(word.encode()) for word in arguments]
    assert token_hashes(arguments).tolist() == expected
    assert len(module._hashes) <= 4 and "x" * 65 not in module._hashes


def test_a_lone_surrogate_is_hashed() -> None:
    assert len(shingles("python", "x = '\ud800'")) == 1


def test_an_ngram_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="ngram is 0"):
        shingle_sets([], 0)
