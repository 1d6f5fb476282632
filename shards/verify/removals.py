"""The checks of the evidence: every witness is kept, and really is that similar.

An exact duplicate's key is recomputed from the witness's code, a near-duplicate's Jaccard from
its stored shingles and the witness's code, and the pair rule that the manifest states is applied to
both names, queries and counts of tokens again. Cost: about 0.3 ms a duplicate (one read and one
lexing of the witness); memory: one batch of evidence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa

from dedupe import (
    EXACT_DUPLICATE,
    FIRST_RULE,
    NEAR_DUPLICATE,
    QUERY_CAP,
    REASONS,
    RULE_VERSION,
    DedupeOptions,
    PairRule,
    UnknownLanguageError,
    exact_key,
    near_duplicate_score,
    query_jaccard,
    same_name,
    tokens,
)
from shards.format import Sample, number, repo_sha256, text
from shards.read import Dataset
from shards.storage import Findings
from shards.verify.tombstones import check_marked, check_marks, is_marked
from shards.write import NO_SCORE, Removal, read_removals, removal_files
from xtrove.core import DamagedData

EXACT: Final = REASONS[EXACT_DUPLICATE]
NEAR: Final = REASONS[NEAR_DUPLICATE]
CAP: Final = REASONS[QUERY_CAP]
_FACTS: Final = {
    FIRST_RULE: ("threshold", "ngram"),
    RULE_VERSION: ("threshold", "ngram", "other_name_threshold", "query_overlap", "min_tokens"),
}
"""What the manifest must state for each version of the pair rule."""


@dataclass(kw_only=True, slots=True)
class RemovalsSeen:
    """What the evidence holds."""

    rows: int = 0
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Rows by source, language and reason."""
    marked: int = 0
    """Rows whose witness was forgotten."""


def check_removals(dataset: Dataset, findings: Findings) -> RemovalsSeen:
    """Reads all evidence and reports what does not hold; never raises over its content."""
    seen = RemovalsSeen()
    rule = _Rule.of(dataset, findings)
    forgotten = {tombstone.repo_sha256 for tombstone in dataset.manifest.tombstones}
    for path in removal_files(dataset.path):
        name, last = f"removals/{path.name}", ""
        try:
            for row in read_removals(path):
                seen.rows += 1
                seen.reasons[row.source, row.language, row.reason] += 1
                if row.id < last:
                    findings.add("removal", f"{name} {row.id}", f"comes after {last}")
                last = row.id
                subject = f"{name} {row.id}"
                if forgotten and repo_sha256(row.repo) in forgotten:
                    findings.add("forgotten", subject, f"{row.repo} was forgotten")
                if is_marked(row):
                    seen.marked += 1
                    check_marked(subject, row, rule.threshold, findings)
                else:
                    _check_row(dataset, subject, row, rule, findings)
        except DamagedData as error:
            findings.add("removal", name, str(error))
    findings.counts["removals"] += seen.rows
    check_marks(dataset.manifest, seen.marked, findings)
    return seen


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    threshold: Fraction
    ngram: int
    pairs: PairRule | None
    """None where the manifest states the first rule, which looked at the threshold only."""

    @classmethod
    def of(cls, dataset: Dataset, findings: Findings) -> _Rule:
        facts = dataset.manifest.dedupe
        version = facts.get("rule", FIRST_RULE)
        names = _FACTS.get(version) if isinstance(version, int) else None
        try:
            if names is None:
                raise ValueError(f"rule is {version!r}; this version of xtrove knows {[*_FACTS]}")
            if missing := [name for name in names if name not in facts]:
                raise ValueError(f"it states no {' and no '.join(missing)}")
            options = DedupeOptions.model_validate(
                {name: facts[name] for name in names}, strict=True
            )
        except ValueError as error:
            findings.add("manifest", "manifest.json", f"dedupe cannot be checked: {error}")
            return cls(threshold=Fraction(2), ngram=1, pairs=None)
        rule = PairRule.of(options)
        pairs = None if version == FIRST_RULE else rule
        return cls(threshold=rule.threshold, ngram=options.ngram, pairs=pairs)


def _check_row(
    dataset: Dataset, subject: str, row: Removal, rule: _Rule, findings: Findings
) -> None:
    try:
        location = dataset.find(row.id)
        if location is not None and not _is_another(dataset, row):
            findings.add("removal", subject, f"is kept in {location[0].facts.path} all the same")
        if row.reason not in (EXACT, NEAR, CAP):
            return
        witness = dataset.get(row.witness_id)
    except (pa.ArrowException, ValueError, OSError) as error:
        findings.add("witness", subject, f"witness {row.witness_id!r} cannot be read: {error}")
        return
    findings.counts["witnesses"] += 1
    if witness is None:
        findings.add("witness", subject, f"witness {row.witness_id!r} is not in the dataset")
    elif row.reason == CAP:
        _expect(subject, "score", row.score, NO_SCORE, findings)
    elif text(witness, "language") != row.language and row.witness_id != row.id:
        # An id holds no language: one code under two of them is one sample.
        findings.add(
            "witness",
            subject,
            f"witness {row.witness_id} is {witness['language']!r}, "
            f"the removed pair {row.language!r}",
        )
    else:
        _check_evidence(subject, row, witness, rule, findings)


def _is_another(dataset: Dataset, row: Removal) -> bool:
    """Whether a removed row that has the id of a kept sample is another row of its table.

    An id holds neither query nor language: a table of pairs may ask two questions of one code, or
    give it two languages. A function of a file has lines, and stands there once.
    """
    if row.reason == EXACT and row.witness_id == row.id:
        return True
    kept = dataset.get(row.id)
    return row.start_line == -1 or kept is None or text(kept, "language") != row.language


def _check_evidence(
    subject: str, row: Removal, witness: Sample, rule: _Rule, findings: Findings
) -> None:
    code = text(witness, "code")
    try:
        if row.reason == EXACT:
            key = exact_key(row.language, tokens(row.language, code)).hex()
            _expect(subject, "exact_key", row.exact_key, key, findings)
            _expect(subject, "score", row.score, 1.0, findings)
            return
        stored = np.array(row.shingles, dtype=np.uint64)
        score = near_duplicate_score(row.language, code, stored, rule.ngram)
    except (UnknownLanguageError, ValueError) as error:
        findings.add("witness", subject, str(error))
        return
    _expect(subject, "score", row.score, float(score), findings)
    if score < rule.threshold:
        findings.add(
            "witness",
            subject,
            f"Jaccard with witness {row.witness_id} is {float(score):.6f}, under the threshold "
            f"{float(rule.threshold):g}",
        )
    elif rule.pairs is not None:
        _check_rule(subject, row, witness, score, rule.ngram, rule.pairs, findings)


def _check_rule(
    subject: str,
    row: Removal,
    witness: Sample,
    score: Fraction,
    ngram: int,
    rule: PairRule,
    findings: Findings,
) -> None:
    """Applies the pair rule of the manifest to what the evidence and the witness say."""
    grams = len(row.shingles)
    if grams > max(1, row.tokens - ngram + 1):
        findings.add("witness", subject, f"{row.tokens} tokens cannot have {grams} shingles")
    name, query = text(witness, "name"), text(witness, "query")
    same, words = same_name(row.name, name), query_jaccard(row.query, query)
    if not rule.removes(
        (score.numerator, score.denominator),
        same_name=same,
        tokens=min(row.tokens, number(witness, "tokens")),
        queries=lambda: words,
    ):
        findings.add(
            "witness",
            subject,
            f"the pair rule keeps it: Jaccard {float(score):.6f}, {row.tokens} tokens, named "
            f"{row.name!r} and its witness {row.witness_id} {name!r}, queries share {words[0]} of "
            f"{words[1]} words",
        )


def _expect(subject: str, name: str, actual: object, expected: object, findings: Findings) -> None:
    if actual != expected:
        findings.add("witness", subject, f"{name} is {actual!r}, recomputed {expected!r}")
