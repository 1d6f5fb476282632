"""What a grammar does not read, made readable at equal length; and which functions of a broken file
can be trusted.

Method: constructs that a pinned grammar is known not to accept are overwritten by bytes of equal
length (blanks, or a keyword it knows), so that every offset of the new tree is one of the file.
The code of a function is always cut out of the file as it was. What is overwritten declares no
function: texts of heredocs, a block handed on, annotations, variance, modifiers. Only a file whose
tree has errors is looked at, and item macros of Rust (`cfg_io! { fn ... }`), whose inside is parsed
as items where it parses alone.
In a file that still has errors a function is trusted only if its own subtree has none, its last
line closes it at the indentation of its first, and no line inside stands further left than that and
begins another: recovery may let a function swallow its neighbours.
Cost: one more parse of a file with errors (10 of 6,500 real ones) or with such macros.
Limits: constructs that are not listed here cost their function, never its neighbours.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator

from tree_sitter import Node

from extract.parsing.doc_comments import Found
from extract.parsing.languages import Language

_NOT_NEWLINE = re.compile(rb"[^\r\n]")
_HEREDOC = re.compile(rb"<<[~-]?(?P<quote>[\"'`]?)(?P<name>[A-Z_a-z]\w*+)(?P=quote)")
_HEREDOC_END = re.compile(rb"^[^\S\n]*+([A-Z_a-z]\w*+)\r?$", re.M)
_HANDED_ON = re.compile(rb",[^\S\n]*+&(?=[^\S\n]{0,80}(?:[\n\r#;]|\Z))")
_ENDLESS = re.compile(
    rb"^[^\S\n]*+def [\w.]++[?!]?(?:\([^()\n]*+\))?[^\S\n]*+=[^\S\n]++([a-z_]\w*+[?!]?[^\S\n]++"
    rb"(?![=+*/%|&<>?.,;{)\]-])(?!(?:if|unless|and|or|do|rescue|while|until)\b)[^\n#{]++)$",
    re.M,
)
_ARRAY_ANNOTATION = re.compile(
    rb"(@[A-Za-z_][\w.]*+(?:\([^()\n]*+\))?)(?=\s{0,80}(?:@[A-Za-z_]\w{0,80}\s{1,80}){0,3}(?:\[\s{0,80}\]|\.\.\.))"
)
_USING = re.compile(
    rb"\b((?:await[^\S\n]++)?using)(?=[^\S\n]++[A-Za-z_$][\w$]*+[^\S\n]*+(?:=|of\b))"
)
_VARIANCE = re.compile(rb"[<,](\s*+(?:in|out|const)(?:\s++out)?(?=\s++[A-Z_$][\w$]*+))")
_TYPE_STAR = re.compile(rb"export(?<=\bexport)[^\S\n]++(type)(?=[^\S\n]++\*)")
_SET_VISIBILITY = re.compile(rb"\b((?:public|protected|private)\(set\))")
_ITEM_MACRO = re.compile(rb"^[^\S\n]*+([A-Za-z_][\w:]*+![^\S\n]*+\{)", re.M)
_CONDITION = re.compile(
    rb"^[ \t]*+#[ \t]*+(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif)\b"
    rb"(?>(?:[^\\\n]|\\\r?\n|\\)*)",
    re.M,
)
_NOT_TAKEN = re.compile(
    rb"[ \t]*+#[ \t]*+if(?:def[ \t]++__cplusplus\b|[ \t]++0\b"
    rb"|[ \t]++defined[ \t]*+\(?[ \t]*+__cplusplus)"
)
_MACROS = (
    re.compile(rb"^[ \t]*+([A-Z][A-Z0-9_]{3,80}(?:\([^()\n]{0,200}\))?)[ \t]*\r?$", re.M),
    re.compile(rb"(?<=[^\s][ \t])([A-Z][A-Z0-9]{0,40}_[A-Z0-9_]{1,80}+)(?=[ \t]+[A-Za-z_~])"),
    re.compile(rb"^[ \t]*+([A-Z][A-Z0-9]{0,40}_[A-Z0-9_]{1,80}+)(?=[ \t]+[A-Z~])", re.M),
    re.compile(rb"\)[ \t]*+([A-Z][A-Z0-9_]{3,80}+)(?=\s{0,80}[{;])"),
)
"""Macros alone on a line, in front of a name, and behind the parameters."""
_SPECIFIER = re.compile(rb"^[ \t]*+([A-Z][A-Z0-9]{0,40}_[A-Z0-9_]{3,80}+)(?=[ \t]+[a-z_])", re.M)
"""A macro that begins a declaration, and so belongs to it."""
PREPROCESSED = frozenset({"c", "cpp", "csharp"})
"""Where what `repaired` overwrites parts no documentation from its function."""
MACRO_ROUNDS = 4
"""How deep item macros are opened in each other."""
_DECLARES = {
    "ruby": rb"def\b|class\b|module\b",
    "python": rb"(?:async[ \t]+)?def\b|class\b|@",
    "go": rb"func\b|type\b|var\b|package\b",
    "rust": rb"(?:pub\b[^\n]{0,40})?(?:fn|impl|mod|struct|enum|trait)\b",
    "java": rb"(?:public|protected|private|static|final|abstract|class|interface|enum|record)\b",
    "php": rb"(?:public|protected|private|static|final|abstract|function|class|interface|trait)\b",
    "javascript": rb"(?:export|function|class|async function)\b",
    "typescript": rb"(?:export|function|class|async function|interface|namespace|public|private"
    rb"|protected)\b",
    "c": rb"(?:static|extern|inline|struct|enum|typedef)\b",
    "cpp": rb"(?:static|extern|inline|class|struct|enum|typedef|template|namespace|virtual"
    rb"|public|private|protected)\b",
    "csharp": rb"(?:public|protected|private|internal|static|class|interface|enum|record|struct"
    rb"|namespace)\b",
    "kotlin": rb"(?:public|protected|private|internal|override|fun|class|interface|object)\b",
    "scala": rb"(?:protected|private|override|def|class|trait|object)\b",
    "swift": rb"(?:public|private|internal|open|fileprivate|static|func|class|struct|enum|protocol"
    rb"|extension|init)\b",
}
_STARTS = {
    language: re.compile(rb"^([^\S\n]*+)(?:" + words + rb")", re.M)
    for language, words in _DECLARES.items()
}


def repaired(language: str, content: bytes) -> bytes:
    """`content` with what the grammar is known not to read overwritten; itself where that is
    nothing."""
    masked = bytearray(content)
    for start, end, instead in _MASKS.get(language, _nothing)(content):
        masked[start:end] = instead or _NOT_NEWLINE.sub(b" ", content[start:end])
    return bytes(masked)


Mask = tuple[int, int, bytes]
"""Start, end, and what is written there: as long, or b"" for blanks."""


def _nothing(_content: bytes) -> Iterator[Mask]:
    yield from ()


def _ruby(content: bytes) -> Iterator[Mask]:
    yield from _heredocs(content)
    for match in _HANDED_ON.finditer(content):
        yield *match.span(), b""
    for match in _ENDLESS.finditer(content):
        # A command call in an endless method: a name of equal length has the same bounds.
        yield *match.span(1), b"x" * (match.end(1) - match.start(1))


def _heredocs(content: bytes) -> Iterator[Mask]:
    """The text of each heredoc, up to its last line; what stands in it declares nothing."""
    ends: defaultdict[bytes, list[int]] = defaultdict(list)
    for match in _HEREDOC_END.finditer(content):
        ends[match[1]].append(match.start())
    at = 0
    for opener in _HEREDOC.finditer(content):
        line = content.rfind(b"\n", 0, opener.start()) + 1
        if opener.start() < at or content[line : opener.start()].lstrip().startswith(b"#"):
            continue
        first = max(content.find(b"\n", opener.end()) + 1, at)
        lasts = ends[opener["name"]]
        last = bisect_left(lasts, first)
        if first and last < len(lasts):
            yield first, lasts[last], b""
            at = lasts[last] + 1


def _java(content: bytes) -> Iterator[Mask]:
    for match in _ARRAY_ANNOTATION.finditer(content):
        yield *match.span(1), b""


def _typescript(content: bytes) -> Iterator[Mask]:
    for match in _USING.finditer(content) if b"using" in content else ():
        yield *match.span(1), b"const".rjust(match.end(1) - match.start(1))
    for pattern in (_VARIANCE, _TYPE_STAR):
        for match in pattern.finditer(content):
            yield *match.span(1), b""


def _php(content: bytes) -> Iterator[Mask]:
    for match in _SET_VISIBILITY.finditer(content):
        yield *match.span(1), b""


def _preprocessed(content: bytes) -> Iterator[Mask]:
    """C, C++ and C#: one branch of each condition.

    It is the first; the second where the first is `#if 0` or asks for C++ (`extern "C"
    {`, which opens a brace in one branch and closes it in another).
    """
    stack: list[tuple[bool, bool]] = []
    dead = -1
    for match in _CONDITION.finditer(content):
        yield *match.span(), b""
        word = match[1]
        if word.startswith(b"if"):
            around = stack[-1][0] if stack else True
            chosen = _NOT_TAKEN.match(match[0]) is None
            stack.append((around and chosen, chosen))
        elif not stack:
            continue
        elif word == b"endif":
            stack.pop()
        else:
            around = stack[-2][0] if len(stack) > 1 else True
            taken = stack[-1][1]
            stack[-1] = (around and not taken, True)
        alive = stack[-1][0] if stack else True
        if alive and dead >= 0:
            yield dead, match.start(), b""
            dead = -1
        elif not alive and dead < 0:
            dead = match.end()
    if dead >= 0:
        yield dead, len(content), b""


def _c(content: bytes) -> Iterator[Mask]:
    """No macros where a declaration has none."""
    yield from _preprocessed(content)
    for match in _SPECIFIER.finditer(content):
        yield *match.span(1), b"const".ljust(match.end(1) - match.start(1))
    for pattern in _MACROS:
        for match in pattern.finditer(content):
            yield *match.span(1), b""


_MASKS: dict[str, Callable[[bytes], Iterator[Mask]]] = {
    "ruby": _ruby,
    "java": _java,
    "javascript": _typescript,
    "typescript": _typescript,
    "php": _php,
    "c": _c,
    "cpp": _c,
    "csharp": _preprocessed,
}


def opened_macros(content: bytes, root: Node, accepts: Callable[[bytes], bool]) -> bytes:
    """Rust with the braces of item macros blanked whose inside holds functions and is accepted."""
    masked = bytearray(content)
    reach = 0
    for match in _ITEM_MACRO.finditer(content):
        start, inside = match.span(1)
        if start < reach:
            continue
        node = root.descendant_for_byte_range(start, start + 1)
        while node is not None and node.type != "macro_invocation":
            node = node.parent
        if node is None or node.start_byte != start or node.parent is None:
            continue
        if node.parent.type not in ("source_file", "declaration_list"):
            continue
        reach = node.end_byte
        body = content[inside : reach - 1]
        if b"fn " in body and content[reach - 1 : reach] == b"}" and accepts(body):
            masked[start:inside] = b" " * (inside - start)
            masked[reach - 1] = 32
    return bytes(masked)


def may_open_macros(content: bytes) -> bool:
    """Whether a Rust file can hold functions inside item macros."""
    return _ITEM_MACRO.search(content) is not None


def is_trusted(row: Language, content: bytes, function: Found) -> bool:
    """Whether the bounds of a function in a file with syntax errors can only be its own."""
    node = function.node
    if node is None:
        return True
    if node.has_error:
        return False
    start, end = function.own, function.end
    line = content.rfind(b"\n", 0, start) + 1
    indent = content[line : start - len(content[line:start].lstrip())]
    last = content.rfind(b"\n", start, end) + 1
    if not last:
        return True
    closing = content[last:end]
    bare = closing.lstrip()
    if row.placement != "body" and bare.startswith((b"}", b"end")):
        if closing[: len(closing) - len(bare)] != indent:
            return False
    elif row.placement != "body" and not content.endswith((b"}", b"end"), start, end):
        return bool(bare)
    inside = content.find(b"\n", start, end) + 1
    return all(
        len(match[1]) > len(indent)
        for match in _STARTS[row.name].finditer(content, inside, max(inside, end))
    )
