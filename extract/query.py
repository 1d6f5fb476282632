"""Documentation to a query: the first thing it says, in plain words.

Method, in order: cap at 20,000 characters; cut at the first tag or section (`@param`, `:param:`,
`Args:`, `Parameters` underlined, `# Examples`, doctest, fence); first paragraph, with the next
joined while under 15 characters; markup, HTML and URLs out (`extract.markup`); NFC and white
space folded. Documentation of tags only falls back to its `@description`, else to what it
says it returns.
A long query is cut, not dropped, by `cut_query`: the caller redacts first, so that no half of a
secret survives the cut.
Cost: 4-7 us a documentation; 1 MB of hostile text under 0.05 s.
Limits: sections are known by their English names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from extract.markup import drop_controls, plain

MAX_DOCUMENTATION = 20_000
_JOIN_BELOW = 15
_BLOCK = re.compile(r"</?(?:p|ul|ol|dl|h[1-6]|table|blockquote|hr|div)(?:\s[^<>]*+)?/?>", re.I)
_BREAKS = re.compile(r"<br\s?/?>\s*+<br\s?/?>", re.I)
_SUMMARY = re.compile(r"<summary>", re.I)
_RULER_LINE = re.compile(r"[-=*#_~+.^]{3,}+$")
_SECTION = (
    r"Args|Arguments|Params?|Parameters|Other Parameters|Keyword Args|Keyword Arguments|Inputs?"
    r"|Outputs?|Returns?|Return values?|Yields?|Raises|Throws|Exceptions|Errors|Panics|Safety"
    r"|Aborts|Examples?|Example usage|Usage|Attributes|Notes?|See [Aa]lso|References|Warnings?"
    r"|Warns|Todo|Sample code|Example code|For example|Options|Side [Ee]ffects"
)
_STOP = re.compile(
    r"[@\\][A-Za-z]"
    r"|:(?:param|parameter|arg|argument|key|keyword|type|raises?|except|exception|returns?|rtype"
    r"|var|ivar|cvar|meta|yields?|ytype)\b[^:]{0,200}:"
    rf"|(?:{_SECTION})\s*::?$"
    r"|(?:Parameters|Arguments|Returns|Raises|Yields|Examples|Usage|See Also|Notes|References)$"
    r"|(?:Args|Arguments|Parameters|Params|Returns|Raises|Yields|Throws|Examples?|Usage)\s?:\s"
    rf"|#{{1,6}} (?:{_SECTION})\b"
    r"|>>>|```|~~~|<pre\b|<code>$|\.\. [a-z-]+::|\{@example|<(?:param|returns|remarks|example)\b"
    r"|\$ [a-z]|-----BEGIN "
)
_HEADING = re.compile(r"(?:#{1,6}|={1,4}) (?=\S)")
_DESCRIPTION = re.compile(r"[@\\](?:description|desc|brief|summary|short)\b:?")
_RETURNS = re.compile(r"(?:[@\\]returns?\b|:returns?:|Returns:(?=\s|$))")
_PYTHON_TYPE = re.compile(r"^[\w.\[\]|]{1,60}: ")
_CALL_SEQUENCE = re.compile(r":?call-seq:")
_TAG_START = re.compile(r"[@\\:][A-Za-z]|(?:Args|Arguments|Parameters|Raises|Yields|Throws)\s?:")
_SENTENCE_END = re.compile(r"[.!?](?=\s)")


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedQuery:
    """A query before redaction and cutting; `text` is "" when nothing is left."""

    text: str
    source: str
    """documentation, description or returns: what part of the documentation it is."""


def normalise_query(documentation: str, language: str, doc_kind: str) -> NormalisedQuery:
    """The query that `documentation` (delimiters stripped, dedented) gives.

    `doc_kind` is "docstring", "doc_comment", "line_comment" or ""; tags are looked for in
    the first two and in "" only, since a plain comment has none; Ruby's (YARD) have.
    """
    documentation = _prepare(documentation)
    text = _first_words(documentation, language)
    if text or (doc_kind == "line_comment" and language != "ruby"):
        return NormalisedQuery(text=text, source="documentation")
    text = _tagged(documentation, _DESCRIPTION, language)
    if text:
        return NormalisedQuery(text=text, source="description")
    text = _tagged(documentation, _RETURNS, language)
    return NormalisedQuery(text=text, source="returns" if text else "documentation")


def fold(text: str) -> str:
    """The form in which query and code are compared and query groups are made.

    NFC, then case-folded, then white space folded to single spaces and stripped.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


def cut_query(text: str, limit: int) -> str:
    """`text`, if longer than `limit` characters cut at the last sentence end in its second
    half, else at the last space, else hard."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    ends = [match.end() for match in _SENTENCE_END.finditer(head)]
    if ends and ends[-1] * 2 >= limit:
        return head[: ends[-1]]
    space = head.rfind(" ")
    return head[:space].rstrip(" :;,-") if space > 0 else head[:limit]


def _prepare(documentation: str) -> str:
    text = documentation[:MAX_DOCUMENTATION]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.replace("\n", "").isprintable():
        text = drop_controls(text)
    if "<" in text:
        text = _block_tags(text)
    return text


def _block_tags(text: str) -> str:
    """Block tags start a paragraph; of an XML summary only its inside is looked at."""
    summary = _SUMMARY.search(text)
    if summary is not None:
        text = text[summary.end() :].partition("</summary>")[0]
    return _BLOCK.sub("\n\n", _BREAKS.sub("\n\n", text))


def _first_words(documentation: str, language: str) -> str:
    text = ""
    for paragraph in _paragraphs(documentation):
        text = f"{text} {paragraph}" if text else paragraph
        said = plain(text, language)
        if len(said) >= _JOIN_BELOW:
            return said
    return plain(text, language) if text else ""


def _paragraphs(documentation: str) -> Iterator[str]:
    """Paragraphs up to the first tag or section, each on one line."""
    lines: list[str] = []
    seen = False
    for line in _body(documentation):
        if not line or _RULER_LINE.match(line):
            if lines:
                yield " ".join(lines)
                lines = []
            continue
        if not seen and line.startswith("@template"):
            # Type parameters may be declared before the description.
            continue
        if _STOP.match(line):
            break
        heading = _HEADING.match(line)
        if heading is not None:
            if seen:
                break
            line = line[heading.end() :]
        seen = True
        lines.append(line)
        if line.endswith("::"):
            break
    if lines:
        yield " ".join(lines)


def _body(documentation: str) -> Iterator[str]:
    """Stripped lines, without RDoc's call sequence (an indented block at the start)."""
    skipping = _CALL_SEQUENCE.match(documentation.lstrip()) is not None
    for number, line in enumerate(documentation.split("\n")):
        stripped = line.strip()
        if skipping and (number == 0 or not stripped or line[0] in " \t:c"):
            continue
        skipping = False
        yield stripped


def _tagged(documentation: str, tag: re.Pattern[str], language: str) -> str:
    """What the first `tag` says: its line and the ones below, up to a blank or another tag."""
    lines = iter(documentation.split("\n"))
    for line in lines:
        found = tag.match(line.strip())
        if found is None:
            continue
        said = [line.strip()[found.end() :].strip()]
        for after in lines:
            after = after.strip()
            if (not after and any(said)) or _TAG_START.match(after) or _STOP.match(after):
                break
            said.append(after)
        text = " ".join(part for part in said if part)
        if tag is _RETURNS:
            text = _without_type(text, language)
        text = plain(text, language)
        if text:
            return text
    return ""


def _without_type(text: str, language: str) -> str:
    """`{Promise<T>} the user` -> `the user`; YARD has brackets, phpDoc a bare first word."""
    if text.startswith(("{", "[")):
        opening, closing = ("{", "}") if text[0] == "{" else ("[", "]")
        depth = 0
        for place, character in enumerate(text):
            depth += (character == opening) - (character == closing)
            if depth == 0:
                return text[place + 1 :].lstrip(" -\u2013\u2014")
        return ""
    if language == "php":
        return _after_php_type(text)
    if language == "python":
        return _PYTHON_TYPE.sub("", text)
    return text.lstrip(" -\u2013\u2014")


def _after_php_type(text: str) -> str:
    """What follows the first word; a type's brackets may hold spaces (`Has<User, $this>`)."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "<({[") - (character in ">)}]")
        if depth <= 0 and character.isspace():
            return text[place:].lstrip()
    return ""
