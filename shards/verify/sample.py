"""The checks of one sample by itself: everything that can be recomputed from its own fields.

Id, code digest, token count and split are computed again; the folded query may not stand in the
folded code. Cost: about 0.1 ms a sample, most of it the lexer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dedupe import UnknownLanguageError, query_group, tokens
from extract import pair_id
from extract.text import fold
from shards.format import (
    VERSION,
    GroupBy,
    Manifest,
    Sample,
    ShardFacts,
    SplitOptions,
    number,
    repo_sha256,
    split_of,
    text,
)
from shards.storage import Findings


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRules:
    """What the manifest says that samples must obey."""

    splits: SplitOptions
    by: GroupBy
    version: int = VERSION
    """Of the format: which fields a sample has."""
    forgotten: frozenset[str] = frozenset()
    """Digests of repositories that may not be in it."""

    @classmethod
    def of(cls, manifest: Manifest) -> SampleRules:
        """The rules of a dataset."""
        facts = manifest.split
        options = SplitOptions(validation=facts.validation, test=facts.test, by=facts.requested)
        forgotten = frozenset(tombstone.repo_sha256 for tombstone in manifest.tombstones)
        return cls(splits=options, by=facts.by, version=manifest.version, forgotten=forgotten)


def check_sample(
    subject: str, sample: Sample, facts: ShardFacts, rules: SampleRules, findings: Findings
) -> None:
    """Reports every field of the sample that is not what it should be."""
    code, language = text(sample, "code"), text(sample, "language")
    _expect(subject, "id", sample["id"], _id(sample), findings)
    digest = hashlib.sha256(code.encode("utf-8")).hexdigest()
    _expect(subject, "code_sha256", sample["code_sha256"], digest, findings)
    group = query_group(text(sample, "query"))
    _expect(subject, "query_group", sample["query_group"], group, findings)
    _expect(subject, "language", language, facts.language, findings)
    try:
        _expect(subject, "tokens", sample["tokens"], len(tokens(language, code)), findings)
    except UnknownLanguageError as error:
        findings.add("sample", subject, str(error))
    if fold(text(sample, "query")) in fold(code):
        findings.add("leak", subject, "its code contains its query")
    if rules.forgotten and repo_sha256(text(sample, "repo")) in rules.forgotten:
        findings.add("forgotten", subject, f"{sample['repo']} was forgotten: forget it again")
    if rules.by != "source":
        repo, path = text(sample, "repo"), text(sample, "path")
        split = split_of(repo, path, rules.splits, rules.by, code_sha256=digest)
        if split != facts.split:
            findings.add(
                "split",
                subject,
                f"belongs to {split} (split by {rules.by}): its repository or file would stand "
                "in two splits",
            )


def _id(sample: Sample) -> str:
    return pair_id(
        source=text(sample, "source"),
        repo=text(sample, "repo"),
        path=text(sample, "path"),
        start_byte=number(sample, "start_byte"),
        code=text(sample, "code"),
    )


def _expect(subject: str, name: str, actual: object, expected: object, findings: Findings) -> None:
    if actual != expected:
        findings.add("sample", subject, f"{name} is {actual!r}, recomputed {expected!r}")
