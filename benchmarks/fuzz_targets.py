"""What `fuzz.py` runs a row through, in the child of the watchdog, and what must hold of it.

Method: each target takes a row and answers with its processor seconds and the rules it broke;
an exception is the watchdog's to name. Cost: that of the code under test, parsed two or three
times. Limits: texts are checked for form, not for sense.
"""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fuzz_rows import LANGUAGES, FuzzRow

from extract import ExtractOptions
from extract.filters import REASONS as FILE_REASONS
from extract.parsing import Function, FunctionsError, functions, may_hold_documentation
from extract.pipeline import Extraction, extract_file, extract_pair
from extract.redaction import redact
from extract.text import cut_query, normalise_query
from ingest import Skip, SourceError, SourceFile, SourcePair
from ingest.licenses import LicensePolicy
from ingest.sources.pairs import PairsOptions, plan, read

OPTIONS = ExtractOptions()
_KINDS = ("docstring", "doc_comment", "markdown_comment", "line_comment", "")
_PARSE_REASONS = {"no_documentation_marker", "parse_timeout", "parse_failed"}
_MARKS = {"email": "<EMAIL>", "ip": "<IP>", "key": "<KEY>"}
_SUFFIXES = {"typescript": (".ts", ".tsx")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What a target says of a row."""

    seconds: float
    """Of processor time, the checks included."""
    broken: tuple[str, ...]
    """The rules that do not hold; none quotes the row."""


def check(row: FuzzRow) -> Checked:
    """Run a row through its target."""
    start = time.process_time()
    broken = tuple(dict.fromkeys(TARGETS[row.target](row)))
    return Checked(seconds=time.process_time() - start, broken=broken)


def _file(row: FuzzRow) -> Iterator[str]:
    """A file: counts add up, spans lie in it, code is its bytes without documentation."""
    suffixes = _SUFFIXES.get(row.kind, ("",))
    path = "a/f" + suffixes[row.number % len(suffixes)]
    made = extract_file(_source_file(row, path), OPTIONS)
    yield from _counts(made)
    if made.file_reason and made.file_reason not in {*FILE_REASONS, *_PARSE_REASONS}:
        yield f"unknown file reason {made.file_reason}"
    try:
        result = functions(row.kind, path, row.content, want_undocumented=True).functions
    except FunctionsError:
        return
    marked = may_hold_documentation(row.kind, row.content)
    if not marked and any(one.documentation for one in result):
        yield "the marker rule denies documentation that is there"
    codes = {}
    lines = row.content.count(b"\n") + 1
    for one in result:
        yield from _function(row.content, lines, one)
        codes[one.start_byte, one.end_byte] = one.code
    for pair in made.pairs:
        code = codes.get((pair.start_byte, pair.end_byte))
        # A file with very much nested code keeps other functions without undocumented ones.
        if code is not None and redact(code)[0] != pair.code:
            yield "a pair's code is not its function's"


def _function(content: bytes, lines: int, one: Function) -> Iterator[str]:
    if not 0 <= one.start_byte < one.end_byte <= len(content):
        yield "a span outside of the file"
        return
    if not 1 <= one.start_line <= one.end_line <= lines:
        yield "lines outside of the file"
    span, code = content[one.start_byte : one.end_byte], one.code.encode()
    if not one.documentation:
        if code != span:
            yield "undocumented code is not its span"
    elif not _is_less(span, code) and not (
        one.doc_kind == "docstring" and _is_less(span, code.removesuffix(b"pass"))
    ):
        yield "code is not its span without documentation"


def _is_less(span: bytes, code: bytes) -> bool:
    """Whether `code` is `span` with parts left out."""
    low = 0
    while low < len(code) and span.startswith(code[low : low + 4096], low):
        low += len(code[low : low + 4096])
    if span.endswith(code[low:]):
        return True
    bytes_left = iter(span[low:])
    return all(byte in bytes_left for byte in code[low:])


def _pair(row: FuzzRow) -> Iterator[str]:
    """A ready pair: one function, kept or dropped."""
    code = row.content.decode("utf-8", "surrogateescape" if row.number % 9 == 0 else "replace")
    query, _, code = code.partition("\n\n") if row.number % 2 else ("Say it to them.", "", code)
    made = extract_pair(_source_pair(row.kind, query, code), OPTIONS)
    yield from _counts(made)
    if made.functions != 1:
        yield f"{made.functions} functions in a ready pair"


def _counts(made: Extraction) -> Iterator[str]:
    dropped = sum(count for _, count in made.function_drops)
    if made.functions != dropped + len(made.pairs) + len(made.dropped):
        yield "functions are not pairs and drops"
    if made.file_reason and made.functions:
        yield "functions of a refused file"
    for text in (text for pair in made.pairs for text in (pair.query, pair.code, pair.name)):
        if text.encode("utf-8", "replace").decode() != text:
            yield "a text that is no UTF-8"
    if any(len(pair.query) > OPTIONS.filters.max_query_chars for pair in made.pairs):
        yield "a query over its length"


def _query(row: FuzzRow) -> Iterator[str]:
    """A documentation in every language and kind."""
    text = row.content.decode("utf-8", "replace")
    languages = LANGUAGES if len(text) < 10_000 else (row.kind,)
    for language in languages:
        for kind in _KINDS:
            made = normalise_query(text, language, kind)
            made.text.encode()
            if made.refused not in ("", "query_boilerplate", "query_dangling"):
                yield f"unknown refusal {made.refused}"
            if made.text != made.text.strip():
                yield "a query with white space around it"
            if len(cut_query(made.text, 512)) > 512:
                yield "a cut query over its length"


def _redaction(row: FuzzRow) -> Iterator[str]:
    """Counts tell what changed."""
    text = row.content.decode("utf-8", "replace")
    clean, counts = redact(text)
    if bool(counts) is (clean == text):
        yield "counts do not tell of the change"
    for kind, count in counts:
        # A key may hold a mark that stood in the text before.
        if count < 1 or clean.count(_MARKS[kind]) > text.count(_MARKS[kind]) + count:
            yield "more marks than counted"


def _table(row: FuzzRow) -> Iterator[str]:
    """A file of pairs, from the plan to its last row: each row once, good or named."""
    content = row.content
    if row.kind == "jsonl.gz":
        packed = bytearray(gzip.compress(content, 1, mtime=0))
        if row.number % 3:
            packed[row.number * 7919 % len(packed)] ^= 1 << row.number % 8
        content = bytes(packed[: len(packed) * (row.number % 5 + 1) // 5 + 1])
    with tempfile.TemporaryDirectory(prefix="xtrove-fuzz-") as folder:
        path = Path(folder) / f"a.{row.kind}"
        path.write_bytes(content)
        options = PairsOptions.model_validate({"path": str(path), "declared_licenses": ["MIT"]})
        policy = LicensePolicy()
        try:
            listing = plan(options, "s", policy, 5000)
        except SourceError:
            return
        for slice_ in listing.slices:
            at = 0
            for record in read(options, "s", policy, slice_, listing.revision):
                if record.row != at:
                    yield "rows are not counted on"
                at += record.rows if isinstance(record, Skip) else 1
                if isinstance(record, Skip) and not record.reason:
                    yield "a refused row without reason"


def _source_file(row: FuzzRow, path: str) -> SourceFile:
    return SourceFile(
        source="s",
        source_revision="r",
        repo="o/n",
        path=path,
        revision="",
        url="",
        language=row.kind,
        content=row.content,
        licenses=("MIT",),
        license_evidence="",
        stars=-1,
        row=0,
    )


def _source_pair(language: str, query: str, code: str) -> SourcePair:
    return SourcePair(
        source="s",
        source_revision="r",
        repo="",
        path="",
        revision="",
        url="",
        language=language,
        query=query,
        code=code,
        name="f",
        start_line=-1,
        end_line=-1,
        start_byte=-1,
        end_byte=-1,
        licenses=("MIT",),
        license_evidence="",
        stars=-1,
        row=0,
    )


TARGETS: Mapping[str, Callable[[FuzzRow], Iterator[str]]] = {
    **dict.fromkeys(LANGUAGES, _file),
    "ready pairs": _pair,
    "queries": _query,
    "redaction": _redaction,
    "tables": _table,
}
"""What is fuzzed, by the names of the table."""
