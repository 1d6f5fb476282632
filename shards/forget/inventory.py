"""What a dataset holds of some repositories: the shards, the evidence, the witnesses.

Repositories are read from the Parquet twins (one column), compared by case-folded name, and
held against ATTRIBUTION.jsonl: where the two disagree nothing is forgotten before `verify` has
been asked. Cost: the `id` and `repo` columns of all twins and the `repo` and `witness_id`
columns of the evidence (0.8 million rows a second with 3,000 names); memory: the ids of the
samples that were asked for.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from shards.format import arrow_schema, layout
from shards.read import Dataset
from shards.storage import BoundedParquet, Progress, open_parquet
from shards.write import Attribution, open_removals, removal_files
from xtrove.core import DamagedData

_COMPARED: Final = 200_000
_NAMED: Final = 5


@dataclass(kw_only=True, slots=True)
class Found:
    """What one repository has in a dataset."""

    ids: list[str] = field(default_factory=list)
    """Of its samples."""
    shards: Counter[str] = field(default_factory=Counter)
    """Samples by the path of the tar."""
    evidence: int = 0
    """Rows of `removals/` about its pairs."""
    witnesses: int = 0
    """Rows of `removals/` about other pairs whose witness it holds."""

    @property
    def is_empty(self) -> bool:
        """Whether the dataset says nothing of it."""
        return not (self.ids or self.evidence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What some repositories have in a dataset, by case-folded name."""

    found: dict[str, Found]
    shards: Counter[str]
    """Samples to be forgotten by the path of the tar."""
    evidence: tuple[str, ...]
    """Names of the evidence files that change, sorted."""
    owners: dict[str, str]
    """Id of a sample that is forgotten -> case-folded name."""


def survey(dataset: Dataset, names: Iterable[str], progress: Progress) -> Survey:
    """Looks for these repositories. `DamagedData` where the dataset contradicts itself."""
    counts = {name.casefold(): Found() for name in names}
    shards, owners = Counter[str](), dict[str, str]()
    total, done = sum(facts.bytes for facts in dataset.manifest.shards), 0
    for facts in dataset.manifest.shards:
        progress(facts.path, done, total)
        for sample_id, repo in _twin_rows(dataset, facts.path, counts):
            owners[sample_id] = repo
            counts[repo].ids.append(sample_id)
            counts[repo].shards[facts.path] += 1
            shards[facts.path] += 1
        done += facts.bytes
    _hold_against_attribution(dataset.path, counts)
    progress("removals", total, total)
    evidence = [
        path.name for path in removal_files(dataset.path) if _count_evidence(path, counts, owners)
    ]
    return Survey(found=counts, shards=shards, evidence=tuple(evidence), owners=owners)


def _twin_rows(dataset: Dataset, tar: str, counts: dict[str, Found]) -> Iterator[tuple[str, str]]:
    path = layout.safe_file(dataset.path, layout.parquet_path(tar))
    schema = arrow_schema(dataset.manifest.version)
    for batch in _readable(path, open_parquet(path, schema), ["id", "repo"]):
        for row, repo in _rows_of(batch.column("repo"), counts):
            yield batch.column("id")[row].as_py(), repo


def _evidence(path: Path, columns: list[str]) -> Iterator[Any]:
    return _readable(path, open_removals(path), columns)


def _readable(
    path: Path, opened: AbstractContextManager[BoundedParquet], columns: list[str]
) -> Iterator[Any]:
    try:
        with opened as file:
            yield from file.batches(columns)
    except DamagedData as error:
        raise DamagedData(f"{path.name} cannot be read: {error}") from error


def _rows_of(column: Any, counts: dict[str, Found]) -> Iterator[tuple[int, str]]:
    """Rows whose repository is wanted, with its case-folded name; looks at each name once."""
    names = [str(name).casefold() for name in pc.unique(column).to_pylist()]
    if not any(name in counts for name in names):
        return
    for row, name in enumerate(column.to_pylist()):
        if name.casefold() in counts:
            yield row, name.casefold()


def _count_evidence(path: Path, counts: dict[str, Found], owners: dict[str, str]) -> bool:
    """Counts what changes in one file of evidence; returns whether anything does."""
    ids = pa.array(sorted(owners), type=pa.string())
    changes = False
    for batch in _evidence(path, ["repo", "witness_id"]):
        gone = dict(_rows_of(batch.column("repo"), counts))
        for repo in gone.values():
            counts[repo].evidence += 1
        column = batch.column("witness_id")
        hits = pc.indices_nonzero(pc.is_in(column, value_set=ids)).to_pylist()
        marked = [row for row in hits if row not in gone]
        for row in marked:
            counts[owners[column[row].as_py()]].witnesses += 1
        changes = changes or bool(gone or marked)
    return changes


def _hold_against_attribution(base: Path, counts: dict[str, Found]) -> None:
    attributed: Counter[str] = Counter()
    for record in attribution(base):
        if record.repo.casefold() in counts:
            attributed[record.repo.casefold()] += record.samples
    for name, repository in sorted(counts.items()):
        if attributed[name] != len(repository.ids):
            raise DamagedData(
                f"{layout.ATTRIBUTION} counts {attributed[name]} samples of {name!r}, the shards "
                f"hold {len(repository.ids)}"
            )


def attribution(base: Path) -> Iterator[Attribution]:
    """The records of ATTRIBUTION.jsonl. `DamagedData` on a line that is none."""
    with layout.safe_file(base, layout.ATTRIBUTION).open(encoding="utf-8", newline="\n") as lines:
        try:
            yield from map(Attribution.parse, lines)
        except ValueError as error:
            raise DamagedData(str(error)) from error


def nearest(dataset: Dataset, name: str) -> list[str]:
    """The names in the dataset that this one may have meant, at most five, the best first.

    Same owner or same repository first; else the most similar of the first 200,000 names.
    """
    known: dict[str, str] = {}
    for repo in repo_names(dataset):
        known.setdefault(repo.casefold(), repo)
    folded = name.casefold()
    owner, _, repo = folded.rpartition("/")
    close = difflib.get_close_matches(folded, sorted(known)[:_COMPARED], n=_NAMED, cutoff=0.6)
    kin = [other for other in sorted(known) if _is_kin(other, owner, repo)]
    return [known[other] for other in dict.fromkeys([*close, *kin])][:_NAMED]


def _is_kin(other: str, owner: str, repo: str) -> bool:
    its_owner, _, its_repo = other.rpartition("/")
    return its_repo == repo or bool(owner and its_owner == owner)


def repo_names(dataset: Dataset) -> Iterator[str]:
    """Every repository that a dataset or its evidence names, some more than once."""
    for record in attribution(dataset.path):
        yield record.repo
    for path in removal_files(dataset.path):
        for batch in _evidence(path, ["repo"]):
            yield from pc.unique(batch.column("repo")).to_pylist()


def removed_paths(tars: Sequence[str]) -> list[str]:
    """Every published path of these shards."""
    return [
        path for tar in tars for path in (tar, layout.index_path(tar), layout.parquet_path(tar))
    ]
