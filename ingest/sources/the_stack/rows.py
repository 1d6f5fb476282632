"""The rows of The Stack v1, from record batches to `SourceFile` and `Skip`.

Method: the licences of the chosen repository (the `max_stars` columns: one path is never given
the licences of another) are judged first, in a pass of their own; the contents of a row group
in which no row passes are not decoded, and in others only those that pass become bytes.
Cost: about 2 microseconds a refused row. Limits: files up to 1 MB; links are made only for a
full commit id and a well-formed `owner/name`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files import publishable
from ingest.formats import Column, binary
from ingest.languages import normalise_language
from ingest.licenses import LicensePolicy
from ingest.records import Skip, SourceFile
from ingest.sources.base import CommonOptions, whole_number

CONTENT = "content"
LICENSES = "max_stars_repo_licenses"
COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        CONTENT: Column(kind="text"),
        "lang": Column(kind="text", required=False),
        "size": Column(kind="number", required=False),
        "max_stars_repo_name": Column(kind="text"),
        "max_stars_repo_path": Column(kind="text"),
        "max_stars_repo_head_hexsha": Column(kind="text"),
        LICENSES: Column(kind="list of text"),
        "max_stars_count": Column(kind="number", required=False),
    }
)
_TEXTS = (
    ("repo", "max_stars_repo_name"),
    ("path", "max_stars_repo_path"),
    ("revision", "max_stars_repo_head_hexsha"),
    ("lang", "lang"),
)
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StackRows:
    """Reads batches of one language of one source."""

    source: str
    revision: str
    language: str
    options: CommonOptions
    policy: LicensePolicy

    def any_passes(self, batches: Iterator[Any]) -> bool:
        """Whether the licences of any row let it in; every batch is decoded."""
        verdicts = [
            any(self.policy.refusal(self._licences(row)[0]) is None for row in _lists(batch))
            for batch in batches
        ]
        return any(verdicts)

    def read(self, batch: Any, first: int) -> Iterator[SourceFile | Skip]:
        """One record a row, counted from `first`; without contents, no row may pass."""
        licences = _lists(batch)
        texts = {field: _binaries(batch, column) for field, column in _TEXTS}
        sizes = _numbers(batch, "size")
        stars = _numbers(batch, "max_stars_count")
        contents = binary(batch.column(CONTENT)) if CONTENT in batch.schema.names else None
        for position, stated in enumerate(licences):
            row = first + position
            ids, evidence = self._licences(stated)
            refusal = self._refusal(ids, row)
            if refusal is not None:
                yield refusal
                continue
            fields = {field: _decoded(column[position]) for field, column in texts.items()}
            # A large value is copied out of its column only if the row passes so far.
            reason = self._reason(fields, sizes[position])
            content = None if reason or contents is None else contents[position].as_py()
            reason = reason or _content_reason(content)
            if reason is not None:
                yield self._skip(reason, row, str(fields["path"]))
            else:
                yield self._file(fields, content, ids, evidence, stars[position], row)

    def read_object(self, values: Mapping[str, object], row: int) -> SourceFile | Skip:
        """The record of a row as plain values, of which nothing is known."""
        ids, evidence = self._licences(_stated(values.get(LICENSES)))
        refusal = self._refusal(ids, row)
        if refusal is not None:
            return refusal
        fields = {field: _text(values.get(column)) for field, column in _TEXTS}
        text = values.get(CONTENT)
        if text is not None and not isinstance(text, str):
            return self._skip("wrong_type", row, f"{CONTENT}: {type(text).__name__}, not text")
        reason = self._reason(fields, values.get("size"))
        content: bytes | None = None
        if reason is None and text is not None:
            try:
                content = text.encode("utf-8")
            except UnicodeEncodeError:
                reason = "not_utf8"
        reason = reason or _content_reason(content)
        if reason is not None:
            return self._skip(reason, row, str(fields["path"]))
        return self._file(fields, content, ids, evidence, values.get("max_stars_count"), row)

    def _refusal(self, ids: tuple[str, ...], row: int) -> Skip | None:
        reason = self.policy.refusal(ids)
        return None if reason is None else self._skip(reason, row, ", ".join(ids))

    def _licences(self, stated: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        return self.options.settled(stated, LICENSES)

    def _skip(self, reason: str, row: int, detail: str) -> Skip:
        return Skip(language=self.language, reason=reason, row=row, detail=detail[:200])

    def _reason(self, fields: Mapping[str, str | None], size: object) -> str | None:
        for field in ("repo", "path"):
            value = fields[field]
            if not value:
                return f"null_{field}"
            if not publishable(value):
                return "invalid_path"
        known = normalise_language(fields["lang"] or "")
        if known and known != self.language:
            return "language_mismatch"
        stated = whole_number(size)
        return "too_large" if stated is not None and stated > MAX_FILE_BYTES else None

    def _file(
        self,
        fields: Mapping[str, str | None],
        content: bytes | None,
        ids: tuple[str, ...],
        evidence: str,
        stars: object,
        row: int,
    ) -> SourceFile:
        counted = whole_number(stars)
        repo, path = fields["repo"] or "", fields["path"] or ""
        commit = fields["revision"] or ""
        proven = _REPO.fullmatch(repo) and _COMMIT.fullmatch(commit)
        return SourceFile(
            source=self.source,
            source_revision=self.revision,
            repo=repo,
            path=path,
            revision=commit if commit.isprintable() else "",
            url=f"https://github.com/{repo}/blob/{commit}/{quote(path)}" if proven else "",
            language=self.language,
            content=content or b"",
            licenses=self.policy.recorded(ids),
            license_evidence=evidence,
            stars=-1 if counted is None else counted,
            row=row,
        )


def _content_reason(content: bytes | None) -> str | None:
    if content is None:
        return "null_content"
    return "too_large" if len(content) > MAX_FILE_BYTES else None


def _stated(value: object) -> tuple[str, ...]:
    """Licences as plain values; an item that is no text makes the row unknown."""
    if not isinstance(value, list):
        return ()
    return tuple(item if isinstance(item, str) else "" for item in value)


def _text(value: object) -> str | None:
    """A text that can be written down, else None, which the row's checks refuse."""
    if not isinstance(value, str):
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return value


def _lists(batch: Any) -> list[tuple[str, ...]]:
    """The licences of each row; null rows, null items and items that are not UTF-8 are left."""
    column = batch.column(LICENSES)
    rows: list[tuple[str, ...]] = []
    flat = column.flatten()
    values = [None] * len(flat) if str(flat.type) == "null" else binary(flat).to_pylist()
    at = 0
    for length in column.value_lengths().to_pylist():
        count = length or 0
        words = [_decoded_bytes(value) for value in values[at : at + count]]
        # An item that says nothing makes the row unknown: it must not hide behind the others.
        rows.append(tuple(word or "" for word in words))
        at += count
    return rows


def _binaries(batch: Any, column: str) -> Any:
    if column not in batch.schema.names:
        return [None] * batch.num_rows
    return binary(batch.column(column))


def _numbers(batch: Any, column: str) -> Sequence[object]:
    if column not in batch.schema.names:
        return [None] * batch.num_rows
    return list(batch.column(column).to_pylist())


def _decoded(scalar: Any) -> str | None:
    return _decoded_bytes(None if scalar is None else scalar.as_py())


def _decoded_bytes(value: bytes | None) -> str | None:
    """The text; null and what is not UTF-8 are None, which the row's checks refuse."""
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None
