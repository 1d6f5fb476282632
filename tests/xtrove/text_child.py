"""Tries what reads texts and files of strangers on hard ones of 100 kB, as `pattern_child` does."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterator

from dedupe.lexer import LANGUAGES, tokens
from dedupe.shingling import shingles
from evaluate.retrieval.tokenize import code_words, query_words
from extract.filters.files import refuse_content
from extract.filters.pairs import is_boilerplate, looks_like_code
from extract.options import ExtractOptions
from extract.parsing.docstrings import comment_text, python_docstring
from extract.parsing.function_finder import may_hold_documentation
from extract.parsing.roles import is_special, is_test
from extract.parsing.tree_sitter_parse import BUDGET_SECONDS
from extract.pipeline.extraction import extract_file
from extract.redaction.redactor import redact, safe_detail
from extract.text.quality_score import quality
from extract.text.query import cut_query, fold, normalise_query
from ingest.formats.csv_records import NoHeader, csv_rows
from ingest.formats.jsonl import parse_object
from ingest.licenses.manifests import manifest_statement
from ingest.licenses.policy import is_known
from ingest.licenses.text_match import match_license_text
from ingest.records import SourceFile
from tests.xtrove.hard_files import FILES
from tests.xtrove.pattern_child import limited

SIZE = 100_000
LIMIT = 1.5
"""Seconds of processor time for one call on `SIZE` characters."""
FILE_SIZE = 25_000
FILE_LIMIT = BUDGET_SECONDS + 0.5
"""Seconds for the whole extraction of a file; the parse has a budget, which long rows of comments
in Python use up."""
GROWTH = 3.5
"""Times as long that twice the file may take; 4 is quadratic."""
_SCREEN = 4_000
_SUSPECT = 0.0008
_SUSPECT_FILE = 0.15
"""Seconds for `FILE_SIZE` above which twice the size is tried."""
_MOST_SECONDS = 300

UNITS = (
    *("<p><b>", "<p>", "<b>", "<br>", "<br ", "<!--", "<a ", "</", "<", ">", "<summary>", "&#x"),
    *("&", "[", "](", "[a](", "[a][", "{@link ", "{@", "{", "}", "`", "`a <", ":a:`", "**a", "__"),
    *("*", "+a", "http://", "www.a ", "(http://a", "a. http://b c. ", "://a:b", "file://", "?a"),
    *("?Signature=", "@a ", "@param ", "@description ", "@return {", "@return a<", ":returns: "),
    *(":param a", "\\a", ">>> ", "call-seq:", "Args:\n", "# Examples", "=== ", "-- ", "- ", ". "),
    *("e.g. ", "  ", "\t", "eyJ", "-eyJ", "eyJaaaaaaaa.", "a@", "a@b.", "@", "1.", "1.1.1.", "::"),
    *("2000:", "sk-", "xoxb-", "key='", 'token="a1', "password: ", "-----BEGIN "),
    *("-----BEGIN PRIVATE KEY-----\n", "AKIA", "'", '"', "\\", "\\'", '"""', "'''", "`${", 'r#"'),
    *("'a", "/a", "/*", "*/", "/**", "//", "///", "=begin\n", "\n=end", "#", "#[", "# a\n", "?>"),
    *("?", "\n", " \n", "\r", "\r\n", "\x0c", "\\\n", ";", "a", "A", "aA", "a ", "a_", "$", "0"),
    *("0e", ".", "a.", "a?.", "a::", "=", "a=", ",", '",', '""', "\x00", "\xe9", "e\u0301"),
    *("\u202e", "\ufb03", "\u2028", "\u0130", "\u4e2d", "\U0001f600", "\ud800", "MIT OR ", "("),
    *("MIT AND (", "permission is hereby granted ", "gnu general public license v", "a.b.", "[a."),
    *("a=1\n", "{a={", "[[", "copyright (c) ", "all rights reserved ", '{"a":'),
)  # fmt: skip


def _csv(text: str) -> object:
    lines = text.encode("utf-8", "replace").splitlines(keepends=True)
    try:
        return list(csv_rows(iter(lines)))
    except NoHeader:
        return None


def readers() -> dict[str, Callable[[str], object]]:
    """What is tried on each text, by name."""
    options = ExtractOptions()
    named: dict[str, Callable[[str], object]] = {
        "redact": redact,
        "safe_detail": safe_detail,
        "fold": fold,
        "cut_query": lambda text: cut_query(text, 99_000),
        "quality": lambda text: quality(
            query=text,
            name=text,
            folded_code=text,
            body_lines=3,
            doc_kind="docstring",
            query_source="documentation",
        ),
        "is_boilerplate": is_boilerplate,
        "looks_like_code": looks_like_code,
        "rust test": lambda text: is_test("test_a", "rust", text, known=False),
        "python test": lambda text: is_test("test_a", "python", text, known=False),
        "special": lambda text: is_special("toString", "java", text),
        "docstring": python_docstring,
        "quoted docstring": lambda text: python_docstring(f'"""{text}"""'),
        "csv_rows": _csv,
        "csv_rows below a header": lambda text: _csv(f"a,b\n{text}"),
        "parse_object": lambda text: parse_object(text.encode("utf-8", "replace")),
        "match_license_text": match_license_text,
        "is_known": is_known,
        "code_words": code_words,
    }
    for name in ("pyproject.toml", "Cargo.toml", "package.json"):
        named[name] = lambda text, name=name: manifest_statement(
            name, text[:60_000].encode("utf-8", "replace")
        )
    for opening, closing in (
        ("", ""),
        ("///", ""),
        ("#", ""),
        ("/**", "*/"),
        ("=begin\n", "\n=end"),
        ('#[doc = "', '"]'),
    ):
        named[f"comment {opening}"] = lambda text, o=opening, c=closing: comment_text(
            [f"{o}{text}{c}".encode("utf-8", "replace")]
        )
    for language in LANGUAGES:
        named[f"tokens {language}"] = lambda text, name=language: tokens(name, text)
        named[f"marker {language}"] = lambda text, name=language: may_hold_documentation(
            name, text.encode("utf-8", "replace")
        )
    for language in ("java", "ruby"):
        named[f"normalise_query {language}"] = lambda text, name=language: normalise_query(
            text, name, ""
        )
    named["shingles"] = lambda text: shingles("java", text)
    named["query_words"] = lambda text: query_words(text, ["python"])
    named["refuse_content"] = lambda text: refuse_content(
        text.encode("utf-8", "replace"), "go", options.filters
    )
    return named


def slow_texts() -> Iterator[tuple[str, str]]:
    """Each reader by name, with the first text that it takes too long for, or ""."""
    for name, read in readers().items():
        slow = ""
        for unit in UNITS:
            for size in (_SCREEN, SIZE):
                # What ends in a NUL fails late.
                text = unit * (size // len(unit)) + "\x00"
                seconds = limited(lambda read=read, text=text: read(text), LIMIT)
                if seconds < _SUSPECT:
                    break
            if seconds >= LIMIT:
                slow = slow or f"{unit!r} times {size // len(unit)}, then NUL"
        yield name, slow


def _extraction(language: str, content: str) -> tuple[float, str]:
    """Processor seconds of a file, and why it was refused."""
    file = SourceFile(
        source="s",
        source_revision="",
        repo="a/b",
        path="a",
        revision="",
        url="",
        language=language,
        content=content.encode(),
        licenses=("MIT",),
        license_evidence="",
        stars=-1,
        row=0,
    )
    reasons: list[str] = []
    seconds = limited(
        lambda: reasons.append(extract_file(file, ExtractOptions()).file_reason), 2 * FILE_LIMIT
    )
    return seconds, "".join(reasons)


def slow_files() -> Iterator[tuple[str, str]]:
    """Each hard file by name, with its seconds where it takes too long, or grows too fast."""
    for name, (language, made) in FILES.items():
        seconds, _ = _extraction(language, made(FILE_SIZE))
        slow = f"{seconds:.2f} s" if seconds > FILE_LIMIT else ""
        if _SUSPECT_FILE < seconds < BUDGET_SECONDS:
            # Taken again: the first time may have had to load a grammar.
            seconds = min(seconds, _extraction(language, made(FILE_SIZE))[0])
            twice, reason = _extraction(language, made(2 * FILE_SIZE))
            # A parse may grow faster than the file (Python's with comments) within its budget.
            if reason != "parse_timeout" and twice > max(GROWTH * seconds, FILE_LIMIT):
                slow = f"{seconds:.2f} s, twice the size {twice:.2f} s"
        yield name, slow


def main() -> None:
    """Tries all readers and files; see `pattern_child`."""
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
    for cases in (slow_texts(), slow_files()):
        for name, slow in cases:
            # The case behind the last one is at work where nothing more comes.
            sys.stdout.write(json.dumps({"tried": name, "slow": slow}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
