"""Markup inside a piece of documentation: inline tags, links, HTML, URLs.

Each function takes and returns one line of text (white space already folded) and does one
thing; `plain` runs them in order, each behind a substring test, so that text without markup
costs well under a microsecond a step.
Limits: every regular expression is linear in the text: quantifiers that could give back are
possessive or bounded. Only known HTML tags are stripped, so that `List<String>` and `Vec<u8>`
survive.
"""

from __future__ import annotations

import html
import re
import unicodedata

from extract.words import word_set

_INLINE_TAG = re.compile(r"\{@(\w{1,32})((?:\s[^{}]*+)?)\}")
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]]*+)\]\([^()]*+\)")
# A link to an item stands apart: `[]byte`, `map[string]int`, `s[i]`, `&[u8]` and `m[i][j]` are
# expressions. (Go asks for the same: https://go.dev/doc/comment#doclinks.)
_APART = r"(?<![\w\])&*.<`])(?<!&mut )(?<!&'\w )"
_MARKDOWN_REFERENCE = re.compile(_APART + r"\[([^\[\]]++)\]\[[^\[\]]*+\](?![\w\[])")
_TICKED_REFERENCE = re.compile(r"\[(`[^`]++`)\](?!\()")
_CODE_REFERENCE = re.compile(_APART + r"\[([*&#]?[^\W\d][\w.:#]++(?:\(\))?)\](?![(\[`>]|(?!s\b)\w)")
_ROLE = re.compile(r":[A-Za-z][\w:.+-]{0,40}:`([^`]*+)`")
_RST_LINK = re.compile(r"`([^`<>]*\s)<[^`<>]*+>`_{0,2}")
_RDOC_CODE = re.compile(r"(?<![\w+])\+([\w:.#?!=]++)\+(?![\w+])")
_RDOC_DIRECTIVE = re.compile(r":(?:nodoc|stopdoc|startdoc|doc|notnew|enddoc|yields|call-seq):")
_STRONG = re.compile(r"(?<!\w)(\*\*|__)(?=\w)([^*_]++)\1(?!\w)")
_COMMENT = re.compile(r"<!--[^<>]*+>")
_TAG = re.compile(
    r"</?(?:a|abbr|acronym|b|big|blockquote|br|center|cite|code|dd|del|dfn|div|dl|dt|em|font"
    r"|h[1-6]|hr|i|img|ins|kbd|li|link|nobr|note|ol|p|para|pre|q|remarks|s|samp|see|small|span"
    r"|strike|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var)"
    r"(?:\s[^<>]*+)?/?>",
    re.IGNORECASE,
)
_HUGE_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{8,}+;?")
_SENTENCE_GAP = re.compile(r"(?<=[.!?])\s+")
_URL = re.compile(r"[<(\[\"']?(?:\b(?:https?|ftp|file)://|\bwww\.)[^\s<>\"'`)\]}]++[>)\]\"']?")
_REFERRING = re.compile(
    r"\W*(?:see|cf|ref|refer|reference|source|from|via|link|more|taken|adapted|based|docs?)\b",
    re.IGNORECASE,
)
_EMPTY_BRACKETS = re.compile(r"\(\s*+\)|\[\s*+\]|<\s*+>")
_RULER = re.compile(r"[-=*#_~+]{5,}+")
_LEAD = re.compile(r"(?:[-*#=>|~:;,.\u2022\u2013\u2014]++\s++)+")
_MIN_SENTENCE_WORDS = 3


def plain(text: str, language: str) -> str:
    """`text` as a sentence: markup unwrapped, HTML and URLs out, white space folded."""
    if "{@" in text:
        text = _INLINE_TAG.sub(_inline_tag, text)
    if "`" in text:
        text = unquote_code(text, language)
    if "](" in text:
        text = _MARKDOWN_LINK.sub(_link_label, text)
    if "[" in text and language in ("rust", "go"):
        text = _TICKED_REFERENCE.sub(r"\1", _MARKDOWN_REFERENCE.sub(r"\1", text))
        text = _CODE_REFERENCE.sub(r"\1", text)
    if language == "ruby":
        text = _RDOC_DIRECTIVE.sub(" ", _RDOC_CODE.sub(r"\1", text))
    text = text.replace("`", "")
    if "**" in text or "__" in text:
        text = _STRONG.sub(r"\2", text)
    if "<" in text or "&" in text:
        text = strip_html(text)
    if "://" in text or "www." in text:
        text = drop_urls(text)
    return tidy(text)


def unquote_code(text: str, language: str) -> str:
    """Roles (:class:`~a.B`), RST links and back-ticks unwrapped to what a reader sees."""
    if ":`" in text:
        text = _ROLE.sub(_role_label, text)
    return _RST_LINK.sub(r"\1", text) if "<" in text else text


def strip_html(text: str) -> str:
    """Known tags out (block tags leave a space), then character references resolved."""
    if "<" in text:
        text = _TAG.sub(_tag_gap, _COMMENT.sub(" ", text))
    if "&" in text:
        # int() refuses longer digit strings with an error.
        text = html.unescape(_HUGE_REFERENCE.sub(" ", text))
    return text


def drop_urls(text: str) -> str:
    """URLs out; a sentence with fewer than 3 words left, or that only refers, goes with them."""
    kept = []
    for sentence in _SENTENCE_GAP.split(text):
        rest = _URL.sub(" ", sentence)
        if rest == sentence:
            kept.append(sentence)
            continue
        rest = _EMPTY_BRACKETS.sub(" ", rest)
        if len(rest.split()) >= _MIN_SENTENCE_WORDS and not _REFERRING.match(rest):
            kept.append(rest)
    return " ".join(kept)


def tidy(text: str) -> str:
    """Rulers, invisible characters, bullets and dangling punctuation out; NFC; spaces folded."""
    text = " ".join(_RULER.sub(" ", text).split())
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = " ".join(drop_controls(text).split())
    lead = _LEAD.match(text)
    if lead is not None:
        text = text[lead.end() :]
    text = text.rstrip(" :;,-")
    if text.endswith(("e.g.", "i.e.")):
        # The example stood in what was cut off.
        text = text[:-4].rstrip(" :;,-(")
    return text


def drop_controls(text: str) -> str:
    """Without control, format, surrogate and private characters; their white space kept."""
    return "".join(
        c
        for c in text
        if c.isprintable() or c.isspace() or unicodedata.category(c) not in _INVISIBLE
    )


_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))


def _inline_tag(match: re.Match[str]) -> str:
    """{@link A#b the label} -> the label; {@code x} -> x; {@inheritDoc} -> nothing."""
    kind, body = match[1].lower(), match[2].strip()
    if kind in ("inheritdoc", "docroot"):
        return ""
    if kind not in ("link", "linkplain", "see", "value", "tutorial"):
        return body
    target, _, label = body.replace("|", " ").partition(" ")
    if "(" in target and ")" not in target:
        parameters, _, label = label.partition(")")
        target = f"{target} {parameters})"
    return label.strip() or target.lstrip("#").replace("#", ".")


def _link_label(match: re.Match[str]) -> str:
    return "" if match[0].startswith("!") else match[1]


def _role_label(match: re.Match[str]) -> str:
    """`~a.b.C` shows as C, `title <target>` as title, `!x` as x."""
    body = match[1]
    title, bracket, _ = body.partition("<")
    if bracket and title.strip():
        return title.strip()
    if body.startswith("~"):
        return body[1:].rpartition(".")[2]
    return body.lstrip("!.")


def _tag_gap(match: re.Match[str]) -> str:
    # <b>x</b>s reads as one word, <li>x<li>y as two.
    name = match[0].strip("</>").split(None, 1)[0].lower()
    return "" if name in _WITHIN_A_WORD else " "


_WITHIN_A_WORD = word_set("a abbr b big code em font i kbd s small span strong sub sup tt u")
