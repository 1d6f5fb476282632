"""One row of ready pairs, from an untyped mapping to a `SourcePair` or a `Skip`.

Method: each of our field names has a column, by default of its own name. A column that the
config names must be there (its value may be null); one that is only looked up by default is
taken when it is there and of the right type. Cost: a few look-ups a row.
Limits: text is checked for null bytes and lone surrogates, which no output format can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from ingest.fault_text import digest_of
from ingest.languages import language_of, normalise_language
from ingest.licenses import LicensePolicy
from ingest.records import Skip, SourcePair
from ingest.sources.base.options import CommonOptions
from xtrove.core import XtroveError

FIELDS = ("query", "code", "language", "name", "repo", "path", "url", "license", "revision")


class Columns(BaseModel):
    """Our field names and the columns they are read from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str = Field(default="query", min_length=1)
    code: str = Field(default="code", min_length=1)
    language: str | None = None
    name: str | None = None
    repo: str | None = None
    path: str | None = None
    url: str | None = None
    license: str | None = None
    revision: str | None = None
    stars: str | None = None


class RefusedRow(XtroveError):
    """Why a row is no pair; `reason` is a key of the funnel."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {digest_of(detail)}")
        self.reason = reason
        self.detail = detail[:200]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowReader:
    """Reads the rows of one source."""

    source: str
    revision: str
    columns: Columns
    language: str
    """Of rows that name none; "" for none."""
    options: CommonOptions
    policy: LicensePolicy

    def read(self, values: Mapping[str, object], row: int) -> SourcePair | Skip:
        """The pair in a row, or why there is none."""
        language = ""
        try:
            language = self._language(values)
            return self._pair(values, language, row)
        except RefusedRow as refused:
            return Skip(language=language, reason=refused.reason, row=row, detail=refused.detail)

    def _language(self, values: Mapping[str, object]) -> str:
        stated = self._text(values, "language")
        language = (
            normalise_language(stated)
            if stated
            else self.language or language_of(self._text(values, "path"))
        )
        if not language:
            raise RefusedRow("unsupported_language", stated or "the row names no language")
        return language

    def _pair(self, values: Mapping[str, object], language: str, row: int) -> SourcePair | Skip:
        if language not in self.options.wanted():
            raise RefusedRow("unwanted_language", language)
        licenses, evidence = self.options.settled(*self._licences(values))
        refusal = self.policy.refusal(licenses)
        if refusal is not None:
            raise RefusedRow(refusal, ", ".join(licenses))
        return SourcePair(
            source=self.source,
            source_revision=self.revision,
            repo=self._text(values, "repo"),
            path=self._text(values, "path"),
            revision=self._text(values, "revision"),
            url=self._text(values, "url"),
            language=language,
            query=self._required(values, "query", self.columns.query),
            code=self._required(values, "code", self.columns.code),
            name=self._text(values, "name"),
            start_line=-1,
            end_line=-1,
            start_byte=-1,
            end_byte=-1,
            licenses=self.policy.recorded(licenses),
            license_evidence=evidence,
            stars=self._stars(values),
            row=row,
        )

    def _required(self, values: Mapping[str, object], field: str, column: str) -> str:
        if column not in values:
            raise RefusedRow("missing_column", f"{field}: no column {column!r}")
        value = values[column]
        if value is None:
            raise RefusedRow(f"null_{field}", column)
        if not isinstance(value, str):
            raise RefusedRow("wrong_type", f"{column}: {type(value).__name__}, not text")
        return checked(value, column)

    def _optional(self, values: Mapping[str, object], field: str) -> tuple[object, bool]:
        """The value of an optional field (None if absent), and whether the config named it."""
        column = getattr(self.columns, field)
        if column is not None and column not in values:
            raise RefusedRow("missing_column", f"{field}: no column {column!r}")
        return values.get(column or field), column is not None

    def _text(self, values: Mapping[str, object], field: str) -> str:
        value, named = self._optional(values, field)
        if value is None or (not isinstance(value, str) and not named):
            return ""
        if not isinstance(value, str):
            raise RefusedRow("wrong_type", f"{field}: {type(value).__name__}, not text")
        return checked(value, field)

    def _licences(self, values: Mapping[str, object]) -> tuple[tuple[str, ...], str]:
        value, named = self._optional(values, "license")
        evidence = f"column {self.columns.license or 'license'}"
        if isinstance(value, str) and value:
            return (checked(value, "license"),), evidence
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(checked(str(item), "license") for item in value), evidence
        if value and named:
            raise RefusedRow("wrong_type", f"license: {type(value).__name__}, not text or texts")
        return (), "no licence in the row"

    def _stars(self, values: Mapping[str, object]) -> int:
        value, named = self._optional(values, "stars")
        if isinstance(value, str) and len(value) < 16:
            # CSV has no numbers, and no other way to leave a field out.
            value = int(value) if value.isascii() and value.isdigit() else value or None
        number = whole_number(value)
        if number is None and value is not None and named:
            raise RefusedRow("wrong_type", f"stars: {str(value)[:100]!r} is no count")
        return -1 if number is None else number


def whole_number(value: object) -> int | None:
    """A count as it comes out of data frames (2.0 for 2); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value < 2**53 or value != int(value):
        return None
    return int(value)


def checked(text: str, column: str) -> str:
    """The text, if every output format can hold it; raises `RefusedRow`."""
    if "\0" in text:
        raise RefusedRow("null_byte", f"{column}: at {text.index(chr(0))}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RefusedRow("invalid_text", f"{column}: lone surrogate at {error.start}") from error
    return text
