"""Source `common-pile-stack`: the open copies of The Stack v2 with contents, as compressed lines.

Method: rows have `text` and `metadata`, the columns of The Stack v2; licences are judged by the
same rule (`ingest.sources.the_stack_v2.rows`). A file in a folder that is called after a language
belongs to that language's stream, any other to a common one in which each row says its own.
Cost: the driver digests local files; a worker unpacks each once, 46 MB/s of JSON lines.
Limits: a gzip file cannot be cut: one file is one piece, small ones share a slice, and a quota
is met at file granularity in the common stream; files of code up to 1 MB. Contents are text, so
that bytes that were not UTF-8 in the repository are no longer what they were.
Source: https://huggingface.co/common-pile (files of the `stackv2` sets).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files import INVALID_PATH, TOO_LARGE, Progress, publishable
from ingest.formats import (
    LINES,
    PACKED_LINES,
    ZSTD_LINES,
    ZSTD_REASON,
    BadRow,
    json_problem,
    line_units,
    read_rows,
)
from ingest.languages import folder_language, normalise_language
from ingest.licenses import LicensePolicy, is_known
from ingest.records import Listing, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import Unit, slice_units, target_of
from ingest.sources.base import (
    CommonOptions,
    RefusedRow,
    Sample,
    Source,
    checked,
    choose,
    unusable,
)
from ingest.sources.the_stack_v2.rows import GENERATED, VENDORED, StackV2Rows
from ingest.storage import Entry, Place, PlacePath, digested, pin, revision_of, terms_at
from ingest.terms import OPEN
from ingest.transport import ReadLimits

ENDINGS = (*LINES, *PACKED_LINES)
_COMMIT = re.compile(r"https://github\.com/[^/\s]+/[^/\s]+/blob/([0-9a-f]{40})/.+")


REMEDY = (
    "These rows are not those of a `stackv2` set of the Common Pile (`text` and `metadata`): "
    "check `path`, or write `kind: pairs` with `columns:`."
)


class CommonPileOptions(CommonOptions):
    """A copy of a `stackv2` set of the Common Pile."""

    kind: Literal["common-pile-stack"] = "common-pile-stack"
    path: PlacePath


def plan(
    options: CommonPileOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List the files. Raises `SourceError` when none can be read."""
    place = pin(options.path, limits)
    chosen = choose(
        sample, _listed(place, options), lambda entry: stream_of(entry.name), lambda entry: entry
    )
    checked_entries = [
        replace(
            listed_entry,
            problem=listed_entry.problem
            or json_problem(listed_entry, ("text", "metadata"), limits),
        )
        for listed_entry in chosen
    ]
    entries = digested(checked_entries, progress, limits, unread=sample is not None)
    quarantined = [
        Quarantine(name=listed_entry.name, reason=listed_entry.problem)
        for listed_entry in entries
        if listed_entry.problem
    ]
    readable = [listed_entry for listed_entry in entries if not listed_entry.problem]
    if not readable:
        names = ", ".join(f"*{end}" for end in ENDINGS)
        raise unusable(
            "no file of this source can be read",
            options.path,
            quarantined,
            f"Expected files called {names}.",
        )
    revision = revision_of(place, readable)
    return Listing(
        source=name,
        kind=options.kind,
        terms=terms_at(place),
        revision=revision,
        slices=_slices(readable, name, slice_bytes, _facts(options, policy, revision)),
        quarantined=tuple(quarantined),
        provenance=tuple(
            (f"file {listed_entry.name}", listed_entry.digest) for listed_entry in readable
        ),
    )


def _listed(place: Place, options: CommonPileOptions) -> list[Entry]:
    """The files of the wanted languages; those of zstd have a `problem`."""
    folders = {"", *options.wanted()}
    return [
        replace(entry, problem=ZSTD_REASON) if entry.name.lower().endswith(ZSTD_LINES) else entry
        for entry in place.files()
        if entry.name.lower().endswith((*ENDINGS, *ZSTD_LINES))
        and entry.size
        and stream_of(entry.name) in folders
    ]


def read(
    options: CommonPileOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourceFile | Skip]:
    """The rows of a slice.

    Raises `ChangedInput` (after the last row of the file) when the bytes are not those that
    were planned, `TransientFault` when reading may work later.
    """
    row = 0
    for part in slice_.parts:
        rows = PileRows(
            source=slice_.source,
            revision=revision,
            language=part.language,
            options=options,
            policy=policy,
        )
        for values in read_rows(part, {}, limits):
            if isinstance(values, BadRow):
                yield values.skip(part.language, row)
                row += values.rows
            else:
                yield rows.read(values, row)
                row += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class PileRows:
    """Reads the rows of one file."""

    source: str
    revision: str
    language: str
    """Of the folder; "" where rows say it themselves."""
    options: CommonOptions
    policy: LicensePolicy

    def read(self, values: Mapping[str, object], row: int) -> SourceFile | Skip:
        language = self.language
        try:
            metadata = values.get("metadata")
            if not isinstance(metadata, dict):
                raise RefusedRow("missing_column", "metadata: no object in the row")
            language = self._language(_text(metadata, "language"))
            return self._file(values, metadata, language, row)
        except RefusedRow as refused:
            return Skip(language=language, reason=refused.reason, row=row, detail=refused.detail)

    def _language(self, stated: str) -> str:
        known = normalise_language(stated)
        if self.language and stated and known != self.language:
            raise RefusedRow("language_mismatch", stated)
        language = known or self.language
        if not language:
            raise RefusedRow("unsupported_language", stated or "the row names no language")
        if language not in self.options.wanted():
            raise RefusedRow("unwanted_language", language)
        return language

    def _file(
        self,
        values: Mapping[str, object],
        metadata: Mapping[str, object],
        language: str,
        row: int,
    ) -> SourceFile:
        licenses, evidence = self._licences(metadata, language)
        path = _text(metadata, "path").removeprefix("/")
        for field, reason in (("is_vendor", VENDORED), ("is_generated", GENERATED)):
            if metadata.get(field) is True:
                raise RefusedRow(reason, path)
        repo = _text(metadata, "repo_name")
        for field, value in (("repo", repo), ("path", path)):
            if not value:
                raise RefusedRow(f"null_{field}", path or repo)
            if not publishable(value):
                raise RefusedRow(INVALID_PATH, ascii(value))
        url = _text(metadata, "url")
        commit = _COMMIT.fullmatch(url)
        return SourceFile(
            source=self.source,
            source_revision=self.revision,
            repo=repo,
            path=path,
            revision=commit[1] if commit else "",
            url=url if url.startswith("https://") and url.isprintable() else "",
            language=language,
            content=_content(values, path),
            licenses=self.policy.recorded(licenses),
            license_evidence=evidence,
            stars=-1,
            row=row,
        )

    def _licences(
        self, metadata: Mapping[str, object], language: str
    ) -> tuple[tuple[str, ...], str]:
        """What the rule of The Stack v2 says, with `license` where the rest is silent."""
        detected = metadata.get("detected_licenses") or []
        if not isinstance(detected, list) or not all(
            isinstance(license_id, str) for license_id in detected
        ):
            raise RefusedRow("wrong_type", "detected_licenses: no list of texts")
        detected = [checked(license_id, "detected_licenses") for license_id in detected]
        github = _text(metadata, "gha_license_id")
        stated = _text(metadata, "license")
        evidence = ""
        if not detected and not github and is_known(stated):
            detected, evidence = [stated], "metadata license"
        rule = StackV2Rows(
            source=self.source,
            revision=self.revision,
            folder=language,
            options=self.options,
            policy=self.policy,
        )
        kind = _text(metadata, "license_type") or None
        judged = rule.judge(kind, tuple(detected), github or None)
        if judged.reason is not None:
            raise RefusedRow(judged.reason, ", ".join(judged.licenses) or str(kind))
        return judged.licenses, evidence or f"metadata {judged.evidence}"


def _text(metadata: Mapping[str, object], field: str) -> str:
    value = metadata.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RefusedRow("wrong_type", f"{field}: {type(value).__name__}, not text")
    return checked(value, field)


def _content(values: Mapping[str, object], path: str) -> bytes:
    text = values.get("text")
    if text is None:
        raise RefusedRow("null_content", path)
    if not isinstance(text, str):
        raise RefusedRow("wrong_type", f"text: {type(text).__name__}, not text")
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RefusedRow("invalid_text", f"text: lone surrogate at {error.start}") from error
    if len(content) > MAX_FILE_BYTES:
        raise RefusedRow(TOO_LARGE, f"{path}: {len(content)} bytes")
    return content


def stream_of(name: str) -> str:
    """The language that the folder of a file is called after; "" if it is none of ours."""
    folder = name.rpartition("/")[0].rpartition("/")[2]
    return folder_language(folder)


def _slices(
    entries: Sequence[Entry], name: str, slice_bytes: int | None, facts: Mapping[str, object]
) -> tuple[Slice, ...]:
    streams: dict[str, list[list[Unit]]] = {}
    for entry in entries:
        stream = stream_of(entry.name)
        streams.setdefault(stream, []).append(line_units(entry, ((0, entry.size, ""),), stream))
    return slice_units(streams, source=name, target=target_of(streams, slice_bytes), facts=facts)


def _facts(
    options: CommonPileOptions, policy: LicensePolicy, revision: str
) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "declared": list(options.declared_licenses),
        "languages": sorted(options.wanted()),
        "policy": policy.policy_digest(),
        "revision": revision,
    }


SOURCE = Source(
    options=CommonPileOptions,
    plan=plan,
    read=read,
    terms=OPEN,
    flags_rows=True,
    rows_remedy=REMEDY,
)
