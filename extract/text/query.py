"""Documentation to a query: the first thing it says, in plain words.

Method, in order: cap at 20,000 characters; what stands before the description out (asides, call
sequences); cut at the first tag or section (`@param`, `:param:`, `Args:`, `Parameters` underlined,
`# Examples`, doctest, fence); then each paragraph by itself: code hidden and markup unwrapped
(`extract.text.markup`), addresses and notices out, no sentence left dangling
(`extract.text.sentences`), code shown again. The query is the first paragraph that is more than a
notice, with the next joined while under 15 characters. Documentation of tags only falls back to its
`@description`, else to what it says it returns.
A long query is cut, not dropped, by `cut_query`: the caller redacts first, so that no half of a
secret survives the cut.
Cost: 20-25 us a documentation; 1 MB of hostile text under 0.1 s.
Limits: sections are known by their English names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from extract.text.markup import Hidden, drop_controls, has_html, is_noun, unwrap
from extract.text.references import only_refers
from extract.text.sentences import (
    completed,
    goes_on,
    last_sentence,
    tidy,
    without_addresses,
    without_labels,
    without_last_words,
    without_notices,
)

MAX_DOCUMENTATION = 20_000
_JOIN_BELOW = 15
_REFERENCES = 2
"""Sentences at the end of a paragraph that may go because they only refer."""
_BLOCK = re.compile(
    r"`[^`\n]*+`|\{@(?:code|literal)\s[^{}]*+\}"
    r"|</?(?:p|ul|ol|dl|h[1-6]|table|blockquote|hr|div)(?:\s[^<>]*+)?/?>",
    re.IGNORECASE,
)
_BREAKS = re.compile(r"<br\s?/?>\s*+<br\s?/?>", re.I)
_BRACE = re.compile(r"[{}]")
_SUMMARY = re.compile(r"<summary>", re.I)
_DETAILS = re.compile(r"<details\b[^<>]*+>", re.I)
_REST_TARGET = re.compile(r"^[ \t]*\.\. _([^:\n]{1,80}):", re.M)
_REST_REFERENCE = re.compile(r"(?<![\w`-])([A-Za-z][\w-]*+)(?<=[^_]_)(?![\w`])")
_RULER_LINE = re.compile(r"[-=*#_~+.^]{3,}+$")
_SECTION = (
    r"Args|Arguments|Params?|Parameters|Other Parameters|Keyword Args|Keyword Arguments|Inputs?"
    r"|Outputs?|Returns?|Return values?|Yields?|Raises|Throws|Exceptions|Errors|Panics|Safety"
    r"|Aborts|Examples?|Example usage|Usage|Attributes|Notes?|See [Aa]lso|References|Warnings?"
    r"|Warns|Todo|Sample code|Example code|For example|Options|Side [Ee]ffects"
)
_STOP = re.compile(
    r":(?:param|parameter|arg|argument|key|keyword|type|raises?|except|exception|returns?|rtype"
    r"|var|ivar|cvar|meta|yields?|ytype)\b[^:]{0,200}:"
    rf"|(?:{_SECTION})\s*::?$"
    r"|(?:Parameters|Arguments|Returns|Raises|Yields|Examples|Usage|See Also|Notes|References)$"
    r"|(?:Args|Arguments|Parameters|Params|Returns|Raises|Yields|Throws|Examples?|Usage)\s?:\s"
    rf"|#{{1,6}} (?:{_SECTION})\b"
    r"|\.\. [a-z:-]+::|!!! ?[a-z]|\?\?\?\+? ?[a-z]|=== \"|[^\s:]*::$"
    r"|<(?:param|returns|remarks|example|details)\b|-----BEGIN "
    r"|(?P<code>>>>|```|~~~|<pre\b|<code>$|\{@example|\$ [a-z])"
)
_TAG = re.compile(r"@[A-Za-z]|\\(?:param|returns?|brief|throws?|exception|see|note|since|sa)\b")
# `\c`, `@p` and their like stand in the text, also at its beginning.
_DOXYGEN = re.compile(
    r"[@\\](?!(?:[capeb]|em|ref|link|n|rst|endrst|verbatim|code|f\$)\b)[A-Za-z]|[@\\](?:code|verbatim)\b"
)
_TAGS = {
    # A line may begin with a decorator, an instance variable or the name of a class.
    "python": re.compile(
        r"[@\\](?:params?|args?|type|returns?|rtype|raises?|throws|keyword|kwarg|[ic]?var|note|see"
        r"|warning|attention|bug|todo|seealso|requires|author|version|since|deprecated|summary"
        r"|brief|description|desc|short|examples?)\b"
    ),
    "ruby": re.compile(
        r"@(?:abstract|api|attr(?:_reader|_writer)?|author|deprecated|examples?|note|option"
        r"|overload|params?|private|raises?|returns?|see|since|todo|version|yield(?:param|return)?"
        r"|description|desc|throws?)\b|@!"
    ),
    "php": re.compile(r"@[A-Za-z]"),
    "c": _DOXYGEN,
    "cpp": _DOXYGEN,
    "scala": re.compile(r"@[A-Za-z]|\{\{\{"),
    "swift": re.compile(
        r"@[A-Za-z]|[-+*]\s?(?i:parameters?|returns?|throws|note|important|warning|attention"
        r"|precondition|postcondition|invariant|requires|complexity|see ?also|see|author|authors"
        r"|version|since|bug|date|copyright|experiment|remark|tag|todo|example|localizationkey)\b"
        r"[^:]{0,60}:"
    ),
}
_TAG_SIGNS = frozenset("@\\{-+*")
"""What a line begins with that `_TAGS` look at."""
_ASIDE = re.compile(
    r"!!! ?[a-z]|\?\?\?\+? ?[a-z]|:?call-seq:|\.\. (?:note|warning|deprecated|versionadded"
    r"|versionchanged|caution|danger|important|tip|hint|attention|error|seealso|todo|admonition|index)::"
)
_PREAMBLE = re.compile(
    r"@template\b|\.\. (?:_[^:]+:|(?:py:)?(?:function|method|classmethod|staticmethod|currentmodule"
    r"|module)::)"
)
_TOMDOC = re.compile(r"\A(?:Public|Private|Internal|Protected): +")
"""TomDoc's word on who may call a method; it says nothing of what the method does."""
_KERNEL_DOC = re.compile(r"\A[a-z_]\w*+(?:\(\))? +[-\u2013] +(?=\w)")
"""The name that stands before what it does in documentation of the Linux kernel's form."""
_LEADING = {"ruby": _TOMDOC, "c": _KERNEL_DOC, "cpp": _KERNEL_DOC}
_TOMDOC_ARGUMENT = re.compile(r"[a-z_*&][\w*&?]{0,40} {1,20}- ")
_RUBY_LABEL = re.compile(r"(?:[\w*:+.-]{1,40}::|\[[^\[\]]{1,60}\])(?:\s|$)")
_MARKED = re.compile(r"[`\[{<&*_\\~+:@]|''")
"""What all markup holds one of; a paragraph without any is spared its steps."""
_HEADING = re.compile(r"(?:#{1,6}|={1,4}) (?=\S)")
_DESCRIPTION = re.compile(r"[@\\](?:description|desc|brief|summary|short)\b:?")
_RETURNS = re.compile(r"(?:[@\\]returns?\b|:returns?:|Returns:(?=\s|$)|[-+*] [Rr]eturns:(?=\s))")
_PYTHON_TYPE = re.compile(r"^[\w.\[\]|]{1,60}: ")
_TAG_START = re.compile(r"[@\\:][A-Za-z]|(?:Args|Arguments|Parameters|Raises|Yields|Throws)\s?:")


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedQuery:
    """A query before redaction and cutting; `text` is "" when nothing is left."""

    text: str
    source: str
    """documentation, description or returns: what part of the documentation it is."""
    refused: str = ""
    """Why `text` is no query: query_boilerplate or query_dangling; "" where it may be one."""


def normalise_query(documentation: str, language: str, doc_kind: str) -> NormalisedQuery:
    """The query that `documentation` (delimiters stripped, dedented) gives.

    `doc_kind` is "docstring", "doc_comment", "markdown_comment", "line_comment" or ""; tags are
    looked for in all but plain line comments, which have none; Ruby's (YARD) have.
    """
    if doc_kind == "markdown_comment":
        # Java's `///` is Markdown with links to code in brackets, as Rust's is.
        language = "rust"
    documentation = _prepare(documentation, language)
    text, refused = _first_words(documentation, language)
    if text or (doc_kind == "line_comment" and language != "ruby"):
        return NormalisedQuery(text=text, source="documentation", refused=refused)
    if language == "ruby" and (overload := _overload(documentation)):
        text, refused = _first_words(overload, language)
        if text:
            return NormalisedQuery(text=text, source="description", refused=refused)
    for tag, source in ((_DESCRIPTION, "description"), (_RETURNS, "returns")):
        text, refused = _tagged(documentation, tag, language)
        if text:
            return NormalisedQuery(text=text, source=source, refused=refused)
    return NormalisedQuery(text="", source="documentation")


def fold(text: str) -> str:
    """The form in which query and code are compared and query groups are made.

    NFC, then case-folded, then white space folded to single spaces and stripped.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


def cut_query(text: str, limit: int) -> str:
    """`text`, if longer than `limit` characters cut at the last sentence end in its second
    half, else before the last word that may end it, else hard."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    end = last_sentence(head)
    if end * 2 >= limit:
        return head[:end]
    space = head.rfind(" ")
    return without_last_words(head[:space]) or head[:space] if space > 0 else head[:limit]


def _prepare(documentation: str, language: str) -> str:
    text = documentation[:MAX_DOCUMENTATION]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.replace("\n", "").isprintable():
        text = drop_controls(text)
    if "<" in text and (has_html(language) or language == "rust"):
        text = _without_details(text)
        if has_html(language):
            text = _block_tags(text)
    if "{@snippet" in text:
        text = _without_snippets(text)
    if language == "python" and ".. _" in text:
        text = _without_reference_marks(text)
    return text


def _without_snippets(text: str) -> str:
    """Without Javadoc's code samples, `{@snippet ...}` up to its own closing brace."""
    kept, _, rest = text.partition("{@snippet")
    while rest:
        depth = 1
        end = len(rest)
        for brace in _BRACE.finditer(rest):
            depth += 1 if brace[0] == "{" else -1
            if not depth:
                end = brace.end()
                break
        before, _, rest = rest[end:].partition("{@snippet")
        kept += "\n\n" + before
    return kept


def _without_details(text: str) -> str:
    """Without what a page shows on a click only."""
    if "<d" not in text and "<D" not in text:
        return text
    kept = ""
    while (details := _DETAILS.search(text)) is not None:
        kept += text[: details.start()] + "\n\n"
        text = text[details.end() :].partition("</details>")[2]
    return kept + text


def _block_tags(text: str) -> str:
    """Block tags start a paragraph; of an XML summary only its inside is looked at."""
    if "<s" in text or "<S" in text:
        summary = _SUMMARY.search(text)
        if summary is not None:
            text = text[summary.end() :].partition("</summary>")[0]
    if "<b" in text or "<B" in text:
        text = _BREAKS.sub("\n\n", text)
    return _BLOCK.sub(_gap_for_tag, text)


def _gap_for_tag(match: re.Match[str]) -> str:
    return match[0] if match[0][0] != "<" or is_noun(match) else "\n\n"


def _without_reference_marks(text: str) -> str:
    """reST's `word_` is a link where the text holds `.. _word:`; elsewhere it is a name."""
    targets = {target.strip("`").lower() for target in _REST_TARGET.findall(text)}
    return _REST_REFERENCE.sub(
        lambda match: match[1][:-1] if match[1][:-1].lower() in targets else match[0], text
    )


def _first_words(documentation: str, language: str) -> tuple[str, str]:
    """The first paragraph, and why it is no query where it is none."""
    sentence = ""
    notice = ""
    for paragraph, cut in _paragraphs(documentation, language):
        text, refused = _plain(paragraph, language, cut=cut)
        if refused == "query_boilerplate" or (notice and not sentence and goes_on(text)):
            notice = notice or text
            continue
        if refused and not sentence:
            return text, refused
        if text:
            sentence = f"{sentence} {text}" if sentence else text
        # What a paragraph announced stands in the next one.
        whole = text and text.rpartition(" ")[2] in paragraph[-40:]
        announced = paragraph.endswith(":") and " " in paragraph and not whole
        if len(sentence) >= _JOIN_BELOW or announced:
            break
    if not sentence and notice:
        return notice, "query_boilerplate"
    return sentence, ""


def _plain(paragraph: str, language: str, *, cut: bool) -> tuple[str, str]:
    """A paragraph (one line) as sentences, and why they are no query where they are none."""
    hidden = Hidden()
    if _MARKED.search(paragraph) is not None:
        paragraph = unwrap(paragraph, language, hidden)
    if language in _LEADING:
        paragraph = _LEADING[language].sub("", paragraph)
    text = tidy(without_addresses(paragraph))
    described = without_notices(text)
    refused = "query_boilerplate" if text and not described else ""
    if described:
        text = without_labels(described)
        text, dangling = completed(text, cut=cut or len(text) < len(described))
        refused = "query_dangling" if dangling else ""
        if not refused and only_refers(text):
            refused = "query_boilerplate"
        for _ in range(_REFERENCES if ". See" in text else 0):
            last = last_sentence(text)
            text = text[:last] if only_refers(text[last:].lstrip()) else text
    if not text.isascii():
        text = unicodedata.normalize("NFC", " ".join(hidden.show(text).split()))
    return text.rstrip(" ;,"), refused


def _paragraphs(documentation: str, language: str) -> Iterator[tuple[str, bool]]:
    """Paragraphs up to the first tag or section, each on one line, and whether code follows."""
    tags = _TAGS.get(language, _TAG)
    lines: list[str] = []
    seen = cut = False
    for line in _description(documentation, language):
        if not line or (not line[0].isalnum() and _RULER_LINE.match(line)):
            if lines:
                yield " ".join(lines), False
                lines = []
            continue
        # No section begins in lower case: most lines are spared the search.
        stop = None if line[0].islower() and not line.endswith("::") else _STOP.match(line)
        if stop is not None or (line[0] in _TAG_SIGNS and tags.match(line)):
            cut = stop is not None and stop["code"] is not None
            break
        if language == "ruby" and (seen or line[0] != "[") and _RUBY_LABEL.match(line):
            break
        if language == "ruby" and seen and not lines and _TOMDOC_ARGUMENT.match(line):
            break
        heading = _HEADING.match(line) if line[0] in "#=" else None
        if heading is not None:
            if seen:
                break
            line = line[heading.end() :]
        seen = True
        lines.append(line)
        if line.endswith("::"):
            break
    if lines:
        yield " ".join(lines), cut


def _description(documentation: str, language: str) -> Iterator[str]:
    """Stripped lines, without what may stand before a description: an aside and the lines indented
    below it, a call sequence, type parameters, YARD's tags."""
    margin = -1
    tagged = False
    lines = iter(documentation.split("\n"))
    for line in lines:
        stripped = line.strip()
        if not stripped:
            yield ""
            continue
        if margin >= 0 and (
            len(line) - len(line.lstrip()) > margin or (tagged and not stripped[0].isupper())
        ):
            continue
        tagged = language == "ruby" and _TAGS["ruby"].match(stripped) is not None
        if tagged or _ASIDE.match(stripped):
            margin = len(line) - len(line.lstrip())
        elif not _PREAMBLE.match(stripped):
            yield stripped
            if stripped[0].isalnum() or _RULER_LINE.match(stripped) is None:
                break
    yield from map(str.strip, lines)


def _overload(documentation: str) -> str:
    """What stands indented below YARD's first `@overload`; "" where there is none."""
    inside = -1
    kept: list[str] = []
    for line in documentation.split("\n"):
        stripped = line.lstrip()
        indent = len(line) - len(stripped)
        if inside >= 0 and stripped and indent <= inside:
            break
        if inside >= 0:
            kept.append(stripped)
        elif stripped.startswith("@overload"):
            inside = indent
    return "\n".join(kept)


def _tagged(documentation: str, tag: re.Pattern[str], language: str) -> tuple[str, str]:
    """What the first `tag` says: its line and the ones below, up to a blank or another tag."""
    lines = iter(documentation.split("\n"))
    for line in lines:
        tag_match = tag.match(line.strip())
        if tag_match is None:
            continue
        lines_said = [line.strip()[tag_match.end() :].strip()]
        for after in lines:
            after = after.strip()
            if (not after and any(lines_said)) or _TAG_START.match(after) or _STOP.match(after):
                break
            lines_said.append(after)
        text = " ".join(part for part in lines_said if part)
        if tag is _RETURNS:
            text = _without_type(text, language)
        text, refused = _plain(text, language, cut=False)
        if text:
            return text, refused
    return "", ""


def _without_type(text: str, language: str) -> str:
    """`{Promise<T>} the user` -> `the user`; YARD has brackets, phpDoc a bare first word."""
    if text.startswith(("{", "[")):
        opening, closing = ("{", "}") if text[0] == "{" else ("[", "]")
        depth = 0
        for offset, character in enumerate(text):
            depth += (character == opening) - (character == closing)
            if depth == 0:
                return text[offset + 1 :].lstrip(" -\u2013\u2014")
        return ""
    if language == "php":
        return _after_php_type(text)
    if language == "python":
        return _PYTHON_TYPE.sub("", text)
    return text.lstrip(" -\u2013\u2014")


def _after_php_type(text: str) -> str:
    """What follows the first word; a type's brackets may hold spaces (`Has<User, $this>`)."""
    depth = 0
    for offset, character in enumerate(text):
        depth += (character in "<({[") - (character in ">)}]")
        if depth <= 0 and character.isspace():
            return text[offset:].lstrip()
    return ""
