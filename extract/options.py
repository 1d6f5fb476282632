"""What a user may set about extraction: lengths, filters, limits, redaction.

These models are the `filters`, `limits` and `redact` keys of the build config. The names
`min_query_chars`, `min_code_chars` and `max_code_chars` are a contract with existing configs.
Every bound is inclusive: a query of exactly `min_query_chars` characters passes.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from ingest import MAX_FILE_BYTES
from xtrove.core import parse_bytes

Choice = Literal["drop", "keep"]
RedactKind = Literal["email", "ip", "key"]


class FilterOptions(BaseModel):
    """Which files and pairs are let through. Lengths are in characters (code points)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_query_chars: int = Field(default=15, ge=1)
    max_query_chars: int = Field(default=512, ge=1)
    """Longer queries are cut here, at the end of a sentence or a word; they are not dropped."""
    min_query_words: int = Field(default=3, ge=1)
    max_query_words: int = Field(default=256, ge=1)
    """Counted after the cut: with the defaults, 512 characters cannot hold more."""
    min_code_chars: int = Field(default=50, ge=1)
    max_code_chars: int = Field(default=8000, ge=1)
    min_quality: int = Field(default=0, ge=0, le=1000)
    tests: Choice = "drop"
    trivial: Choice = "drop"
    """Bodies of one statement that returns or sets a field, and empty ones."""
    special_methods: Choice = "drop"
    """Methods a language calls by itself (`__repr__`, `toString`, `initialize`)."""
    generated: Choice = "drop"
    vendored: Choice = "drop"
    max_file_bytes: int = Field(default=MAX_FILE_BYTES, ge=1)
    """At most what sources read of a file. It keeps a worker bounded: tree-sitter takes up to 180
    bytes a source byte."""
    max_line: int = Field(default=1000, ge=1)
    """Bytes; a file with a longer line is minified."""
    max_mean_line: int = Field(default=100, ge=1)
    """Bytes; a file with a larger mean is minified."""

    @field_validator("max_file_bytes")
    @classmethod
    def _as_read(cls, value: int) -> int:
        if value > MAX_FILE_BYTES:
            raise ValueError(
                f"{value:,} is more than the {MAX_FILE_BYTES:,} bytes that sources read of a file: "
                "larger ones are refused before, so it would change nothing; lower it"
            )
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for small, large in (
            ("min_query_chars", "max_query_chars"),
            ("min_query_words", "max_query_words"),
            ("min_code_chars", "max_code_chars"),
        ):
            low, high = getattr(self, small), getattr(self, large)
            if low > high:
                raise ValueError(
                    f"{small} is {low} and {large} is {high}: nothing could pass; "
                    f"lower {small} or raise {large}"
                )
        return self


class RowLimits(BaseModel):
    """What the extraction of one row (a file, or a ready pair) may take; see `watchdog`.

    A row that takes more is set aside by name. Real files of up to 1 MB take under 1 s and 200 MB.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    row_seconds: float = Field(default=5.0, ge=0.1, le=3600)
    """Processor time, not the clock's."""
    row_memory: Annotated[int, BeforeValidator(parse_bytes), Field(ge=64_000_000)] = 512_000_000
    """Bytes beyond what the process holds before the row."""


class ExtractOptions(BaseModel):
    """Everything that turns a file into pairs, apart from the languages themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filters: FilterOptions = FilterOptions()
    limits: RowLimits = RowLimits()
    redact: tuple[RedactKind, ...] = ("email", "ip", "key")
    """Which classes are replaced by <EMAIL>, <IP> and <KEY> in the query and code of pairs."""
