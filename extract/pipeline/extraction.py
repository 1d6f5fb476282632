"""A file, or a ready pair, to pairs of query and code.

Method: cheap checks of the file, then the documentation marker, then the parse
(`extract.parsing.function_finder`), then the rules on each documented function. Query and code are
redacted first and measured afterwards, and so are repository, path, address and name, so that every
length, hash and identity is that of the text that would be stored; offsets and lines stay those
of the original file. Every function with a body ends as a pair, as a dropped pair, or in the
count of one reason.
Cost: 35-55 us a documented function besides the parse (redaction a quarter, quality a fifth);
11-50 MB of source files a second and core, everything included, over eight languages.
Limits: functions without documentation are counted and not kept.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from extract.filters import (
    is_utf8,
    refuse_code,
    refuse_file,
    refuse_function,
    refuse_path,
    refuse_query,
)
from extract.options import ExtractOptions
from extract.pair import DroppedPair, Pair, pair_id
from extract.parsing import (
    LANGUAGES,
    Function,
    FunctionsError,
    extractor_id,
    functions,
    may_hold_documentation,
    strip_code_documentation,
)
from extract.redaction import published_name, redact, safe_detail
from extract.text import cut_query, fold, normalise_query, quality
from ingest import SourceFile, SourcePair, cheaply_pickled

Counts = tuple[tuple[str, int], ...]
MAX_CHANGED_FUNCTIONS = 4
"""Of a file that a commit changed; more say that its message is about none of them."""


@cheaply_pickled
@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """What one file or ready pair gave.

    `functions` equals the sum of `function_drops` plus `len(pairs)` plus `len(dropped)`.
    """

    pairs: tuple[Pair, ...]
    dropped: tuple[DroppedPair, ...]
    file_reason: str
    """"" when the file was parsed, else why not; a key of `extract.filters.files.REASONS`."""
    functions: int
    """Functions with a body that were seen; 1 for a ready pair."""
    function_drops: Counts
    """Functions that were never candidates, by reason, sorted."""
    redactions: Counts
    """Replacements in the kept pairs, by class, sorted."""
    has_syntax_error: bool = False
    """The file does not follow its grammar: functions may be missing."""


@dataclass(kw_only=True, slots=True)
class _Candidate:
    """A documented function or a ready pair, before the rules; never changed (and not frozen, which
    would take twice as long to make)."""

    documentation: str
    doc_kind: str
    code: str
    name: str
    scope: str
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    body_lines: int
    trivial: bool
    in_tests: bool
    query_source: str
    """"" when the documentation decides."""
    extractor: str


def extract_row(row: SourceFile | SourcePair, options: ExtractOptions) -> Extraction:
    """The pairs of a file, or the one of a ready pair."""
    if isinstance(row, SourceFile):
        return extract_file(row, options)
    return extract_pair(row, options)


def extract_file(file: SourceFile, options: ExtractOptions) -> Extraction:
    """The pairs of one file. Never raises for what a file holds: see `file_reason`."""
    reason = refuse_file(file.path, file.language, file.content, options.filters)
    if not reason and file.language not in LANGUAGES:
        reason = "unsupported_language"
    if reason:
        return _refused(reason)
    try:
        if not file.query and not may_hold_documentation(file.language, file.content):
            return _refused("no_documentation_marker")
        extracted = functions(
            file.language,
            file.path,
            file.content,
            max_bytes=options.filters.max_file_bytes,
            want_undocumented=bool(file.query),
        )
        extractor = extractor_id(file.language, file.path, extracted.reader)
    except FunctionsError as error:
        return _refused(error.reason)
    if file.query:
        chosen = changed_functions(extracted.functions, file.changed)
        if not chosen:
            return _refused("no_function_changed")
        if len(chosen) > MAX_CHANGED_FUNCTIONS:
            return _refused("many_functions_changed")
    else:
        chosen = [function for function in extracted.functions if function.documentation]
    candidates = [_candidate(function, extractor, options, file.query) for function in chosen]
    return _extraction(
        file,
        candidates,
        options,
        bare=0 if file.query else len(extracted.functions) - len(chosen),
        left_out=0 if file.query else extracted.left_out,
        untrusted=0 if file.query else extracted.untrusted,
        has_syntax_error=extracted.has_error,
    )


def extract_pair(pair: SourcePair, options: ExtractOptions) -> Extraction:
    """One ready pair through the same rules; documentation is cut out of its code.

    A language without a grammar keeps its code as it is. Path rules apply where a path is given.
    """
    reason = refuse_path(pair.path, pair.language, options.filters) if pair.path else ""
    code, extractor = pair.code, ""
    if not reason and not is_utf8(code.encode("utf-8", "surrogatepass")):
        reason = "code_not_unicode"
    if not reason and pair.language in LANGUAGES:
        extractor = extractor_id(pair.language, pair.path)
        try:
            code, _ = strip_code_documentation(pair.language, code)
        except FunctionsError:
            code = pair.code
    candidate = _Candidate(
        documentation=pair.query,
        doc_kind="",
        code=code,
        name=published_name(pair.name, options.redact),
        scope="",
        start_line=pair.start_line,
        end_line=pair.end_line,
        start_byte=pair.start_byte,
        end_byte=pair.end_byte,
        body_lines=code.count("\n") + 1,
        trivial=False,
        in_tests=False,
        query_source="pair",
        extractor=extractor,
    )
    if reason:
        origin = _published(pair, options)
        dropped = _dropped(origin, candidate, redact(code)[0], reason, pair.path)
        return Extraction(
            pairs=(),
            dropped=(dropped,),
            file_reason="",
            functions=1,
            function_drops=(),
            redactions=(),
        )
    return _extraction(pair, (candidate,), options)


def _refused(reason: str) -> Extraction:
    return Extraction(
        pairs=(), dropped=(), file_reason=reason, functions=0, function_drops=(), redactions=()
    )


def changed_functions(
    functions: Sequence[Function], changed: Sequence[tuple[int, int]]
) -> list[Function]:
    """The innermost functions that hold changed lines (`SourceFile.changed`), by start.

    New text counts for a function only between its first and its last line. A function that holds
    another one that was changed is left out: which of the two was meant is not known.
    """
    hit = [
        function
        for function in functions
        if any(
            function.start_line < start <= function.end_line
            if start == stop
            else function.start_line < stop and start <= function.end_line
            for start, stop in changed
        )
    ]
    return [
        function
        for function in hit
        if not any(
            inner is not function
            and function.start_byte <= inner.start_byte
            and inner.end_byte <= function.end_byte
            for inner in hit
        )
    ]


def _candidate(
    function: Function, extractor: str, options: ExtractOptions, query: str = ""
) -> _Candidate:
    return _Candidate(
        documentation=query or function.documentation,
        doc_kind="" if query else function.doc_kind,
        code=function.code,
        name=published_name(function.name, options.redact),
        scope=published_name(".".join(function.scope), options.redact),
        start_line=function.start_line,
        end_line=function.end_line,
        start_byte=function.start_byte,
        end_byte=function.end_byte,
        body_lines=function.body_lines,
        trivial=function.trivial,
        in_tests=function.in_tests,
        query_source="commit" if query else "",
        extractor=extractor,
    )


def _extraction(
    origin: SourceFile | SourcePair,
    candidates: Sequence[_Candidate],
    options: ExtractOptions,
    *,
    bare: int = 0,
    left_out: int = 0,
    untrusted: int = 0,
    has_syntax_error: bool = False,
) -> Extraction:
    # Rules on paths have read the original; the rest sees what would be stored.
    origin = _published(origin, options) if candidates else origin
    pairs: list[Pair] = []
    dropped: list[DroppedPair] = []
    redactions: Counter[str] = Counter()
    for candidate in candidates:
        outcome, counts = _decide(origin, candidate, options)
        if isinstance(outcome, DroppedPair):
            dropped.append(outcome)
        else:
            pairs.append(outcome)
            for kind, count in counts:
                redactions[kind] += count
    counts = (
        ("nested_too_deep", left_out),
        ("no_documentation", bare),
        ("syntax_error", untrusted),
    )
    function_drops = tuple((reason, count) for reason, count in counts if count)
    return Extraction(
        pairs=tuple(pairs),
        dropped=tuple(dropped),
        file_reason="",
        functions=len(pairs) + len(dropped) + sum(count for _, count in function_drops),
        function_drops=function_drops,
        redactions=tuple(sorted(redactions.items())),
        has_syntax_error=has_syntax_error,
    )


def _published(origin: SourceFile | SourcePair, options: ExtractOptions) -> SourceFile | SourcePair:
    repo, path, url = (
        published_name(text, options.redact) for text in (origin.repo, origin.path, origin.url)
    )
    if (repo, path, url) == (origin.repo, origin.path, origin.url):
        return origin
    return replace(origin, repo=repo, path=path, url=url)


def _decide(
    origin: SourceFile | SourcePair, candidate: _Candidate, options: ExtractOptions
) -> tuple[Pair | DroppedPair, Counts]:
    """The pair that `candidate` makes, with what was redacted in it, or why there is none."""
    filters, language = options.filters, origin.language
    code, code_counts = redact(candidate.code, options.redact)
    reason, detail = refuse_function(
        name=candidate.name,
        language=language,
        code=candidate.code,
        documentation=candidate.documentation,
        trivial=candidate.trivial,
        options=filters,
        test=candidate.in_tests,
    )
    if reason:
        return _dropped(origin, candidate, code, reason, detail), ()
    normalised = normalise_query(candidate.documentation, language, candidate.doc_kind)
    query, query_counts = redact(normalised.text, options.redact)
    query = cut_query(query, filters.max_query_chars)
    reason, detail = normalised.refused, query
    if not reason:
        reason, detail = refuse_query(query, candidate.documentation, filters)
    if not reason:
        reason, detail = refuse_code(code, filters)
    if reason:
        return _dropped(origin, candidate, code, reason, detail), ()
    folded_code = fold(code)
    if fold(query) in folded_code:
        return _dropped(origin, candidate, code, "query_in_code", query), ()
    query_source = candidate.query_source or normalised.source
    score = quality(
        query=query,
        name=candidate.name,
        folded_code=folded_code,
        body_lines=candidate.body_lines,
        doc_kind=candidate.doc_kind,
        query_source=query_source,
    )
    if score < filters.min_quality:
        return _dropped(origin, candidate, code, "min_quality", str(score)), ()
    pair = _pair(origin, candidate, query, code, query_source, score)
    return pair, query_counts + code_counts


def _pair(
    origin: SourceFile | SourcePair,
    candidate: _Candidate,
    query: str,
    code: str,
    query_source: str,
    score: int,
) -> Pair:
    return Pair(
        id=_identity(origin, candidate, code),
        query=query,
        code=code,
        language=origin.language,
        name=candidate.name,
        scope=candidate.scope,
        repo=origin.repo,
        path=origin.path,
        revision=origin.revision,
        start_line=candidate.start_line,
        end_line=candidate.end_line,
        start_byte=candidate.start_byte,
        end_byte=candidate.end_byte,
        url=line_url(origin.url, candidate.start_line, candidate.end_line),
        source=origin.source,
        source_revision=origin.source_revision,
        licenses=origin.licenses,
        license_evidence=origin.license_evidence,
        query_source=query_source,
        quality=score,
        stars=origin.stars,
        code_sha256=_sha256(code),
        extractor=candidate.extractor,
    )


def _dropped(
    origin: SourceFile | SourcePair, candidate: _Candidate, code: str, reason: str, detail: str
) -> DroppedPair:
    return DroppedPair(
        id=_identity(origin, candidate, code),
        language=origin.language,
        source=origin.source,
        repo=origin.repo,
        path=origin.path,
        start_line=candidate.start_line,
        end_line=candidate.end_line,
        name=candidate.name,
        reason=reason,
        detail=safe_detail(detail),
        code_sha256=_sha256(code),
    )


def line_url(url: str, start_line: int, end_line: int) -> str:
    """`url` with the lines as its fragment, where both are known and it has none yet."""
    if not url or start_line < 1 or "#" in url:
        return url
    return f"{url}#L{start_line}-L{end_line}"


def _identity(origin: SourceFile | SourcePair, candidate: _Candidate, code: str) -> str:
    return pair_id(
        source=origin.source,
        repo=origin.repo,
        path=origin.path,
        start_byte=candidate.start_byte,
        code=code,
    )


def _sha256(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
