r"""The pair rule: how similar two codes must be for the later pair to go as a near-duplicate.

Method. Let J be the true Jaccard of the shingles of a pair and of a kept pair of an earlier rank.
Names are equal when their last components are, case folded (`name_key`; an unknown name equals
none). Queries agree when the Jaccard of their words reaches `query_overlap`. The later pair goes

- where J reaches `threshold` and the names are equal or the queries agree;
- where J reaches `other_name_threshold`, whatever they are called;
- where either code has fewer than `min_tokens` lexical tokens: only where J reaches `threshold`,
  the names are equal and the queries agree.

The words of a query (`query_words`) are the runs of word characters (Unicode's: letters, digits,
underscore) of the query in NFC, case folded; each counts once. Identifiers are not split:
`first_with` and `first_without` are two words, as they are two functions.

Cost: 2 us a query, 3 us a comparison of queries. Limits: two functions whose documentation
differs in one word ("one-to-one", "one-to-many") agree by their queries and go at `threshold`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np
import xxhash

from dedupe.options import DedupeOptions
from dedupe.shingling import U64, token_hashes
from extract.text import fold, last_component

RULE_VERSION = 2
"""Stands in the manifest as `rule`."""
FIRST_RULE = 1
"""Of a manifest that states none: a pair went at the threshold, whatever its name and query, and
never below `min_tokens`."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRule:
    """The rule with its numbers, as decimals."""

    threshold: Fraction
    other_name_threshold: Fraction
    query_overlap: Fraction
    min_tokens: int

    @classmethod
    def of(cls, options: DedupeOptions) -> Self:
        """The rule of a config."""
        return cls(
            threshold=_decimal(options.threshold),
            other_name_threshold=_decimal(options.other_name_threshold),
            query_overlap=_decimal(options.query_overlap),
            min_tokens=options.min_tokens,
        )

    def removes(
        self,
        jaccard: tuple[int, int],
        *,
        same_name: bool,
        tokens: int,
        queries: Callable[[], tuple[int, int]],
    ) -> bool:
        """Whether the later pair goes.

        `jaccard`: sizes of intersection and union of the shingles. `tokens`: of the shorter code.
        `queries`: the same two sizes for the words; asked only where they decide.
        """
        if not reaches(*jaccard, self.threshold):
            return False
        if tokens < self.min_tokens:
            return same_name and self._agree(queries)
        if same_name or reaches(*jaccard, self.other_name_threshold):
            return True
        return self._agree(queries)

    def _agree(self, queries: Callable[[], tuple[int, int]]) -> bool:
        return reaches(*queries(), self.query_overlap)


def reaches(intersection: int, union: int, threshold: Fraction) -> bool:
    """Whether intersection / union >= threshold, in integers; no for an empty union."""
    return union > 0 and intersection * threshold.denominator >= threshold.numerator * union


def name_key(name: str) -> str:
    """What equal names share: the last component, in NFC and case folded; "" where unknown."""
    return fold(last_component(name))


def name_number(name: str) -> int:
    """64-bit number of a name's key; 0 for an unknown name."""
    key = name_key(name)
    return xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass")) if key else 0


def same_name(left: str, right: str) -> bool:
    """Whether two names are known and equal."""
    return bool(key := name_key(left)) and key == name_key(right)


def query_words(query: str) -> frozenset[str]:
    """The distinct words of a query."""
    return frozenset(_WORD.findall(fold(query)))


def query_hashes(query: str) -> U64:
    """The words of a query as sorted 64-bit hashes, for `dedupe.shingling.jaccard`."""
    return np.sort(token_hashes(list(query_words(query))))


def query_jaccard(left: str, right: str) -> tuple[int, int]:
    """Sizes of intersection and union of the words of two queries."""
    mine, theirs = query_words(left), query_words(right)
    return len(mine & theirs), len(mine | theirs)


def _decimal(number: float) -> Fraction:
    """The number as the config writes it: 0.7 is 7/10, not the binary number nearest to it."""
    return Fraction(str(number))
