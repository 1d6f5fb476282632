"""Decontamination: pairs that hold an item of an evaluation set, found with the item as evidence.

Layers, in the order they are tried:

- `exact`: the token sequence of an evaluation function, with or without its documentation;
- `near`: true Jaccard with one at or above the dedupe threshold;
- `contained`: at least `containment` of its shingles stand in the pair, however long the pair;
- `query`: the folded query of an evaluation item.

A function under `min_tokens` has no near matches; it is `contained` where all of its tokens, at
least as many as a shingle has, stand in the pair in one run.

Method of near and contained: a prefix filter (Chaudhuri, Ganti, Kaushik, "A primitive operator for
similarity joins", ICDE 2006) over an inverted index. A pair that reaches either measure holds at
least ceil(p n) of the n shingles of the evaluation function, p the smaller of threshold and
containment (1 for a short function, whose run of tokens is looked for where all stand in it), so
it holds one of its n - ceil(p n) + 1 rarest: only those are indexed, in sorted arrays, and each
candidate is then measured exactly. Nothing above the bounds is missed, which MinHash LSH in front
could not promise, and containment is found that LSH cannot see.

Cost: about 15 microseconds a pair against the 6,267 functions of CoSQA's code base, 20 times that
for a Python pair that still holds triple quotes and must be parsed; the index takes 1 s and about
3 kB a function. Limits: renaming every identifier hides a function; a code row in a
language without a lexer protects by its query only (`counts()` tells how many).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dedupe.evaluation_sets import EvaluationRow, EvaluationRows, read_set
from dedupe.fingerprint import Fingerprint, exact_key
from dedupe.lexer import LANGUAGES, LEXER_VERSION, tokens
from dedupe.options import DecontaminateSet, DedupeOptions
from dedupe.pair_rule import reaches
from dedupe.shingling import U64, jaccard, shingle_sets, token_hashes
from extract.parsing import strip_code_documentation
from extract.text import fold

_FORMAT = 3
MAX_NAMED = 5
_DOCSTRING_QUOTES = ('"""', "'''")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """The evaluation item that a pair holds."""

    set: str
    item: str
    layer: str
    """exact, near, contained or query."""
    score: float
    """Jaccard (near), contained share (contained), else 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Function:
    """An evaluation function in one of its forms, for the near and contained layers."""

    set: str
    item: str
    language: str
    containment: Fraction
    shingles: U64
    words: tuple[str, ...] = ()
    """All tokens of a short function, in order; () for one that is measured by its shingles."""

    def least_share(self, threshold: Fraction) -> Fraction:
        """Share of the shingles that every pair with a hit holds."""
        return Fraction(1) if self.words else min(threshold, self.containment)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationIndex:
    """What the pairs must not hold. Made by `build`; searched by `match`; never changed."""

    exact: dict[bytes, tuple[str, str]]
    """Exact key to (set, item)."""
    queries: dict[str, tuple[str, str]]
    """Folded query to (set, item)."""
    functions: tuple[_Function, ...]
    rare: U64
    """Sorted: the rarest shingles of each function, ..."""
    owner: NDArray[np.int64]
    """... and the position in `functions` that each belongs to."""
    threshold: Fraction
    sizes: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    content: str

    @classmethod
    def build(cls, sets: Sequence[DecontaminateSet], options: DedupeOptions) -> EvaluationIndex:
        """Read the sets and index them. Raises `dedupe.evaluation_sets.EvaluationSetError`."""
        exact: dict[bytes, tuple[str, str]] = {}
        queries: dict[str, tuple[str, str]] = {}
        functions: list[_Function] = []
        sizes: list[tuple[str, tuple[tuple[str, int], ...]]] = []
        digest = hashlib.sha256(_scheme(options))
        for evaluation_set, rows in _read(sets, digest):
            sizes.append((evaluation_set.name, _sizes(rows.rows)))
            for row in rows.rows:
                if folded := fold(row.query):
                    queries.setdefault(folded, (evaluation_set.name, row.item))
                functions.extend(_index_code(evaluation_set, row, options, exact))
        rare, owner = _rarest(functions, Fraction(str(options.threshold)))
        return cls(
            exact=exact,
            queries=queries,
            functions=tuple(functions),
            rare=rare,
            owner=owner,
            threshold=Fraction(str(options.threshold)),
            sizes=tuple(sizes),
            content=digest.hexdigest(),
        )

    def match(self, language: str, code: str, query: str, fingerprint: Fingerprint) -> Hit | None:
        """The first layer's best hit of a pair, or None. `fingerprint` is the pair's, made with
        the options that the index was built with."""
        owners = self.exact.get(fingerprint.exact_key) or self._without_docstring(language, code)
        if owners is not None:
            return Hit(set=owners[0], item=owners[1], layer="exact", score=1.0)
        hit = self._near(language, code, fingerprint.shingles)
        if hit is None and (owners := self.queries.get(fold(query))) is not None:
            return Hit(set=owners[0], item=owners[1], layer="query", score=1.0)
        return hit

    def digest(self) -> str:
        """SHA-256 (hex) over the sets' contents and the options that matter: no path."""
        return self.content

    def counts(self) -> dict[str, dict[str, int]]:
        """For each set: rows, queries, functions, and functions in unknown languages."""
        return {name: dict(sizes) for name, sizes in self.sizes}

    def _without_docstring(self, language: str, code: str) -> tuple[str, str] | None:
        # Elsewhere documentation is comments, which are no tokens; parsing is 50 times a look-up.
        if language != "python" or not any(quotes in code for quotes in _DOCSTRING_QUOTES):
            return None
        bare, documentation = strip_code_documentation(language, code)
        return (
            self.exact.get(exact_key(language, tokens(language, bare))) if documentation else None
        )

    def _near(self, language: str, code: str, mine: U64) -> Hit | None:
        best: Hit | None = None
        for row in self._candidates(mine):
            function = self.functions[row]
            if function.language != language:
                continue
            hit = self._measure(function, code, mine)
            if hit is not None and (best is None or hit.score > best.score):
                best = hit
        return best

    def _candidates(self, mine: U64) -> list[int]:
        """Functions that share a rare shingle with `mine`, in the order of the index."""
        start = np.searchsorted(self.rare, mine, side="left")
        here = start < len(self.rare)
        start, sought = start[here], mine[here]
        hits = self.rare[start] == sought
        if not hits.any():
            return []
        start, sought = start[hits], sought[hits]
        stop = np.searchsorted(self.rare, sought, side="right")
        owners = [self.owner[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
        return sorted(set(np.concatenate(owners).tolist()))

    def _measure(self, function: _Function, code: str, mine: U64) -> Hit | None:
        shared, union = jaccard(mine, function.shingles)
        size = len(function.shingles)
        if function.words:
            if shared < size or not _holds_run(tokens(function.language, code), function.words):
                return None
            layer, score = "contained", 1.0
        elif reaches(shared, union, self.threshold):
            layer, score = "near", shared / union
        elif reaches(shared, size, function.containment):
            layer, score = "contained", shared / size
        else:
            return None
        return Hit(set=function.set, item=function.item, layer=layer, score=score)


def _index_code(
    evaluation_set: DecontaminateSet,
    row: EvaluationRow,
    options: DedupeOptions,
    exact: dict[bytes, tuple[str, str]],
) -> list[_Function]:
    """Enter a row's code, as it stands and without documentation; its forms for near matches."""
    if not row.code or row.language not in LANGUAGES:
        return []
    bare, _ = strip_code_documentation(row.language, row.code)
    forms = [tokens(row.language, code) for code in dict.fromkeys((row.code, bare))]
    for words in forms:
        # Code of nothing but comments has no tokens; it would match every other such pair.
        if words:
            exact.setdefault(exact_key(row.language, words), (evaluation_set.name, row.item))
    measured = [words for words in forms if len(words) >= options.ngram]
    sequences = [token_hashes(words) for words in measured]
    return [
        _Function(
            set=evaluation_set.name,
            item=row.item,
            language=row.language,
            containment=Fraction(str(evaluation_set.containment)),
            shingles=shingles,
            words=tuple(words) if len(words) < options.min_tokens else (),
        )
        for words, shingles in zip(measured, shingle_sets(sequences, options.ngram), strict=True)
    ]


def _holds_run(words: Sequence[str], run: tuple[str, ...]) -> bool:
    """Whether `run` stands in `words` without a gap; linear but for repeats of its first token."""
    at = -1
    try:
        while True:
            at = words.index(run[0], at + 1)
            if tuple(words[at : at + len(run)]) == run:
                return True
    except ValueError:
        return False


def _rarest(functions: Sequence[_Function], threshold: Fraction) -> tuple[U64, NDArray[np.int64]]:
    """The prefixes to index: sorted shingles and the position of the function of each."""
    if not functions:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
    known, counts = np.unique(
        np.concatenate([function.shingles for function in functions]), return_counts=True
    )
    rare: list[U64] = []
    for function in functions:
        size = len(function.shingles)
        prefix = size - math.ceil(function.least_share(threshold) * size) + 1
        frequency = counts[np.searchsorted(known, function.shingles)]
        rare.append(function.shingles[np.argsort(frequency, kind="stable")[:prefix]])
    owner = np.repeat(np.arange(len(functions)), [len(prefix) for prefix in rare])
    flat = np.concatenate(rare)
    order = np.argsort(flat, kind="stable")
    return flat[order], owner[order]


def _sizes(rows: Sequence[EvaluationRow]) -> tuple[tuple[str, int], ...]:
    coded = [row for row in rows if row.code]
    return (
        ("rows", len(rows)),
        ("queries", sum(1 for row in rows if row.query)),
        ("functions", len(coded)),
        ("unknown_language", unknown_languages(rows)[0]),
    )


def _scheme(options: DedupeOptions) -> bytes:
    return json.dumps(
        [_FORMAT, LEXER_VERSION, options.ngram, options.min_tokens, str(options.threshold)]
    ).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationFacts:
    """What can be said of evaluation sets for the price of reading them."""

    digest: str
    """What `EvaluationIndex.build(...).digest()` is."""
    unknown: tuple[tuple[str, int, tuple[str, ...]], ...]
    """Sets with code in languages that are none of ours: name, rows, the languages (at most 5)."""


def evaluation_facts(sets: Sequence[DecontaminateSet], options: DedupeOptions) -> EvaluationFacts:
    """Read the sets, without an index. Raises `dedupe.evaluation_sets.EvaluationSetError`."""
    digest = hashlib.sha256(_scheme(options))
    unknown = []
    for evaluation_set, evaluation_rows in _read(sets, digest):
        rows, languages = unknown_languages(evaluation_rows.rows)
        if rows:
            unknown.append((evaluation_set.name, rows, languages))
    return EvaluationFacts(digest=digest.hexdigest(), unknown=tuple(unknown))


def unknown_languages(rows: Sequence[EvaluationRow]) -> tuple[int, tuple[str, ...]]:
    """How many rows hold code in a language that is none of ours, and at most 5 of those."""
    counts = Counter(row.language for row in rows if row.code and row.language not in LANGUAGES)
    return counts.total(), tuple(sorted(counts)[:MAX_NAMED])


def _read(
    sets: Sequence[DecontaminateSet], digest: hashlib._Hash
) -> Iterator[tuple[DecontaminateSet, EvaluationRows]]:
    """The sets with their rows, one at a time; what decides the index goes into the digest."""
    for evaluation_set in sets:
        rows = read_set(evaluation_set)
        digest.update(_facts(evaluation_set, rows))
        yield evaluation_set, rows


def _facts(evaluation_set: DecontaminateSet, rows: EvaluationRows) -> bytes:
    columns = sorted(evaluation_set.columns.items())
    facts = [
        evaluation_set.name,
        columns,
        evaluation_set.language,
        str(evaluation_set.containment),
        rows.digest,
    ]
    return json.dumps(facts).encode()
