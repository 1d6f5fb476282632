"""Fingerprints: golden values, invariance, and bands that find what the formula promises."""

from __future__ import annotations

import hashlib

import datasketch
import numpy as np
import pytest

from dedupe.fingerprint import (
    band_keys,
    exact_key,
    fingerprints,
    query_group,
    scheme_facts,
    signatures,
)
from dedupe.options import DedupeOptions
from dedupe.shingling import U64

OPTIONS = DedupeOptions()
CODE = "def total(prices, rate):\n    result = 0\n" + "".join(
    f"    result += prices[{number}] * rate\n" for number in range(5)
)


def test_datasketch_still_gives_the_values_it_gave() -> None:
    """Seed 1, affine32, inputs 1, 2, 3: an upstream change must not pass unnoticed."""
    sketch = datasketch.MinHash(num_perm=4, seed=1, scheme="affine32", hashfunc=int)
    sketch.update_batch([1, 2, 3])
    assert sketch.hashvalues.tolist() == DATASKETCH
    assert datasketch.__version__.startswith("2.")


DATASKETCH = [63217260, 131247162, 308645290, 1412089388]


def test_our_values_are_stable() -> None:
    """Band keys of old run files are compared with new ones: they may change only by intent."""
    result = fingerprints([("python", CODE, "Total  Price")], OPTIONS)[0]
    assert result.tokens == 8 + 3 + 5 * 8
    assert result.exact_key.hex() == EXACT
    assert result.query_group == hashlib.sha256(b"total price").hexdigest()[:16]
    assert [int(result.band_keys[band]) for band in (0, 35)] == BANDS


EXACT = "fda0dcd91e0777f785aefd29cc5cb79e"
BANDS = [8997550574087594077, 4326841563568549948]


@pytest.mark.parametrize("options", [OPTIONS, DedupeOptions(bands=9, rows=3, seed=7)])
def test_a_signature_is_datasketchs_own(options: DedupeOptions) -> None:
    """Also over the border of a chunk, and for a set that is larger than one."""
    dice = np.random.default_rng(5)
    rows = [np.array(row, dtype=np.uint64) for row in ([5, 2**40 + 7], [9, 9 << 33], [0])]
    rows += [
        dice.integers(0, 2**64, size=size, dtype=np.uint64)
        for size in (1, 30_000, 3_000, 40_000, 2, 2_000)
    ]
    ours = signatures(rows, options)
    for row, result in zip(rows, ours, strict=True):
        sketch = datasketch.MinHash(
            num_perm=options.permutations, seed=options.seed, scheme="affine32", hashfunc=int
        )
        sketch.update_batch(((row ^ (row >> np.uint64(32))) & np.uint64(0xFFFFFFFF)).tolist())
        assert result.tolist() == sketch.hashvalues.tolist()


def test_no_signature_of_nothing() -> None:
    assert signatures([], OPTIONS).shape == (0, 252)
    with pytest.raises(ValueError, match="shingle set 1 of 2 is empty"):
        signatures([np.ones(1, dtype=np.uint64), np.empty(0, dtype=np.uint64)], OPTIONS)


def test_layout_and_comments_change_nothing_but_words_and_language_do() -> None:
    variants = [
        ("python", CODE, "q"),
        ("python", CODE.replace("    ", "\t") + "# end\n", "Q "),
        ("python", CODE.replace("rate", "tax"), "other"),
        ("go", CODE, "q"),
    ]
    one, same, renamed, other = fingerprints(variants, OPTIONS)
    assert one.exact_key == same.exact_key and one.query_group == same.query_group
    assert one.band_keys.tolist() == same.band_keys.tolist()
    assert len({one.exact_key, renamed.exact_key, other.exact_key}) == 3
    assert one.query_group != renamed.query_group
    assert one.shingles.tolist() == other.shingles.tolist()
    assert not set(one.band_keys.tolist()) & set(other.band_keys.tolist())


def test_a_batch_is_its_parts_and_copies_share_the_work() -> None:
    pairs = [("python", CODE, "a"), ("python", "x = 1", "b"), ("python", CODE, "c")]
    batch = fingerprints(pairs, OPTIONS)
    for pair, result in zip(pairs, batch, strict=True):
        alone = fingerprints([pair], OPTIONS)[0]
        assert result.exact_key == alone.exact_key and result.query_group == alone.query_group
        assert result.band_keys.tolist() == alone.band_keys.tolist()
    assert batch[0].shingles is batch[2].shingles


def test_all_but_empty_functions_have_bands() -> None:
    options = DedupeOptions(min_tokens=4)
    result = fingerprints([("python", code, "") for code in ("", "a b c", "a b c d")], options)
    assert [item.tokens for item in result] == [0, 3, 4]
    assert [len(item.band_keys) for item in result] == [0, 36, 36]
    assert len(fingerprints([("python", "", "")], DedupeOptions(min_tokens=0))[0].band_keys) == 0
    assert fingerprints([], OPTIONS) == []


def test_the_exact_key_tells_token_boundaries_apart() -> None:
    keys = [["ab", "c"], ["a", "bc"], ["abc"], ["a", "b", "c"], []]
    assert len({exact_key("go", words) for words in keys}) == len(keys)
    assert all(len(exact_key("go", words)) == 16 for words in keys)


@pytest.mark.parametrize("similarity", [0.7, 0.8])
def test_bands_find_what_the_formula_says(similarity: float) -> None:
    dice = np.random.default_rng(3)
    shared = round(140 * 2 * similarity / (1 + similarity))
    sets: list[U64] = []
    for _ in range(500):
        pool = dice.integers(0, 2**64, size=280 - shared, dtype=np.uint64)
        sets += [np.sort(pool[:140]), np.sort(pool[140 - shared :])]
    true = shared / (280 - shared)
    keys = band_keys(["go"] * len(sets), sets, OPTIONS)
    result = np.mean([(a == b).any() for a, b in zip(keys[::2], keys[1::2], strict=True)])
    expected = 1 - (1 - true**7) ** 36
    # Three standard deviations of 500 trials.
    assert abs(result - expected) < 3 * (max(expected * (1 - expected), 1e-3) / 500) ** 0.5


def test_the_facts_name_everything_a_recomputation_needs() -> None:
    facts = scheme_facts(OPTIONS)
    assert facts["scheme"] == "affine32" and facts["permutations"] == 252
    assert facts["datasketch"] == datasketch.__version__ and facts["hash"] == "xxh3_64"
    assert {"lexer", "seed", "ngram", "bands", "rows", "threshold", "min_tokens"} <= set(facts)
    assert facts["rule"] == 2
    assert (facts["other_name_threshold"], facts["query_overlap"]) == (0.95, 0.5)


def test_query_groups_fold_case_space_and_composition() -> None:
    assert query_group("Cafe\u0301  AU lait\n") == query_group("café au lait")
    assert query_group("a") != query_group("b")
