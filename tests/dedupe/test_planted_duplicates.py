"""All of `dedupe` on planted duplicates, beside brute force over sets of token tuples."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.recall import (
    CLASSES,
    LANGUAGE,
    BruteForce,
    Planted,
    compare,
    decide,
    library_functions,
    plant,
    total,
)
from dedupe.evidence import near_duplicate_score
from dedupe.fingerprint import exact_key
from dedupe.lexer import tokens
from dedupe.options import DedupeOptions
from dedupe.selection import EXACT_DUPLICATE, KEPT, NEAR_DUPLICATE


@pytest.fixture(scope="module")
def corpus() -> list[Planted]:
    functions = library_functions(250)
    assert len(functions) == 250
    return plant(functions, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.7, 0.8])
def test_nothing_is_removed_wrongly_and_little_is_missed(
    corpus: list[Planted], threshold: float
) -> None:
    options = DedupeOptions(threshold=threshold)
    outcomes = compare(corpus, options)
    everything = total(outcomes)
    floor = options.recall_at_threshold - 0.02
    assert everything.wrong == 0
    assert everything.both / everything.brute >= floor
    assert everything.missed <= (1 - floor) * everything.brute
    # The plants must be there to be found: each kind loses a good part to brute force.
    assert all(outcomes[kind].brute > 10 for kind in CLASSES)


def test_recall_holds_where_no_copy_helps(corpus: list[Planted]) -> None:
    """Only originals, renamed and edited ones, so that every find is the bands' own."""
    near = [planted for planted in corpus if planted.kind in ("original", "renamed", "edited")]
    everything = total(compare(near, DedupeOptions()))
    floor = DedupeOptions().recall_at_threshold - 0.02
    assert everything.wrong == 0 and everything.brute > 150
    assert everything.both / everything.brute >= floor


def test_every_removal_can_be_proved_from_what_is_published(corpus: list[Planted]) -> None:
    codes = [planted.code for planted in corpus]
    prints, decisions = decide(codes, DedupeOptions())
    brute = BruteForce(codes, DedupeOptions())
    proved = {EXACT_DUPLICATE: 0, NEAR_DUPLICATE: 0}
    for place in np.flatnonzero(decisions.reason != KEPT).tolist():
        witness = int(decisions.witness[place])
        assert witness < place and decisions.reason[witness] == KEPT
        assert brute.same(place, witness)
        reason = int(decisions.reason[place])
        proved[reason] += 1
        if reason == EXACT_DUPLICATE:
            keys = [exact_key(LANGUAGE, tokens(LANGUAGE, codes[row])) for row in (place, witness)]
            assert keys[0] == keys[1]
        else:
            score = near_duplicate_score(LANGUAGE, codes[witness], prints[place].shingles)
            assert float(score) == decisions.score[place]
    assert min(proved.values()) > 100


def test_copies_share_the_exact_key_and_edits_do_not() -> None:
    made = plant(library_functions(60), seed=3)
    prints, _ = decide([planted.code for planted in made], DedupeOptions())
    keys = {
        (planted.original, planted.kind): result.exact_key
        for planted, result in zip(made, prints, strict=True)
    }
    for number in range(60):
        same = {keys[number, kind] for kind in ("original", "exact", "re-indented", "re-commented")}
        assert len(same) == 1
        assert keys[number, "edited"] not in same and keys[number, "renamed"] not in same


def test_the_decisions_on_a_prefix_are_a_prefix_whatever_the_batches(
    corpus: list[Planted],
) -> None:
    """Candidates look at earlier items only, as selection does: a quota may stop the reading."""
    codes = [planted.code for planted in corpus][:600]
    _, whole = decide(codes, DedupeOptions())
    _, part = decide(codes[:301], DedupeOptions())
    assert np.array_equal(part.reason, whole.reason[:301])
    assert np.array_equal(part.witness, whole.witness[:301])
    assert (part.reason != KEPT).sum() > 50
