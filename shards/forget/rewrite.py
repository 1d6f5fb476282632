"""Forgetting repositories: a sealed dataset without them, as one step.

Only shards that hold a sample of them are written anew (tar, index and Parquet twin, through
`shards.write.shard`), and only evidence that names them; a shard that would be empty goes. The
other shards keep their numbers and boundaries: what stood in the gaps is counted in the tombstones
of the manifest. Evidence about their pairs is removed, evidence whose witness they held is
marked `witness_forgotten` and loses the witness's id. Attribution, funnel, plots, card, manifest,
content digest and checksums follow; provenance, quarantine and split reason lose the name.

Crash safety: everything is staged under `.xtrove/forget` and put in place by
`shards.format.journal`. A kill at any moment leaves the old dataset, sealed and whole, or (after
the journal was written) one without a manifest that `finish` completes; no half-written file ever
has a final name.

Cost: all tars are read once for the content digest (33,000 samples, 50 MB a second), concerned
shards are decoded and written (9,000 samples, 14 MB a second; 30,000 samples of 1.5 kB on two
shared cores); disk: the new shards, and 48 bytes a sample of scratch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from shards.forget.inventory import Survey, attribution, removed_paths
from shards.format import (
    FORGOTTEN,
    WITNESS_FORGOTTEN,
    ForgottenMembers,
    Funnel,
    Manifest,
    Redo,
    ShardFacts,
    SplitFacts,
    Tombstone,
    content_sha256,
    decode,
    digest_row,
    layout,
    licenses_of,
    merge,
    number,
    parse_checksums,
    parse_manifest,
    repo_sha256,
    tar_size,
    text,
    write_checksums,
)
from shards.read import Dataset, Member, read_members
from shards.storage import Progress
from shards.write import (
    LicenseClass,
    Removal,
    ShardFiles,
    read_removals,
    render_card,
    write_plots,
    write_removals,
    write_shard,
)
from xtrove.core import DamagedData, FileFacts, staged, write_bytes

_SOMEBODY: Final = "a forgotten repository"


@dataclass(kw_only=True, slots=True)
class _Gone:
    """What the rewriting took out."""

    tokens: int = 0
    licenses: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Samples by source and language."""
    evidence: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Evidence rows by source, language and reason."""
    members: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Repository -> shard -> samples and tar bytes."""


@dataclass(kw_only=True, slots=True)
class Forgetting:
    """A dataset without some repositories, staged; `commit` makes it the dataset."""

    dataset: Dataset
    survey: Survey
    license_class: LicenseClass
    redo: Redo
    gone: _Gone = field(default_factory=_Gone)
    written: list[ShardFiles] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    digests: list[Path] = field(default_factory=list)
    files: list[FileFacts] = field(default_factory=list)

    def commit(self) -> None:
        """Puts the new dataset in place of the old one; killed in between, `finish` does it."""
        self.promise()
        self.redo.recover()

    def promise(self) -> None:
        """Writes the journal: from here on the change will happen."""
        digests = [repo_sha256(name) for name in self.survey.found]
        self.redo.commit(removed_paths(self.vanished), digests)

    def _write_shards(self, progress: Progress) -> None:
        shards = self.dataset.manifest.shards
        total, done = sum(facts.bytes for facts in shards), 0
        for facts in shards:
            progress(facts.path, done, total)
            if facts.path in self.survey.shards:
                self._rewrite(facts)
            else:
                self._digest(facts)
            done += facts.bytes

    def _digest(self, facts: ShardFacts) -> None:
        """The content digests of a shard that stays as it is."""
        name = f"kept/{facts.path.replace('/', '-')}.digests"
        with staged(self.redo.work, name, self.redo.tmp) as sink:
            rows = 0
            for member in self._members(facts):
                sink.write(digest_row(member.key, member.payload))
                rows += 1
            sink.commit()
        if rows != facts.samples:
            raise DamagedData(f"{facts.path} holds {rows} samples, should hold {facts.samples}")
        self.digests.append(self.redo.work / name)

    def _rewrite(self, facts: ShardFacts) -> None:
        kept = self._kept(facts)
        parsed = layout.parse_tar_path(facts.path)
        if self.survey.shards[facts.path] == facts.samples:
            for key, _ in kept:
                raise DamagedData(f"{facts.path}: {key} belongs to another repository in the tar")
            self.vanished.append(facts.path)
        elif parsed is not None:
            files = write_shard(
                self.redo.files, *parsed, kept, self.license_class,
                tmp=self.redo.tmp, work=self.redo.work, version=self.dataset.manifest.version,
            )  # fmt: skip
            self.written.append(files)
            self.files.extend(files.published())
            self.digests.append(self.redo.work / files.digests.path)
        counted = sum(members.get(facts.path, (0, 0))[0] for members in self.gone.members.values())
        if counted != self.survey.shards[facts.path]:
            raise DamagedData(
                f"{facts.path} holds {counted} samples to forget, its Parquet twin "
                f"{self.survey.shards[facts.path]}"
            )

    def _kept(self, facts: ShardFacts) -> Iterator[tuple[str, bytes]]:
        """The members that stay; counts those that go."""
        for member in self._members(facts):
            try:
                sample = decode(member.payload)
            except DamagedData as error:
                raise DamagedData(f"{facts.path} is damaged: {error.message}") from error
            repo = text(sample, "repo").casefold()
            if repo not in self.survey.found:
                yield member.key, member.payload
                continue
            members = self.gone.members.setdefault(repo, {})
            samples, size = members.get(facts.path, (0, 0))
            members[facts.path] = (samples + 1, size + tar_size(len(member.payload)))
            self.gone.tokens += number(sample, "tokens")
            self.gone.licenses.update(set(licenses_of(sample)))
            self.gone.pairs[text(sample, "source"), facts.language] += 1

    def _members(self, facts: ShardFacts) -> Iterator[Member]:
        with layout.safe_file(self.dataset.path, facts.path).open("rb") as stream:
            yield from read_members(stream)

    def _write_evidence(self) -> None:
        for name in self.survey.evidence:
            rows = self._evidence(self.dataset.path / "removals" / name)
            written = write_removals(
                self.redo.files, name.removesuffix(".parquet"), rows, tmp=self.redo.tmp
            )
            self.files.append(written.file)

    def _evidence(self, path: Path) -> Iterator[Removal]:
        for row in read_removals(path):
            if row.repo.casefold() in self.survey.found:
                self.gone.evidence[row.source, row.language, row.reason] += 1
            elif row.witness_id in self.survey.owners:
                yield replace(row, witness_id="", detail=WITNESS_FORGOTTEN)
            else:
                yield row

    def _write_texts(self) -> None:
        base, files, tmp = self.dataset.path, self.redo.files, self.redo.tmp
        with staged(files, layout.ATTRIBUTION, tmp) as sink:
            for record in attribution(base):
                if record.repo.casefold() not in self.survey.found:
                    sink.write(record.line().encode("utf-8"))
            self.files.append(sink.commit())
        funnel, manifest = self._funnel(), self._manifest()
        for name, data in (
            (layout.FUNNEL, funnel.to_json()),
            (layout.CARD, render_card(manifest, funnel)),
            (layout.MANIFEST, manifest.to_json()),
        ):
            self.files.append(write_bytes(files, name, data, tmp))
        self.files.extend(write_plots(files, manifest, funnel, tmp))
        known = parse_checksums(layout.read_text_file(base, layout.CHECKSUMS))
        for path in removed_paths(self.vanished):
            known.pop(path, None)
        known.update({facts.path: facts.sha256 for facts in self.files})
        write_checksums(files, known, known, tmp)

    def _funnel(self) -> Funnel:
        funnel = Funnel.from_json(layout.read_text_file(self.dataset.path, layout.FUNNEL))
        for (source, language), count in sorted(self.gone.pairs.items()):
            funnel.drop_kept(source, language, "pairs", reason=FORGOTTEN, count=count)
        for (source, language, reason), count in sorted(self.gone.evidence.items()):
            dropped = funnel.at(source, language, "pairs").dropped
            dropped[reason] -= count
            dropped[FORGOTTEN] += count
        if wrong := funnel.check():
            raise DamagedData("the funnel does not add up: " + "; ".join(wrong[:5]))
        return funnel

    def _manifest(self) -> Manifest:
        old = self.dataset.manifest
        licenses = Counter(old.licenses)
        licenses.subtract(self.gone.licenses)
        fresh = {shard.tar.path: shard for shard in self.written}
        shards = [
            _facts(fresh[facts.path]) if facts.path in fresh else facts
            for facts in old.shards
            if facts.path not in self.vanished
        ]
        names = list(self.survey.found)
        changed = old.model_copy(
            update={
                "content_sha256": content_sha256(self.digests),
                "samples": old.samples - self.survey.shards.total(),
                "tokens": old.tokens - self.gone.tokens,
                "licenses": {name: n for name, n in sorted(licenses.items()) if n},
                "removals": old.removals - self.gone.evidence.total(),
                "shards": shards,
                "tombstones": merge(old.tombstones, self._tombstones()),
                "split": _without_name(old.split, names),
                "quarantined": [
                    record for record in old.quarantined if not _names_any(record.name, names)
                ],
                "sources": [
                    source.model_copy(update={"provenance": [
                        fact for fact in source.provenance if not _names_any(fact[0], names)
                    ]})
                    for source in old.sources
                ],
            }
        )  # fmt: skip
        return parse_manifest(changed.to_json())

    def _tombstones(self) -> list[Tombstone]:
        return [
            Tombstone(
                repo_sha256=repo_sha256(name),
                samples=len(counted.ids),
                evidence=counted.evidence,
                witnesses=counted.witnesses,
                shards=[
                    ForgottenMembers(path=path, samples=samples, bytes=size)
                    for path, (samples, size) in sorted(self.gone.members.get(name, {}).items())
                ],
            )
            for name, counted in sorted(self.survey.found.items())
        ]


def _facts(shard: ShardFiles) -> ShardFacts:
    return ShardFacts.model_validate(
        {
            "path": shard.tar.path,
            "sha256": shard.tar.sha256,
            "bytes": shard.tar.bytes,
            "samples": shard.samples,
            "language": shard.language,
            "split": shard.split,
        }
    )


def _without_name(split: SplitFacts, names: list[str]) -> SplitFacts:
    """The reason of the split rule may name the largest repository."""
    first, space, rest = split.reason.partition(" ")
    if first.casefold() not in names:
        return split
    return split.model_copy(update={"reason": f"{_SOMEBODY}{space}{rest}"})


def _names_any(fact: str, names: list[str]) -> bool:
    """Whether a fact is about one of these: `repository owner/repo`, `owner/repo/src/file.py`."""
    folded = fact.casefold()
    bare = folded.partition(" ")[2] if folded.startswith(("repository ", "package ")) else folded
    return any(bare == name or bare.startswith(f"{name}/") for name in names)


def finish(base: Path) -> bool:
    """Finishes what a killed `commit` began, or clears what was staged before it.

    Returns whether a change was finished. `DamagedData` where it cannot be.
    """
    return Redo(base=base).recover()


def prepare(
    dataset: Dataset, survey: Survey, license_class: LicenseClass, progress: Progress
) -> Forgetting:
    """Stages the dataset without what the survey found; the dataset itself is not touched.

    `DamagedData` where the dataset contradicts itself: run `verify`. `OSError` from the disk.
    """
    redo = Redo(base=dataset.path)
    redo.begin()
    change = Forgetting(dataset=dataset, survey=survey, license_class=license_class, redo=redo)
    change._write_shards(progress)
    change._write_evidence()
    change._write_texts()
    return change
