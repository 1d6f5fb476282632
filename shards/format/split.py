"""Which split a sample belongs to.

A split is a pure function of the sample's group: SHA-256 of the group key, read as an integer
and compared with the fractions in parts per million, so that `verify` recomputes it and a new
repository never moves an old one. The group is the repository (no repository then stands in
two splits) or, where a few repositories hold nearly everything, the file. A pair that names no
repository (by file: no repository and no path) is a group by its code: what is unknown is not one
repository.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xtrove.core import XtroveError

Split = Literal["train", "validation", "test"]
GroupBy = Literal["repository", "path", "source"]
"""`source`: the source's own split was kept (CodeSearchNet with `partition: keep`)."""

MIN_REPOSITORIES = 200
MAX_SHARE_PERCENT = 20
_PARTS = 1_000_000


class SplitOptions(BaseModel):
    """`shards.splits` of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(default=0.01, ge=0, lt=1)
    test: float = Field(default=0.01, ge=0, lt=1)
    by: Literal["auto", "repository", "path"] = "auto"

    @model_validator(mode="after")
    def _leaves_training_data(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} leave nothing to train on: "
                "their sum must be under 1"
            )
        for name, value in (("validation", self.validation), ("test", self.test)):
            if value and not _millionths(value):
                raise ValueError(f"{name} {value} is under one millionth: use 0 or 0.000001")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRule:
    """What was chosen and why; stands in the manifest."""

    by: GroupBy
    reason: str


def choose_rule(options: SplitOptions, counts: Iterable[tuple[str, str, int]]) -> SplitRule:
    """The group to split by, from (language, repository, kept pairs) rows in any order.

    `auto` takes the repository, or the file path where there are under 200 repositories or one
    of them holds more than 20% of a language. Pairs of the repository "" name none: they count for
    the language only. Memory: one count per language and repository.
    """
    if options.by != "auto":
        return SplitRule(by=options.by, reason=f"splits.by: {options.by}")
    languages: dict[str, Counter[str]] = {}
    for language, repo, pairs in counts:
        languages.setdefault(language, Counter())[repo] += pairs
    totals = {language: repos.total() for language, repos in languages.items()}
    for repos in languages.values():
        repos.pop("", None)
    repositories = len({repo for repos in languages.values() for repo in repos})
    if repositories < MIN_REPOSITORIES:
        return SplitRule(
            by="path", reason=f"{repositories} repositories, fewer than {MIN_REPOSITORIES}"
        )
    for language in sorted(languages):
        repos, total = languages[language], totals[language]
        pairs, repo = max(((pairs, repo) for repo, pairs in repos.items()), default=(0, ""))
        if pairs * 100 > MAX_SHARE_PERCENT * total:
            return SplitRule(
                by="path",
                reason=f"{repo} holds {pairs} of {total} {language} pairs, "
                f"more than {MAX_SHARE_PERCENT}%",
            )
    return SplitRule(by="repository", reason=f"{repositories} repositories")


def split_of(
    repo: str, path: str, options: SplitOptions, by: GroupBy, *, code_sha256: str
) -> Split:
    """The split of every sample of this repository (or file). `ValueError` for rule `source`."""
    if by == "source":
        raise ValueError("rule 'source' keeps the split of the source: it cannot be computed")
    group = group_hash(repo, path if by == "path" else None, code_sha256=code_sha256)
    group_share = group * _PARTS >> 64
    validation = _millionths(options.validation)
    if group_share < validation:
        return "validation"
    return "test" if group_share < validation + _millionths(options.test) else "train"


def group_hash(repo: str, path: str | None, *, code_sha256: str) -> int:
    """First 64 bits of SHA-256 over the length-prefixed group key: the repository, or repository
    and path, or the digest of the code where these are ""."""
    digest = hashlib.sha256(b"xtrove split")
    parts = (repo,) if path is None else (repo, path)
    for part in parts if any(parts) else ("", "", code_sha256):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return int.from_bytes(digest.digest()[:8], "big")


def _millionths(fraction: float) -> int:
    return round(fraction * _PARTS)


def require_splits(
    options: SplitOptions, by: GroupBy, samples: Mapping[str, int], groups: int
) -> None:
    """`XtroveError` where a requested split holds nothing over the whole dataset.

    `samples`: kept pairs a split; `groups`: repositories or files they come from.
    """
    total = sum(samples.values())
    unit = {"repository": "repositories", "path": "files", "source": "parts"}[by]
    shares = {"validation": options.validation, "test": options.test}
    for split, fraction in {"train": 1 - sum(shares.values()), **shares}.items():
        if fraction and not samples.get(split, 0):
            raise XtroveError(
                f"split {split!r} ({fraction:g} of the data) came out empty: {total} pairs in "
                f"{groups} {unit}, split by {by}. Raise its share under shards.splits, set it to "
                "0, split by path, or add sources"
            )
