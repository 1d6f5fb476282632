"""Builds small, real datasets for the tests: real pairs, real duplicates, the real writer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dedupe.fingerprint import exact_key, query_group
from dedupe.lexer import tokens
from dedupe.shingling import jaccard, shingles
from extract.pair import Pair, pair_id
from shards.format.funnel import Funnel
from shards.format.manifest import Fact, Manifest, SourceFacts
from shards.format.sample import VERSION, decode, encode, encode_sample
from shards.format.shard_sizes import plan_shards, tar_sizes
from shards.format.split import SplitOptions, SplitRule, split_of
from shards.write.removals import Removal, RemovalsFile, write_removals
from shards.write.seal import BuildOutputs, write_published
from shards.write.shard import ShardFiles, write_shard

SPLITS = SplitOptions(validation=0.2, test=0.2, by="repository")
RULE = SplitRule(by="repository", reason="splits.by: repository")
MAX_BYTES = 16_384
NGRAM = 5
DEDUPE: dict[str, Fact] = {
    "threshold": 0.7,
    "ngram": NGRAM,
    "bands": 36,
    "rows": 7,
    "rule": 2,
    "other_name_threshold": 0.95,
    "query_overlap": 0.5,
    "min_tokens": 30,
}
"""What the manifest states of the dedupe."""


def license_class(licenses: list[str]) -> str:
    """One class for all."""
    return "permissive"


def make_pair(
    number: int, *, language: str = "python", query: str | None = None, code: str | None = None
) -> Pair:
    """A pair of its own repository group: numbers 10 apart share a repository."""
    body = "".join(f"    total = total * {n} + value[{number}]\n" for n in range(8))
    if code is None:
        code = f"def work_{number}(value):\n    total = {number}\n{body}    return total\n"
    repo, path = f"owner/repo{number % 10}", f"src/file{number}.py"
    return Pair(
        id=pair_id(source="local", repo=repo, path=path, start_byte=7, code=code),
        query=query if query is not None else f'Computes the {number}. sum – naïve, "fast" 🙂',
        code=code,
        language=language,
        name=f"work_{number}",
        scope="Worker.inner" if number % 2 else "",
        repo=repo,
        path=path,
        revision="" if number % 3 else "c0ffee",
        start_line=1,
        end_line=11,
        start_byte=7,
        end_byte=7 + len(code),
        url="",
        source="local",
        source_revision="r1",
        licenses=("MIT",) if number % 2 else ("Apache-2.0", "MIT"),
        license_evidence="declared by config",
        query_source="documentation",
        quality=number % 1001,
        stars=-1,
        code_sha256=hashlib.sha256(code.encode()).hexdigest(),
        extractor="python-0.25.0-abc",
    )


def published(dataset: Path) -> dict[str, bytes]:
    """What is published of a dataset: its files by their paths in it."""
    return {
        file.relative_to(dataset).as_posix(): file.read_bytes()
        for file in sorted(dataset.rglob("*"))
        if file.is_file() and ".xtrove" not in file.relative_to(dataset).parts
    }


def payload(pair: Pair) -> bytes:
    """The member's bytes with the true token count and query group."""
    count = len(tokens(pair.language, pair.code))
    return encode(pair, tokens=count, query_group=query_group(pair.query))


def near_copy(pair: Pair, number: int) -> Pair:
    """The same function with two statements changed, elsewhere: Jaccard 0.78."""
    code = pair.code.replace("return total", "return total + 1").replace(
        "total * 4 +", "total / 4 -"
    )
    return replace(make_pair(number, code=code), language=pair.language)


def near_removal(gone: Pair, kept: Pair) -> Removal:
    """True evidence for a near-duplicate."""
    mine = shingles(gone.language, gone.code, NGRAM)
    shared, union = jaccard(mine, shingles(kept.language, kept.code, NGRAM))
    return replace(
        filtered(gone, "near_duplicate"),
        witness_id=kept.id,
        score=shared / union,
        shingles=tuple(mine.tolist()),
        query=gone.query,
        tokens=len(tokens(gone.language, gone.code)),
    )


def exact_removal(gone: Pair, kept: Pair) -> Removal:
    """True evidence for an exact duplicate."""
    key = exact_key(gone.language, tokens(gone.language, gone.code)).hex()
    return replace(filtered(gone, "exact_duplicate"), witness_id=kept.id, score=1.0, exact_key=key)


def filtered(gone: Pair, reason: str) -> Removal:
    """Evidence without a witness."""
    return Removal(
        id=gone.id,
        language=gone.language,
        source=gone.source,
        repo=gone.repo,
        path=gone.path,
        start_line=gone.start_line,
        end_line=gone.end_line,
        name=gone.name,
        reason=reason,
        detail="",
        code_sha256=gone.code_sha256,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A sealed dataset and what went into it."""

    path: Path
    manifest: Manifest
    kept: list[Pair]
    removed: list[Removal]

    @property
    def ids(self) -> list[str]:
        """Ids of all samples, sorted."""
        return sorted(pair.id for pair in self.kept)


def default_pairs() -> list[Pair]:
    """60 Python and 40 Go-labelled pairs."""
    pairs = [make_pair(number) for number in range(60)]
    return pairs + [make_pair(number, language="go") for number in range(100, 140)]


def default_removals(pairs: list[Pair]) -> list[Removal]:
    """One removal of each kind."""
    return [
        near_removal(near_copy(pairs[3], 203), pairs[3]),
        exact_removal(make_pair(204, code=pairs[4].code + "# a comment\n"), pairs[4]),
        replace(
            filtered(make_pair(205, query=pairs[5].query), "query_cap"), witness_id=pairs[5].id
        ),
        filtered(make_pair(206), "short_query"),
    ]


def write_shards(
    base: Path,
    work: Path,
    pairs: Iterable[Pair],
    *,
    options: SplitOptions = SPLITS,
    version: int = VERSION,
) -> list[ShardFiles]:
    """Splits, cuts and writes pairs as a build does, or as one did in an earlier format."""
    groups: dict[tuple[str, str], list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.id):
        split = split_of(pair.repo, pair.path, options, RULE.by, code_sha256=pair.code_sha256)
        groups.setdefault((pair.language, split), []).append(pair)
    files = []
    for (language, name), members in sorted(groups.items()):
        payloads = [encode_sample(decode(payload(pair)), version) for pair in members]
        sizes = tar_sizes(np.array([len(data) for data in payloads]))
        ranges = plan_shards([pair.id for pair in members], sizes, MAX_BYTES)
        for number, (start, stop) in enumerate(ranges):
            rows = [
                (pair.id, data)
                for pair, data in zip(members[start:stop], payloads[start:stop], strict=True)
            ]
            files.append(
                write_shard(
                    base,
                    language,
                    name,
                    number,
                    rows,
                    license_class,
                    tmp=base / ".xtrove/tmp",
                    work=work,
                    version=version,
                )
            )
    return files


def funnel_of(pairs: list[Pair], removed: list[Removal]) -> Funnel:
    """A funnel that adds up: one function a pair, one file a function, one file refused."""
    funnel = Funnel()
    for pair in pairs:
        for level in ("files", "functions", "pairs"):
            funnel.add(pair.source, pair.language, level)
    for row in removed:
        funnel.add(row.source, row.language, "files")
        funnel.add(row.source, row.language, "functions")
        funnel.add(row.source, row.language, "pairs", reason=row.reason)
    funnel.add("local", "python", "files", reason="generated")
    return funnel


def parts_of(
    shards: list[ShardFiles],
    removals: list[RemovalsFile],
    funnel: Funnel,
    kind: str = "directory",
    dedupe: Mapping[str, Fact] = DEDUPE,
    terms: str | None = None,
) -> BuildOutputs:
    """The parts of a seal."""
    return BuildOutputs(
        name="tiny",
        config_digest="0" * 64,
        sources=(
            SourceFacts(
                name="local", kind=kind, revision="r1", provenance=[("pack", "1.0")], terms=terms
            ),
        ),
        versions={"xtrove": "0.1.0"},
        dedupe=dict(dedupe),
        per_repo_cap=1,
        total_cap=3,
        splits=SPLITS,
        rule=RULE,
        max_bytes=MAX_BYTES,
        shards=tuple(shards),
        removals=tuple(removals),
        funnel=funnel,
    )


def build(
    root: Path,
    pairs: list[Pair] | None = None,
    removed: list[Removal] | None = None,
    kind: str = "directory",
    dedupe: Mapping[str, Fact] = DEDUPE,
    terms: str | None = None,
) -> Built:
    """Writes and seals a dataset under `root/dataset`."""
    kept = default_pairs() if pairs is None else pairs
    gone = default_removals(kept) if removed is None else removed
    base, work = root / "dataset", root / "work"
    shards = write_shards(base, work, kept)
    gone = sorted(gone, key=lambda row: row.id)
    tmp = base / ".xtrove/tmp"
    evidence = [write_removals(base, "part-00000", gone, tmp=tmp)]
    parts = parts_of(shards, evidence, funnel_of(kept, gone), kind, dedupe, terms)
    manifest = write_published(base, parts, work_of=lambda shard: work, tmp=tmp)
    return Built(path=base, manifest=manifest, kept=kept, removed=gone)
