"""Who wrote what: ATTRIBUTION.jsonl, one line a repository and source.

Every shard counts its own samples (`Tally`) and writes a sorted sidecar; the sidecars are
merged by a k-way merge that holds one line a file, 128 files at a time, so that millions of
repositories fit. Merging is associative and commutative: licences and revisions are sets,
samples are sums.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from shards.format import ATTRIBUTION, Sample, licenses_of, number, text
from xtrove.core import FileFacts, staged

_FAN_IN = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribution:
    """What one source took from one repository."""

    repo: str
    source: str
    licenses: tuple[str, ...]
    revisions: tuple[str, ...]
    """Sorted; an unknown revision is left out."""
    samples: int

    def line(self) -> str:
        """Canonical JSON with a newline."""
        fields = {
            "repo": self.repo,
            "source": self.source,
            "licenses": self.licenses,
            "revisions": self.revisions,
            "samples": self.samples,
        }
        separators = (",", ":")
        return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=separators) + "\n"

    @classmethod
    def parse(cls, line: str) -> Attribution:
        """The record of a line; `ValueError` on anything else."""
        try:
            fields = json.loads(line)
            return cls(
                repo=str(fields["repo"]),
                source=str(fields["source"]),
                licenses=tuple(str(license_) for license_ in fields["licenses"]),
                revisions=tuple(str(license_) for license_ in fields["revisions"]),
                samples=int(fields["samples"]),
            )
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{line[:200]!r} is no line of {ATTRIBUTION}") from error


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts over the samples of one shard; memory grows with its repositories."""

    licenses: Counter[str] = field(default_factory=Counter)
    """Samples a licence: a sample with two licences counts for both."""
    tokens: int = 0
    repositories: dict[tuple[str, str], tuple[set[str], set[str], list[int]]] = field(
        default_factory=dict
    )

    def add(self, sample: Sample) -> None:
        """Counts one sample."""
        licenses = licenses_of(sample)
        self.licenses.update(set(licenses))
        self.tokens += number(sample, "tokens")
        key = (text(sample, "repo"), text(sample, "source"))
        repository = self.repositories.setdefault(key, (set(), set(), [0]))
        repository[0].update(licenses)
        if revision := text(sample, "revision"):
            repository[1].add(revision)
        repository[2][0] += 1

    def lines(self) -> Iterator[str]:
        """Sorted attribution lines."""
        for (repo, source), (licenses, revisions, samples) in sorted(
            self.repositories.items(), key=lambda item: item[0]
        ):
            yield Attribution(
                repo=repo,
                source=source,
                licenses=tuple(sorted(licenses)),
                revisions=tuple(sorted(revisions)),
                samples=samples[0],
            ).line()


def merge(parts: Iterable[Iterable[str]]) -> Iterator[str]:
    """Merges sorted attribution lines; equal repositories and sources become one line."""
    records = heapq.merge(*(map(Attribution.parse, part) for part in parts), key=_key)
    for _, group in groupby(records, key=_key):
        same = list(group)
        yield Attribution(
            repo=same[0].repo,
            source=same[0].source,
            licenses=tuple(sorted({license_ for part in same for license_ in part.licenses})),
            revisions=tuple(sorted({license_ for part in same for license_ in part.revisions})),
            samples=sum(part.samples for part in same),
        ).line()


def _key(record: Attribution) -> tuple[str, str]:
    return record.repo, record.source


def write_attribution(base: Path, sidecars: Sequence[Path], tmp: Path) -> FileFacts:
    """Merges the sidecars of all shards into ATTRIBUTION.jsonl."""
    left, number = list(sidecars), 0
    scratch: list[Path] = []
    try:
        while len(left) > _FAN_IN:
            facts = _merge_files(tmp, f"attribution-{number}.part", left[:_FAN_IN], tmp)
            number += 1
            scratch.append(tmp / facts.path)
            left = [*left[_FAN_IN:], tmp / facts.path]
        return _merge_files(base, ATTRIBUTION, left, tmp)
    finally:
        for path in scratch:
            path.unlink(missing_ok=True)


def _merge_files(base: Path, relative: str, parts: Sequence[Path], tmp: Path) -> FileFacts:
    with ExitStack() as stack:
        sink = stack.enter_context(staged(base, relative, tmp))
        streams = [stack.enter_context(part.open(encoding="utf-8", newline="\n")) for part in parts]
        for line in merge(streams):
            sink.write(line.encode("utf-8"))
        return sink.commit()
