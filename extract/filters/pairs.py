"""The rules that refuse a pair, each with a stable name.

Method: rules on what the function is for (`extract.parsing.roles`), the body and the documentation,
then on the final query and code (redacted, cut), cheapest first; the first that fails names the
reason. Cost: 4 us a query.
Limits: the script is tested, not the language: French passes, Chinese does not. Phrases of
boilerplate are English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from extract.options import FilterOptions
from extract.parsing import is_special, is_test
from extract.text import fold

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "no_documentation": "the function has no documentation (counted, not kept as evidence)",
        "syntax_error": "errors in the file make it uncertain where the function begins or ends",
        "nested_too_deep": "the functions of the file hold 16 times its size; the longest go",
        "test_code": "the function is a test by signature, annotation, class, module or assertions",
        "special_method": "the language calls a method of this name and signature by itself",
        "trivial_body": "the body is empty, a stub, or only returns or sets a field",
        "query_empty": "nothing was left of the documentation: only tags, links or rulers",
        "query_boilerplate": "inherited, to-do, deprecation, generated or licence text",
        "query_dangling": "the only sentence ends in a word that needs more, or announces a list",
        "query_is_commented_code": "the comment is code that was commented out",
        "query_not_latin": "under half of the letters of the query are Latin",
        "query_too_short": "the query has fewer than filters.min_query_chars characters",
        "query_too_long": "the cut query has more than filters.max_query_words words",
        "query_too_few_words": "the query has fewer than filters.min_query_words words",
        "code_too_short": "the code has fewer than filters.min_code_chars characters",
        "code_too_long": "the code has more than filters.max_code_chars characters",
        "code_not_unicode": "the code of a ready pair holds lone surrogates",
        "query_in_code": "the folded query stands word for word in the folded code",
        "min_quality": "the quality is under filters.min_quality",
        "vendored": "a ready pair whose path is that of other people's code",
        "generated": "a ready pair whose path is that of generated code",
        "test_file": "a ready pair whose path is that of a test",
    }
)
"""Every reason a function or a ready pair is refused for, with one line of meaning."""

_BOILERPLATE = re.compile(
    r"\W{0,8}(?:"
    r"inherit(?:ed)?[- ]?doc|\(?non-javadoc|to ?do\s*+[:(]|fixme\b|xxx\b"
    r"|deprecated(?:$|\W*+(?:since|as of|in|use|please|and|method|function|alias|replaced|do not"
    r"|will|from|by|v?\d)\b|\s*+[:.,;!(-])"
    r"|(?:this (?:method|function|class|file|code) (?:is|was) )?"
    r"(?:auto-?\s?generated|automatically generated|generated (?:by|from) )"
    r"|copyright\b|licensed under|spdx-license|permission is hereby|redistribution and use"
    r"|all rights reserved|this (?:file|program|software|code) is (?:part of|free|licensed|distrib)"
    r"|description of the method|no(?:t yet)? document|missing docu|undocumented|insert desc"
    r"|(?:type|enter|add|write) (?:a )?(?:description|documentation|comment)s? here"
    r"|(?:creates?|constructs?|initiali[sz]es?|instantiates?) (?:an? |the |this )?(?:new )?"
    r"(?:instance|object)\.?$|(?:the )?(?:default |public |private |protected )?constructor\.?$"
    r"|not (?:part of )?(?:the |a )?public api\.?$"
    r"|(?:for )?(?:internal|testing)(?: use| purposes)?(?: only)?\.?$"
    r"|eslint-|pylint:|noqa|nolint|phpcs:|rubocop:|istanbul ignore|ts-ignore|type: ignore"
    r")"
)
_BOILERPLATE_INSIDE = ("auto-generated method", "auto-generated constructor", "(non-javadoc)")
_TODO = re.compile(r"\W{0,8}(?:TODO|FIXME|XXX|HACK)\b")
_RAW_INHERITED = ("inheritdoc", "(non-javadoc)")

_CODE_START = re.compile(
    r"(?:if|for|while|switch|elsif|unless|foreach|catch)\s?\(.*[)){};]$"
    r"|(?:var|let|const|int|auto|final|val|static|public|private|protected)\s[\w<>\[\], ]{1,80}="
    r"|(?:def|func|fn|function)\s\w+\s?\("
    r"|\$?[\w.\[\]>-]{1,80}\s(?:[-+*/|&:]|<<)?=\s\S"
    r"|[\w.$:>-]{1,80}\([^()]{0,200}\);?$"
    r"|from [\w.]+ import |import [\w.*{}, ]+;|#(?:include|define|if|endif)\b|@\w+\("
)
_CODE_SYMBOLS = b";{}()=<>[]+*/|&!$\\^~@#"
_PLACEHOLDERS = re.compile(r"<(?:EMAIL|IP|KEY)>")


def refuse_function(
    *,
    name: str,
    language: str,
    code: str,
    documentation: str,
    trivial: bool,
    test: bool,
    options: FilterOptions,
) -> tuple[str, str]:
    """Reason and detail to refuse a documented function by what it is; ("", "") for none.

    `test`: the module or class it stands in makes it one.
    """
    if options.tests == "drop" and is_test(
        name, language, code, documentation=documentation, known=test
    ):
        return "test_code", name
    if options.special_methods == "drop" and is_special(name, language, code):
        return "special_method", name
    if trivial and options.trivial == "drop":
        return "trivial_body", name
    return "", ""


def refuse_query(query: str, documentation: str, options: FilterOptions) -> tuple[str, str]:
    """Reason and detail to refuse a final query; `documentation` is what it was taken from."""
    if not query:
        raw = documentation.lower()
        inherited = any(tag in raw for tag in _RAW_INHERITED)
        return ("query_boilerplate" if inherited else "query_empty"), documentation
    if is_boilerplate(query):
        return "query_boilerplate", query
    if looks_like_code(query):
        return "query_is_commented_code", query
    if not is_latin(query):
        return "query_not_latin", query
    if len(query) < options.min_query_chars:
        return "query_too_short", query
    words = query.split()
    if len(words) > options.max_query_words:
        return "query_too_long", f"{len(words)} words"
    if count_words(words, options.min_query_words) < options.min_query_words:
        return "query_too_few_words", query
    return "", ""


def refuse_code(code: str, options: FilterOptions) -> tuple[str, str]:
    """Reason and detail to refuse a final code text by its length in characters."""
    size = len(code)
    if size < options.min_code_chars:
        return "code_too_short", f"{size} characters"
    if size > options.max_code_chars:
        return "code_too_long", f"{size} characters"
    return "", ""


def query_in_code(query: str, code: str) -> bool:
    """Whether the code gives the query away: `fold(query) in fold(code)`."""
    return fold(query) in fold(code)


def is_boilerplate(query: str) -> bool:
    """Whether a query says nothing about its function: inherited, to do, deprecated, ..."""
    lowered = query.lower()
    if _BOILERPLATE.match(lowered) is not None or _TODO.match(query) is not None:
        return True
    return any(phrase in lowered for phrase in _BOILERPLATE_INSIDE)


def looks_like_code(query: str) -> bool:
    """Whether a query is commented-out code: a statement, or a quarter and more of symbols."""
    if _CODE_START.match(query) is not None:
        return True
    if query.endswith(("{", "};", ");")):
        return True
    text = _PLACEHOLDERS.sub("x", query) if "<" in query else query
    # One byte a character: deleting bytes takes a tenth of what deleting characters takes.
    plain = text.encode("ascii", "replace")
    symbols = len(plain) - len(plain.translate(None, _CODE_SYMBOLS))
    return symbols * 4 >= len(text) - text.count(" ")


def is_latin(query: str) -> bool:
    """Whether at least half of the letters are Latin (and there is a letter at all)."""
    if query.isascii():
        return any(map(str.isalpha, query))
    letters = [c for c in query if c.isalpha()]
    latin = sum(1 for c in letters if c < "\u0250" or "\u1e00" <= c <= "\u1eff")
    return bool(letters) and latin * 2 >= len(letters)


def count_words(words: list[str], enough: int) -> int:
    """How many of `words` hold a letter or a digit, counted up to `enough`."""
    count = 0
    for word in words:
        if word.isalnum() or any(c.isalnum() for c in word):
            count += 1
            if count >= enough:
                break
    return count
