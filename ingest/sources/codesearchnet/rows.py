"""The rows of CodeSearchNet, under either set of column names.

Method: `RAW` are the names of the original JSON lines, `HUB` those of the Hugging Face copy,
which has no `sha`: the commit is then taken from the url. The url is the identity of a function
in the challenge and is kept as it is; its `#Lx-Ly` gives the lines. The `code` of Python rows
still holds the documentation: `extract.extract_pair` cuts it out.
Cost: 15 microseconds a row out of compressed lines, all included.
Limits: a link is kept only if it is https; bytes are unknown.
Source: README of github.com/github/CodeSearchNet; the former loading script of the Hub copy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ingest.files import publishable
from ingest.formats import Column
from ingest.languages import normalise_language
from ingest.licenses import Licences, LicensePolicy
from ingest.records import Skip, SourcePair
from ingest.sources.base import CommonOptions, HoldoutRow, RefusedRow, checked
from ingest.sources.codesearchnet.license_index import LicenseIndex

RAW: Mapping[str, str] = MappingProxyType(
    {
        "repo": "repo",
        "path": "path",
        "name": "func_name",
        "code": "code",
        "query": "docstring",
        "language": "language",
        "partition": "partition",
        "url": "url",
        "sha": "sha",
    }
)
HUB: Mapping[str, str] = MappingProxyType(
    {
        "repo": "repository_name",
        "path": "func_path_in_repository",
        "name": "func_name",
        "code": "func_code_string",
        "query": "func_documentation_string",
        "language": "language",
        "partition": "split_name",
        "url": "func_code_url",
    }
)
COLUMNS: Mapping[str, Column] = MappingProxyType(
    {name: Column(kind="text", required=False) for name in sorted({*RAW.values(), *HUB.values()})}
)
"""All optional to a reader: `required` is what planning asks of a file."""
SPLITS: Mapping[str, str] = MappingProxyType(
    {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
)
"""Their words for the splits, and ours: the Hub's split `validation` has rows of `valid`."""

_URL = re.compile(
    r"https://github\.com/[^/\s]+/[^/\s]+/blob/(?P<sha>[0-9a-f]{40})/.+?"
    r"(?:#L(?P<start>\d{1,9})(?:-L(?P<end>\d{1,9}))?)?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def names_of(columns: Collection[str]) -> Mapping[str, str]:
    """The set of names that these columns (or keys of a row) are under."""
    return HUB if HUB["code"] in columns else RAW


def required(names: Mapping[str, str]) -> Mapping[str, Column]:
    """The columns that a Parquet file must have under one set of names."""
    must = ("repo", "path", "code", "query")
    return {names[field]: Column(kind="text", required=field in must) for field in names}


@dataclass(frozen=True, kw_only=True, slots=True)
class CsnRows:
    """Reads the rows of one language and split."""

    source: str
    revision: str
    language: str
    split: str
    """train, validation or test."""
    partition: str
    """What goes into the record: the split with `keep`, else ""."""
    options: CommonOptions
    policy: LicensePolicy
    license_index: LicenseIndex | None

    def read(self, values: Mapping[str, object], row: int) -> SourcePair | Skip:
        """The pair in a row, or why there is none."""
        try:
            return self._pair(_Fields(values), row)
        except RefusedRow as refused:
            return Skip(
                language=self.language, reason=refused.reason, row=row, detail=refused.detail
            )

    def holdout(self, values: Mapping[str, object]) -> HoldoutRow:
        """The row as one to keep out. Raises `RefusedRow` where it cannot be understood."""
        fields = _Fields(values)
        self._check(fields)
        url = fields.optional("url")
        location = f"{fields.optional('repo')}/{fields.optional('path')}:{fields.optional('name')}"
        return HoldoutRow(
            set=f"codesearchnet/{self.split}",
            item=(url or location)[:500],
            language=self.language,
            query=fields.optional("query"),
            code=fields.required("code"),
        )

    def _check(self, fields: _Fields) -> None:
        language = fields.optional("language")
        if language and normalise_language(language) != self.language:
            raise RefusedRow("language_mismatch", language)
        partition = fields.optional("partition")
        if partition and SPLITS.get(partition) != self.split:
            raise RefusedRow("partition_mismatch", partition)

    def _pair(self, fields: _Fields, row: int) -> SourcePair:
        self._check(fields)
        repo, path = fields.required("repo"), fields.required("path")
        for value in (repo, path):
            if not publishable(value):
                raise RefusedRow("invalid_path", value)
        licenses, evidence = self.options.settled(*self._licences(repo, path))
        refusal = self.policy.refusal(licenses)
        if refusal is not None:
            raise RefusedRow(refusal, f"{repo}: {', '.join(licenses) or evidence}")
        url = fields.optional("url")
        sha, start, end = _place(url)
        stated = fields.optional("sha")
        return SourcePair(
            source=self.source,
            source_revision=self.revision,
            repo=repo,
            path=path,
            revision=stated if _COMMIT.fullmatch(stated) else sha,
            url=url if url.startswith("https://") and url.isprintable() else "",
            language=self.language,
            query=fields.required("query"),
            code=fields.required("code"),
            name=fields.optional("name").rpartition(".")[2],
            start_line=start,
            end_line=end,
            start_byte=-1,
            end_byte=-1,
            licenses=self.policy.recorded(licenses),
            license_evidence=evidence,
            stars=-1,
            row=row,
            partition=self.partition,
        )

    def _licences(self, repo: str, path: str) -> Licences:
        if self.license_index is None:
            return (), "CodeSearchNet without its licence files"
        return self.license_index.of(repo, path)


class _Fields:
    """The fields of a row under our names."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._names = names_of(values)

    def required(self, field: str) -> str:
        """Text that must be there; "" counts as null."""
        column = self._names.get(field, field)
        if column not in self._values:
            raise RefusedRow("missing_column", f"{field}: no column {column!r}")
        text = self.optional(field)
        if not text:
            raise RefusedRow(f"null_{field}", column)
        return text

    def optional(self, field: str) -> str:
        """Text, or "" where the row has none."""
        column = self._names.get(field)
        value = self._values.get(column) if column is not None else None
        if value is None:
            return ""
        if not isinstance(value, str):
            raise RefusedRow("wrong_type", f"{column}: {type(value).__name__}, not text")
        return checked(value, column or field)


def _place(url: str) -> tuple[str, int, int]:
    """Commit ("" if unknown), first and last line (-1 if unknown) that a url names."""
    match = _URL.fullmatch(url)
    if match is None:
        return "", -1, -1
    if match["start"] is None:
        return match["sha"], -1, -1
    start, end = int(match["start"]), int(match["end"] or match["start"])
    return (match["sha"], start, end) if 1 <= start <= end else (match["sha"], -1, -1)
