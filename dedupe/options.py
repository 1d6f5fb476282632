"""Options of this package, as they stand in the config.

Banding finds a pair of true Jaccard s with probability 1 - (1 - s^rows)^bands (Leskovec,
Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.2). The default of 36 bands of
7 rows finds 95.4% of the pairs at exactly 0.7, 99.98% at 0.8 and 24.6% at 0.5; what it finds is
then verified by true Jaccard, so a generous banding costs time, never a wrong removal. A banding
that finds less than half of the pairs at the threshold is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MIN_RECALL = 0.5
"""Lowest recall at the threshold that a banding may have."""


def recall(threshold: float, bands: int, rows: int) -> float:
    """Probability that a pair of true Jaccard `threshold` shares at least one band.

    Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.2.
    """
    return 1.0 - (1.0 - float(threshold) ** rows) ** bands


class DedupeOptions(BaseModel):
    """How near-duplicates are found and what counts as one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(default=0.7, ge=0.3, le=1.0)
    """True Jaccard of the shingle sets at and above which the later pair goes, where its function
    name or its query agrees."""
    other_name_threshold: float = Field(default=0.95, ge=0.3, le=1.0)
    """The same where neither does; below `threshold` it changes nothing."""
    query_overlap: float = Field(default=0.5, gt=0.0, le=1.0)
    """Jaccard of the words of two queries at and above which they agree."""
    ngram: int = Field(default=5, ge=1, le=32)
    """Lexical tokens in a shingle."""
    bands: int = Field(default=36, ge=1, le=256)
    rows: int = Field(default=7, ge=1, le=32)
    """Hash values in a band."""
    min_tokens: int = Field(default=30, ge=0, le=1000)
    """Functions of fewer tokens go as near-duplicates only where name and query agree: in 30
    tokens one edited one already takes the Jaccard of 5-grams down to 0.68."""
    seed: int = Field(default=1, ge=0, le=2**32 - 1)
    """Seed of datasketch's permutations."""

    @property
    def permutations(self) -> int:
        """Hash values in a signature."""
        return self.bands * self.rows

    @property
    def recall_at_threshold(self) -> float:
        """Share of the pairs at exactly the threshold that the bands find."""
        return recall(self.threshold, self.bands, self.rows)

    @model_validator(mode="after")
    def _recall_is_enough(self) -> Self:
        recall = self.recall_at_threshold
        if recall < MIN_RECALL:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows find {recall:.1%} of the pairs at "
                f"threshold {self.threshold}, by 1-(1-t^rows)^bands; at least {MIN_RECALL:.0%} is "
                f"asked for: use more bands or fewer rows"
            )
        return self


class QueryCapOptions(BaseModel):
    """How many kept pairs may share a normalised query; null turns a limit off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_repo: int | None = Field(default=1, ge=1)
    total: int | None = Field(default=3, ge=1)

    @field_validator("per_repo", "total", mode="before")
    @classmethod
    def _zero_is_not_off(cls, value: object) -> object:
        if value == 0 and value is not False:
            raise ValueError("0 would drop every pair; write null to turn the limit off")
        return value


class DecontaminateSet(BaseModel):
    """An evaluation set that the pairs must not hold: JSON lines, plain or gzip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    path: Path
    columns: dict[str, str] = Field(default_factory=dict)
    """Which field of a row is what: keys among `query`, `code` and `language`. What is not named
    is looked for: query, question, doc, docstring; code, positive, function; language, lang."""
    language: str | None = None
    """Language of the code where the rows do not say it, by any name that data sets give it."""
    containment: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of an evaluation function's shingles that a pair may not hold."""

    @field_validator("columns")
    @classmethod
    def _known_roles(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(value) - {"query", "code", "language"})
        if unknown:
            raise ValueError(f"columns has {unknown}; it may name query, code and language")
        return value
