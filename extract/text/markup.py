"""Markup inside a piece of documentation: code, inline tags, links, emphasis, HTML.

Method: first what is code or a name is hidden (`Hidden`): each piece becomes one private
character, so that no later step can read markup into `__getitem__`, `a*b*c` or `<table>`. Then
markup is unwrapped by the documentation format of the language, each step behind a substring
test. The caller shows the hidden pieces again when the sentence is whole.
Formats: HTML and XML (Java, PHP, JavaScript, TypeScript and every language without a row here):
tags out, character references resolved. Python: reST with some Markdown. Ruby: RDoc and YARD.
Rust: Markdown. Go: doc links only. In these four neither tags nor references mean anything,
but for paired inline tags in Ruby and Rust. Beside HTML and XML: in C and C++ Doxygen's commands
(`\\c name`), in C# references (`<see cref="A"/>`), in Scala the wiki syntax of Scaladoc, in Kotlin
names in brackets.
Cost: under a microsecond a step for text without markup.
Limits: every regular expression is linear in the text: quantifiers that could give back are
possessive or bounded. Only known HTML tags are stripped, so that `List<String>` survives.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

from extract.text.words import word_set

_NO_HTML = frozenset(("python", "ruby", "go", "rust"))
_NO_EMPHASIS = frozenset(("go",))
_LINKS_NAMES = frozenset(("rust", "go", "kotlin"))
"""Where a name in brackets is a link to it."""

_FIRST_HIDDEN, _MOST_HIDDEN = 0xE000, 0x1900
_HIDDEN = re.compile("[\ue000-\uf8ff]")

_NESTED_TAGS = 3
_INLINE_TAG = re.compile(r"\{@(\w{1,32})((?:\s[^{}]*+)?)\}")
_JSDOC_LINK = re.compile(r"\[([^\[\]]++)\]\{@(?:link|linkcode|linkplain)\s[^{}]*+\}")
_TICKED = re.compile(r"(?<!`)(`{1,3})(?!`)([^`]++)\1(?!`)")
_REST_TICKED = re.compile(
    r"(:[A-Za-z][\w:.+-]{0,40}:)?(?<!`)(`{1,2})(?!`)([^`]++)\2(?!`)(_{0,2}(?!\w))(\\(?: |(?=\w)))?"
)
_ROLE_TITLE = re.compile(r"([^<>]*[^<>\s])\s*<[^<>]*+>\Z")
_REST_TITLE = re.compile(r"([^<>]*\S)\s+<[^<>]*+>\Z")
_REST_ROLE = re.compile(
    r"(?<![\w:]):(?:(?:py|c|js|std):)?(?:class|func|meth|mod|attr|data|exc|obj|const|ref|doc|term"
    r"|pep|rfc|command|option|envvar|file|math|code|any|keyword|type|paramref):\s?(?=[\w~'\"\ue000-\uf8ff])"
)
_FOOTNOTES = r"\[[\w#*.-]{1,40}\]_(?:,? ?(?:and )?\[[\w#*.-]{1,40}\]_){0,9}"
_REST_FOOTNOTE = re.compile(
    rf" ?\((?:see |cf\. ?|e\.g\. ?)?{_FOOTNOTES}\)"
    r"|(?:,?(?: (?:as|see|described|given|defined|proposed|presented|outlined|in|of|from|by|and))"
    rf"{{1,4}})? ?{_FOOTNOTES}(?![\w`])"
)
_TILDE_NAME = re.compile(r"(?<![\w/~])~(?>(?:[A-Za-z_]\w*+\.)+)(?=[A-Za-z_])")
_CODE_TAG = re.compile(r"<(code|tt|kbd|samp)>((?>(?:[^<]|<(?!/|\1\b)){0,400}))</\1>", re.IGNORECASE)
_ADDRESS = re.compile(r"\w{2,8}://\S*+$")
_DUNDER = re.compile(r"(?<!\w)__(?=[A-Za-z])\w++(?<=[^_]__)(?!\w)")
_ESCAPED = re.compile(r"\\([*_`\[\]<>#@|~/])")
_GENERIC = re.compile(r"(?<=\w)<[A-Z](?>(?:, ?[A-Z])*)>")

# A link to an item stands apart: `[]byte`, `map[string]int`, `s[i]`, `&[u8]` and `m[i][j]` are
# expressions. (Go asks for the same: https://go.dev/doc/comment#doclinks.)
_APART = r"(?<![\w\])&*.<`\ue000-\uf8ff])(?<!&mut )(?<!&'\w )"
_LABEL = r"\[((?>(?:[^\[\]]++|\[[^\[\]]*+\])*))\]"
_MARKDOWN_LINK = re.compile(rf"!?(?<![\w\])]){_LABEL}\((?>(?:[^()]++|\([^()]*+\))*)\)")
_MARKDOWN_REFERENCE = re.compile(
    _APART
    + r"\[(?!\^|a-[fz]|A-[FZ])((?=[^\W\d]|[\ue000-\uf8ff*])[^\[\]]++)\]\[[^\[\]]*+\](?![\w\[])"
)
_HIDDEN_REFERENCE = re.compile(r"\[([\ue000-\uf8ff])\](?!\()")
_CODE_REFERENCE = re.compile(
    _APART + r"\[(?!(?i:deprecated)\])([*&#]?[^\W\d][\w.:#]++(?:\(\))?)\](?![(\[`>]|(?!s\b)\w)"
)
_IMPORT_REFERENCE = re.compile(
    r"(?<![\w\])])\[(\*?[a-z][\w.-]{0,60}(?:/[\w-]{1,60}){1,8}\.[A-Z]\w{0,80}(?:\.\w{1,80})?)\]"
    r"(?![(\[\w])"
)
"""Go's link to an item of another package, `[os/exec.Cmd.Run]`."""
_RDOC_CODE = re.compile(r"(?<![\w+])\+([\w:.#?!=]++)\+(?![\w+])")
_RDOC_DIRECTIVE = re.compile(r":(?:nodoc|stopdoc|startdoc|doc|notnew|enddoc|yields|call-seq):")
_RDOC_LINK = re.compile(
    r"\{([^{}]*+)\}\[[^\[\]\s]*+\]|(?<=\w)()\[(?:https?|rdoc-ref|link):[^\[\]]*+\]"
)
_RDOC_ESCAPE = re.compile(r"(?<![\w/\\\"'\]])\\(?=[A-Za-z_]{2})")
_YARD_LINK = re.compile(
    r"(?<![\w}$#])\{((?:::)?[A-Z][\w:]*+(?:[#.]\w+[?!=]?)?|#\w+[?!=]?)(\s[^{}]*+)?\}"
)

_XML_REFERENCE = re.compile(
    r"<(?:see|seealso|paramref|typeparamref)\s+(?:cref|name|langword|href)\s*=\s*"
    r"[\"'](?:[A-Z!]:)?([^\"'<>()]{1,200})(?:\([^\"'<>()]*+\))?[\"']\s*/>"
)
_XML_LABEL = re.compile(r"<(see|seealso)\s[^<>]{0,400}+>([^<>]{0,400}+)</\1>")
_XML_CODE = re.compile(r"<c>([^<>]{0,400}+)</c>")
_CREF_BRACES = {ord("{"): "<", ord("}"): ">"}
_DOXYGEN_CODE = re.compile(r"(?<![\w@\\])[@\\][cp] +([^\s,;]{0,200}[^\s,;.:!?)])")
_DOXYGEN_WORD = re.compile(
    r"(?<![\w@\\])[@\\](?:ref|em|link|endlink|rst|endrst|[aeb])\b ?|(?<![\w@\\])[@\\]n(?=\s|$)"
)
_SCALADOC_LINK = re.compile(r"\[\[([^\[\]\s]++)(\s[^\[\]]*+)?\]\]")
_SCALADOC_CODE = re.compile(r"\{\{\{([^{}]{0,400}+)\}\}\}")
_SCALADOC_EMPHASIS = re.compile(r"(?<![\w'])('{2,3})(?=[^\s'])([^']++)(?<!\s)\1(?![\w'])")

_STRONG = re.compile(
    r"(?<![\w*])\*\*(?=[^\s*])([^*]++)(?<!\s)\*\*(?![\w*])"
    r"|(?<!\w)__(?=[^\s_])((?>(?:[^_]|_(?!_))+))(?<!\s)__(?!\w)"
)
_EMPHASIS = re.compile(
    r"(?<![\w*\\/|])\*(?=[\w\ue000-\uf8ff'\"])([^*]++)(?<=[\w\ue000-\uf8ff.!?'\")])\*(?![\w*/])"
)
_UNDERLINED = re.compile(r"(?<![\w/.$@-])_([A-Za-z][A-Za-z' -]{0,60}+)(?<=\w)_(?![\w/(*]|\.\S)")

_COMMENT = re.compile(r"<!--[^<>]*+>")
_TAG = re.compile(
    r"</?(a|abbr|acronym|b|big|blockquote|br|center|cite|code|dd|del|details|dfn|div|dl|dt|em|font"
    r"|h[1-6]|hr|i|img|ins|kbd|li|link|nobr|note|ol|p|para|pre|q|remarks|s|samp|see|small|span"
    r"|strike|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var)"
    r"(?:\s[^<>]*+)?/?>",
    re.IGNORECASE,
)
_PAIRED = re.compile(r"<(b|i|em|strong|tt|code|kbd|s|del|sub|sup|u)>([^<>]*+)</\1>", re.IGNORECASE)
_RDOC_TAG = re.compile(r"</?(?:tt|code)>")
_NOUN_BEFORE = re.compile(
    r"\b(?:an?|the|each|every|any|all|its|this|that|these|two|one|of|or|and|to|for|with|no"
    r"|like|from|by|as|into|in|inside|outer|inner|root|parent|first|last|new|empty|nested)\s$",
    re.IGNORECASE,
)
_NOUN_AFTER = re.compile(
    r"['\"]?s?\s(?:html\s)?(?:tag|element|node|block|attribute|container|wrapper|component|body"
    r"|cell|row)s?\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_STRESSED = word_set(
    "all and any are before after both can cannot do does every first is last may must never no"
    " not note of only or same should warning will"
)
_WITHIN_A_WORD = word_set("a abbr b big code em font i kbd s small span strong sub sup tt u")


class Hidden:
    """Pieces of text that stand as one private character each until they are shown again.

    Text that holds private characters must not come here: `drop_controls` takes them out.
    """

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def hide(self, fragment: str) -> str:
        """The character that stands for `piece`; `piece` itself where 6,400 are hidden."""
        count = len(self._pieces)
        if not fragment or count == _MOST_HIDDEN:
            return fragment
        self._pieces.append(fragment)
        return chr(_FIRST_HIDDEN + count)

    def show(self, text: str) -> str:
        """`text` with the pieces back, and those inside of pieces."""
        while self._pieces and not text.isascii() and _HIDDEN.search(text) is not None:
            text = _HIDDEN.sub(lambda match: self._pieces[ord(match[0]) - _FIRST_HIDDEN], text)
        return text


def has_html(language: str) -> bool:
    """Whether tags and character references are markup in the documentation of `language`."""
    return language not in _NO_HTML


def unwrap(text: str, language: str, hidden: Hidden) -> str:
    """`text` (one line) without markup; code and names are in `hidden`."""
    text = _hide_code(text, language, hidden)
    if "[" in text:
        text = _links(text, language)
    if language == "ruby":
        text = _rdoc(text)
    elif language == "python":
        text = _rest(text)
    text = text.replace("`", "")
    if language not in _NO_EMPHASIS and ("*" in text or "_" in text):
        text = _emphasis(text, language)
    if "<" in text or "&" in text:
        text = strip_html(text, language)
    return text


def strip_html(text: str, language: str) -> str:
    """Known tags out (block tags leave a space), then character references resolved.

    Nothing changes in a language whose documentation is no HTML, but for paired inline tags in
    Ruby and Rust.
    """
    if not has_html(language):
        if language == "ruby":
            text = _RDOC_TAG.sub("", text)
        return _PAIRED.sub(r"\2", text) if language in ("ruby", "rust") else text
    if "<" in text:
        text = _TAG.sub(_tag_gap, _COMMENT.sub(" ", text))
    return resolved(text)


def resolved(text: str) -> str:
    """Character references that end in a semicolon become their characters."""
    if "&" not in text:
        return text
    return _REFERENCE.sub(lambda match: drop_controls(html.unescape(match[0])), text)


def is_noun(match: re.Match[str]) -> bool:
    """Whether a tag is spoken of ("adds a <table> to", "the <p> element") and marks nothing up.

    It has no attributes, stands apart, and follows an article or its like, or precedes "tag".
    """
    text, start, end = match.string, match.start(), match.end()
    if not start or text[start - 1] != " " or " " in match[0] or match[0].startswith("</"):
        return False
    after = text[end : end + 24]
    if _NOUN_AFTER.match(after) is not None:
        return True
    apart = not after or not (after[0].isalnum() or after[0] == "<")
    ended = after.startswith("\n") or not after.strip()
    return apart and not ended and _NOUN_BEFORE.search(text[max(0, start - 12) : start]) is not None


def drop_controls(text: str) -> str:
    """Without control, format, surrogate and private characters; their white space kept."""
    return "".join(
        c
        for c in text
        if c.isprintable() or c.isspace() or unicodedata.category(c) not in _INVISIBLE
    )


def _hide_code(text: str, language: str, hidden: Hidden) -> str:
    def code(body: str) -> str:
        # An address that stands in ticks is one all the same, and goes with the others.
        body = body.strip()
        return body if _ADDRESS.match(body) is not None else hidden.hide(body)

    hide_own = _OWN_CODE.get(language)
    if hide_own is not None:
        text = hide_own(text, code)
    if "`" in text:
        if language == "python":
            text = _REST_TICKED.sub(lambda match: _rest_ticked(match, code), text)
        else:
            text = _TICKED.sub(lambda match: code(match[2]), text)
    if "{@" in text:
        text = _JSDOC_LINK.sub(r"\1", text)
        for _ in range(_NESTED_TAGS):
            text = _INLINE_TAG.sub(lambda match: _inline_tag(match, code), text)
            if "{@" not in text:
                break
    if "</" in text and (has_html(language) or language == "ruby"):
        decode = resolved if has_html(language) else _without_escape
        text = _CODE_TAG.sub(lambda match: code(decode(match[2])), text)
    if "\\" in text and language not in ("go", "java"):
        text = _ESCAPED.sub(lambda match: hidden.hide(match[1]), text)
    if language == "ruby" and "+" in text:
        text = _RDOC_CODE.sub(lambda match: code(match[1]), text)
    if "__" in text:
        text = _DUNDER.sub(
            lambda match: hidden.hide(match[0]) if _is_name(match[0], language) else match[0], text
        )
    if "<" in text and has_html(language):
        text = _GENERIC.sub(lambda match: hidden.hide(match[0]), text)
    return text


def _xml_references(text: str, code: Callable[[str], str]) -> str:
    """C#: `<see cref="M:A.B(C)"/>` and `<paramref name="x"/>` show as `A.B` and `x`."""
    if "<" not in text:
        return text
    text = _XML_REFERENCE.sub(lambda match: code(match[1].translate(_CREF_BRACES)), text)
    text = _XML_LABEL.sub(r"\2", text)
    return _XML_CODE.sub(lambda match: code(resolved(match[1])), text)


def _doxygen(text: str, code: Callable[[str], str]) -> str:
    """C and C++: `\\c name` is code, `\\ref name` and `\\em word` show as they are."""
    if "\\" in text or "@" in text:
        text = _DOXYGEN_CODE.sub(lambda match: code(match[1]), text)
        text = _DOXYGEN_WORD.sub("", text)
    return text


def _scaladoc(text: str, code: Callable[[str], str]) -> str:
    """Scala: `[[a.B label]]` shows its label or target, `{{{x}}}` is code, quotes are emphasis."""
    if "[[" in text:
        text = _SCALADOC_LINK.sub(lambda match: (match[2] or "").strip() or code(match[1]), text)
    if "{{{" in text:
        text = _SCALADOC_CODE.sub(lambda match: code(match[1]), text)
    return _SCALADOC_EMPHASIS.sub(r"\2", text) if "''" in text else text


_OWN_CODE: Mapping[str, Callable[[str, Callable[[str], str]], str]] = MappingProxyType(
    {"csharp": _xml_references, "c": _doxygen, "cpp": _doxygen, "scala": _scaladoc}
)
"""Markup that one format alone has, by language."""


def _without_escape(code: str) -> str:
    """RDoc's backslash in front of a word keeps it from being made a link."""
    return code[1:] if code.startswith("\\") and code[1:].isidentifier() and code[2:] else code


def _is_name(word: str, language: str) -> bool:
    """`__proto__`, `__FILE__` and all of Python's are names; `__Note__` and `__not__` are none."""
    inner = word[2:-2]
    if language == "python" or inner.isupper():
        return True
    return inner.islower() and not inner.endswith("ly") and inner not in _STRESSED


def _links(text: str, language: str) -> str:
    if "](" in text:
        text = _MARKDOWN_LINK.sub(_link_label, text)
    if "][" in text:
        text = _MARKDOWN_REFERENCE.sub(r"\1", text)
    if language in _LINKS_NAMES:
        text = _CODE_REFERENCE.sub(r"\1", _HIDDEN_REFERENCE.sub(r"\1", text))
        if language == "go" and "/" in text:
            text = _IMPORT_REFERENCE.sub(r"\1", text)
    return text


def _rest(text: str) -> str:
    if "]_" in text:
        text = _REST_FOOTNOTE.sub("", text)
    if ":" in text:
        text = _REST_ROLE.sub("", text)
    return _TILDE_NAME.sub("", text) if "~" in text else text


def _rdoc(text: str) -> str:
    if "{" in text or "[" in text:
        text = _RDOC_LINK.sub(r"\1", text)
        text = _YARD_LINK.sub(lambda match: (match[2] or "").strip() or match[1], text)
    if "\\" in text:
        text = _RDOC_ESCAPE.sub("", text)
    return _RDOC_DIRECTIVE.sub(" ", text) if ":" in text else text


def _emphasis(text: str, language: str) -> str:
    if "**" in text or "__" in text:
        text = _STRONG.sub(lambda match: match[1] or match[2], text)
    if "*" in text:
        text = _EMPHASIS.sub(r"\1", text)
    return text if language == "python" else _UNDERLINED.sub(r"\1", text)


def _inline_tag(match: re.Match[str], code: Callable[[str], str]) -> str:
    """{@link A#b the label} -> the label; {@code x} -> x; {@inheritDoc} -> nothing."""
    kind, body = match[1].lower(), match[2].strip()
    if kind in ("inheritdoc", "docroot"):
        return ""
    if kind in ("code", "literal"):
        return code(body)
    if kind not in ("link", "linkplain", "linkcode", "see", "value", "tutorial"):
        return body
    target, _, label = body.replace("|", " ").partition(" ")
    if "(" in target and ")" not in target:
        parameters, _, label = label.partition(")")
        target = f"{target} {parameters})"
    return label.strip() or code(target.lstrip("#").replace("#", "."))


def _rest_ticked(match: re.Match[str], code: Callable[[str], str]) -> str:
    """`~a.b.C` shows as C, `title <target>` as title, `!x` as x, `text`_ as text."""
    role, ticks, body, link, _ = match.groups()
    body = body.strip()
    if len(ticks) == 2 and not role:
        return code(body) + link
    title = _ROLE_TITLE.match(body) if role else _REST_TITLE.match(body)
    if title is not None:
        return title[1]
    if body.startswith("~"):
        return code(body[1:].rpartition(".")[2] or body)
    if link:
        return body
    # `.Axes` is how Sphinx is asked for the only class of that name, `.txt` is an ending.
    return code(body.lstrip("!.") if role or body[1:2].isupper() else body)


def _link_label(match: re.Match[str]) -> str:
    return "" if match[0].startswith("!") else match[1]


def _tag_gap(match: re.Match[str]) -> str:
    # <b>x</b>s reads as one word, <li>x<li>y as two.
    if is_noun(match):
        return match[0]
    return "" if match[1].lower() in _WITHIN_A_WORD else " "
