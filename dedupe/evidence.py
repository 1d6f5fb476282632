"""Evidence: what anyone needs to check a removal against the witness in the shards.

For an exact duplicate the exact keys of both are equal; for a near-duplicate the removed pair's
shingles are kept, and the Jaccard with the witness's code is computed again here. Cost: one
lexing and hashing of the witness, about 0.1 ms.
"""

from __future__ import annotations

from fractions import Fraction

from dedupe.shingling import U64, jaccard, shingles


def near_duplicate_score(
    language: str, witness_code: str, removed_shingles: U64, ngram: int = 5
) -> Fraction:
    """True Jaccard of the witness with a removed pair; 0 when both have no shingles.

    Raises `ValueError` when `removed_shingles` is not sorted and distinct, for then it is not
    what the build wrote.
    """
    if bool((removed_shingles[1:] <= removed_shingles[:-1]).any()):
        raise ValueError(
            f"the {len(removed_shingles)} shingles of the removed pair are not sorted and "
            f"distinct: the evidence is damaged; restore removals/ from the data set's source"
        )
    shared, union = jaccard(shingles(language, witness_code, ngram), removed_shingles)
    return Fraction(shared, union) if union else Fraction(0)
