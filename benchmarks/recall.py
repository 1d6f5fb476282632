"""Recall and wrong removals of the dedupe, beside brute force, on planted near-duplicates.

`python benchmarks/recall.py [--functions N] [--seed S] [--threshold T]` takes N functions of the
installed standard library, plants copies of each (exact, re-indented, re-commented, one variable
renamed, one token edited), shuffles all of them with a fixed seed, and decides them twice: by
bands and verification, and by greedy keep-first over the Jaccard of every pair, computed from sets
of token tuples. Recall is the share of what brute force removes that the dedupe removes; a
removal is wrong when no kept, earlier function is its exact or near-duplicate; a missed one was
kept although there is one. Cost: brute force grows with N squared; 1,000 functions (6,000 items)
take about 10 seconds.
"""

from __future__ import annotations

import argparse
import ast
import io
import itertools
import keyword
import random
import re
import sysconfig
import textwrap
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

if not __package__:
    import rooms_first  # noqa: F401 - run as a script, not imported by a test

import numpy as np
from rich.console import Console
from rich.table import Table

from dedupe import (
    BAND_ROW,
    KEPT,
    Decisions,
    DedupeOptions,
    Fingerprint,
    Items,
    PairRule,
    QueryCapOptions,
    Rows,
    candidates,
    edges,
    exact_words,
    fingerprints,
    select,
    tokens,
)

LANGUAGE = "python"
CLASSES = ("original", "exact", "re-indented", "re-commented", "renamed", "edited")
BATCH = 256

Grams = frozenset[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A function of the corpus and how it was made from the original."""

    kind: str
    original: int
    code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Counts of one class."""

    items: int = 0
    brute: int = 0
    """Removed by brute force."""
    both: int = 0
    """Removed by brute force and by the dedupe."""
    removed: int = 0
    wrong: int = 0
    missed: int = 0


def library_functions(count: int, min_tokens: int = 30) -> list[str]:
    """Distinct functions of the standard library without triple quotes, in path order."""
    result: dict[tuple[str, ...], str] = {}
    for code in _definitions(Path(sysconfig.get_paths()["stdlib"])):
        words = tuple(tokens(LANGUAGE, code))
        if len(words) >= min_tokens and len(code) <= 8000:
            result.setdefault(words, code)
        if len(result) == count:
            break
    return list(result.values())


def _definitions(library: Path) -> Iterator[str]:
    for path in sorted(library.glob("*.py")) + sorted(library.glob("[a-z]*/*.py")):
        if {"site-packages", "test", "lib2to3"} & set(path.relative_to(library).parts):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        lines = text.splitlines(keepends=True)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                code = textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno]))
                if '"""' not in code and "'''" not in code:
                    yield code


def plant(functions: Sequence[str], seed: int) -> list[Planted]:
    """Every function and its copies, shuffled."""
    dice = random.Random(seed)
    made = [
        Planted(kind=kind, original=number, code=_copy(kind, code, dice))
        for number, code in enumerate(functions)
        for kind in CLASSES
    ]
    dice.shuffle(made)
    return made


def _copy(kind: str, code: str, dice: random.Random) -> str:
    if kind == "re-indented":
        return re.sub(r"(?m)^[ ]+", lambda spaces: "\t" * (1 + len(spaces[0]) // 2), code)
    if kind == "re-commented":
        return re.sub(r"(?m)(:)$", r"\1  # noted, and why", code) + "\n# the end\n"
    if kind in ("renamed", "edited"):
        names = _names(code)
        chosen = dice.choice(names[1:])
        fresh = f"{chosen.string}_{dice.randrange(1000)}"
        same = [name for name in names if name.string == chosen.string]
        return _replaced(code, same if kind == "renamed" else [chosen], fresh)
    return code


def _names(code: str) -> list[tokenize.TokenInfo]:
    """Names that are neither keywords nor attributes, by the tokenizer of the standard library."""
    result = list(tokenize.generate_tokens(io.StringIO(code).readline))
    return [
        token
        for before, token in itertools.pairwise(result)
        if token.type == tokenize.NAME
        and not keyword.iskeyword(token.string)
        and before.string != "."
    ]


def _replaced(code: str, names: Sequence[tokenize.TokenInfo], fresh: str) -> str:
    lines = code.splitlines(keepends=True)
    for name in reversed(names):
        row, start = name.start
        line = lines[row - 1]
        lines[row - 1] = line[:start] + fresh + line[name.end[1] :]
    return "".join(lines)


def select_by_code(items: Items, edges_found: Rows, options: DedupeOptions) -> Decisions:
    """Selection with neither caps nor quotas, and all names equal: the code alone decides."""
    no_cap = QueryCapOptions(per_repo=None, total=None)
    no_words = np.empty(0, dtype=np.uint64)
    rule = PairRule.of(options)
    return select(items, edges_found, no_cap, [], rule, lambda places: [no_words] * len(places))


def decide(corpus: Sequence[str], options: DedupeOptions) -> tuple[list[Fingerprint], Decisions]:
    """The dedupe as the build runs it, in one process: the position in `corpus` is the rank."""
    prints: list[Fingerprint] = []
    for start in range(0, len(corpus), BATCH):
        batch = [
            (LANGUAGE, code, str(start + at)) for at, code in enumerate(corpus[start:][:BATCH])
        ]
        prints.extend(fingerprints(batch, options))
    exact = exact_words([fingerprint.exact_key for fingerprint in prints])
    banded = [place for place, result in enumerate(prints) if result.tokens >= options.min_tokens]
    rows = np.empty(len(banded) * options.bands, dtype=BAND_ROW)
    if banded:
        rows["key"] = np.concatenate([prints[place].band_keys for place in banded])
    rows["item"] = np.repeat(np.array(banded, dtype=np.uint64), options.bands)
    rows["exact"] = exact[rows["item"].astype(np.int64), 0]
    result = edges(
        candidates(rows, np.ones(len(rows), np.uint64)),
        lambda item: prints[item].shingles,
        options.threshold,
    )
    count = len(corpus)
    items = Items(
        item=np.arange(count, dtype=np.uint64),
        exact=exact,
        query_group=np.arange(count, dtype=np.uint64),
        repo=np.zeros(count, dtype=np.uint64),
        quota=np.full(count, -1, dtype=np.int32),
        name=np.ones(count, dtype=np.uint64),
        tokens=np.array([fingerprint.tokens for fingerprint in prints], dtype=np.uint32),
    )
    return prints, select_by_code(items, result, options)


class BruteForce:
    """The rule itself, over sets of token tuples: no hashing, no bands."""

    def __init__(
        self, corpus: Sequence[str], options: DedupeOptions, language: str = LANGUAGE
    ) -> None:
        self.words = [tuple(tokens(language, code)) for code in corpus]
        self.threshold = Fraction(str(options.threshold))
        self.min_tokens = options.min_tokens
        self.grams: list[Grams] = [
            frozenset(
                words[at : at + options.ngram]
                for at in range(max(1, len(words) - options.ngram + 1))
            )
            for words in self.words
        ]

    def same(self, one: int, other: int) -> bool:
        """Whether the rule calls two functions duplicates of each other."""
        if self.words[one] == self.words[other]:
            return True
        if min(len(self.words[one]), len(self.words[other])) < self.min_tokens:
            return False
        shared = len(self.grams[one] & self.grams[other])
        union = len(self.grams[one]) + len(self.grams[other]) - shared
        return Fraction(shared, union) >= self.threshold

    def has_earlier(self, kept: Sequence[bool]) -> list[bool]:
        """For each function: whether an earlier one with `kept` is its duplicate."""
        return list(self._walk(kept))

    def greedy(self) -> list[bool]:
        """For each function: whether keep-first removes it."""
        return list(self._walk(None))

    def _walk(self, kept: Sequence[bool] | None) -> Iterator[bool]:
        posted: dict[tuple[str, ...], list[int]] = defaultdict(list)
        seen: set[tuple[str, ...]] = set()
        for place, grams in enumerate(self.grams):
            shared = Counter(other for gram in grams for other in posted[gram])
            # Jaccard t needs t times the larger set in common; rounding down only checks more.
            need = int(self.threshold * len(grams))
            duplicate = self.words[place] in seen or any(
                count >= need and self.same(place, other) for other, count in shared.items()
            )
            yield duplicate
            if (not duplicate) if kept is None else kept[place]:
                seen.add(self.words[place])
                for gram in grams:
                    posted[gram].append(place)


def compare(corpus: Sequence[Planted], options: DedupeOptions) -> dict[str, Outcome]:
    """Both decisions on the corpus, counted by class."""
    codes = [planted.code for planted in corpus]
    _, decisions = decide(codes, options)
    kept = (decisions.reason == KEPT).tolist()
    brute = BruteForce(codes, options)
    ideal, covered = brute.greedy(), brute.has_earlier(kept)
    counts: Counter[tuple[str, str]] = Counter()
    for place, planted in enumerate(corpus):
        removed = not kept[place]
        counts[planted.kind, "items"] += 1
        counts[planted.kind, "brute"] += ideal[place]
        counts[planted.kind, "both"] += ideal[place] and removed
        counts[planted.kind, "removed"] += removed
        counts[planted.kind, "wrong"] += removed and not covered[place]
        counts[planted.kind, "missed"] += covered[place] and not removed
    fields = ("items", "brute", "both", "removed", "wrong", "missed")
    return {kind: Outcome(**{field: counts[kind, field] for field in fields}) for kind in CLASSES}


def total(outcomes: dict[str, Outcome]) -> Outcome:
    """The sum over the classes."""
    fields = ("items", "brute", "both", "removed", "wrong", "missed")
    return Outcome(
        **{field: sum(getattr(outcome, field) for outcome in outcomes.values()) for field in fields}
    )


def show(outcomes: dict[str, Outcome], options: DedupeOptions, console: Console) -> None:
    """The table."""
    table = Table(
        title=f"threshold {options.threshold}, {options.bands} x {options.rows}: "
        f"{options.recall_at_threshold:.1%} by the formula at the threshold"
    )
    for heading in ("class", "functions", "brute force removes", "removed", "recall", "wrong"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    table.add_column("missed", justify="right")
    for kind, outcome in [*outcomes.items(), ("all", total(outcomes))]:
        recall = f"{outcome.both / outcome.brute:.2%}" if outcome.brute else "-"
        numbers = (outcome.items, outcome.brute, outcome.removed)
        table.add_row(kind, *map(str, numbers), recall, str(outcome.wrong), str(outcome.missed))
    console.print(table)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--functions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threshold", type=float, default=0.7)
    arguments = parser.parse_args()
    options = DedupeOptions(threshold=arguments.threshold)
    functions = library_functions(arguments.functions)
    show(compare(plant(functions, arguments.seed), options), options, Console())


if __name__ == "__main__":
    main()
