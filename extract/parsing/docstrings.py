"""Raw documentation to its text: delimiters and leaders off, dedented; nothing else is changed.

Method: a Python docstring is evaluated as the literal it is (`ast.literal_eval`, and a small
lexer for what only Python 2 accepts) and cleaned by `inspect.cleandoc`, so that it equals
`ast.get_docstring(clean=True)`; comments lose their leaders line by line.
Cost: linear; a docstring without backslash is sliced, not evaluated.
Limits: lone surrogates (which no UTF-8 file can hold) become "?"; a Rust `#[doc]` attribute
whose value is a macro is no documentation.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

from extract.parsing.python_ast import literal_of

_LITERAL = re.compile(r"([A-Za-z]{0,2})(\"\"\"|'''|\"|')(.*)\2\Z", re.S)
_BLOCK_STARTS = frozenset((b"/*", b"=b", b"#["))
"""Of block comments, Ruby's `=begin` and Rust's attributes."""
# A line end in front is found at memory speed; "^" is tried at every character.
_LEADER = re.compile(r"\n(?:/{2,}!?|#+)[ ]?")
_STAR = re.compile(r"\n[ \t]*\*[ ]?")
_OPEN = re.compile(r"/\*+!?")
_ATTRIBUTE = re.compile(r"#\[\s*doc\s*=\s*(r?)(#*)\"(.*)\"\2\s*\]\Z", re.S)
_RUST_ESCAPE = re.compile(r"\\(?:\n\s*|x([0-7][0-9a-fA-F])|u\{([0-9a-fA-F_]{1,8})\}|(.))", re.S)
_MAX_BLANK = 100
"""Lines before the text of a docstring."""
_RUST_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def python_docstring(raw: str) -> str | None:
    """The cleaned text of the string expression `raw`; None if it is no docstring.

    Byte strings, f-strings, t-strings and other expressions are none (as in `ast`).
    """
    value = _string_value(raw)
    if value is None:
        return None
    return inspect.cleandoc(_less_blank(value)).encode("utf-8", "replace").decode("utf-8")


def _less_blank(value: str) -> str:
    """`value` with one line end before its text where it has very many.

    `cleandoc` takes blank lines off the start of a list one by one: 100,000 take 2 s.
    """
    text = value.lstrip()
    blank = value[: len(value) - len(text)]
    if blank.count("\n") <= _MAX_BLANK:
        return value
    return "\n" + blank.rpartition("\n")[2] + text


def _string_value(raw: str) -> str | None:
    literal = _LITERAL.match(raw)
    if literal is not None:
        prefix, quote, inner = literal.groups()
        plain = quote not in inner and "\\" not in inner and not inner.endswith(quote[0])
        if plain and prefix.lower() in ("", "u", "r"):
            return inner.replace("\r\n", "\n").replace("\r", "\n")
    try:
        value = literal_of(raw)
    except ValueError:
        return _python2_value(raw)
    return value if isinstance(value, str) else None


def _python2_value(raw: str) -> str | None:
    """What Python 2 alone accepts (`ur"..."`): the characters between the quotes."""
    literal = _LITERAL.match(raw)
    if literal is None or literal[1].lower() not in ("", "u", "r", "ur"):
        return None
    quote, inner = literal[2], literal[3]
    return None if quote in inner.replace("\\" + quote[0], "") else inner.replace("\r\n", "\n")


def comment_text(raws: Sequence[bytes]) -> str:
    """The text of comments and attributes that follow each other, in file order (UTF-8)."""
    joined = b"\n".join(raws).decode("utf-8").replace("\r\n", "\n").replace("\r", "")
    if _BLOCK_STARTS.isdisjoint([raw[:2] for raw in raws]):
        lines = _dedented(_LEADER.sub("\n", f"\n{joined}").split("\n")[1:])
    elif len(raws) == 1:
        lines = _piece(joined)
    else:
        lines = [line for raw in raws for line in comment_text([raw]).split("\n")]
    return "\n".join(map(str.rstrip, lines)).strip("\n")


def _piece(text: str) -> list[str]:
    return _attribute(text) if text.startswith("#[") else _block(text)


def _dedented(lines: list[str]) -> list[str]:
    margin = -1
    for line in lines:
        if line and not line[0].isspace():
            return lines
        if line.strip():
            indent = len(line) - len(line.lstrip())
            margin = indent if margin < 0 else min(margin, indent)
    return [line[margin:] for line in lines] if margin > 0 else lines


def _block(text: str) -> list[str]:
    if text.startswith("=begin"):
        body = text.rstrip().split("\n")[1:]
        return _dedented(body[:-1] if body and body[-1].startswith("=end") else body)
    opening = _OPEN.match(text)
    inner = text[opening.end() if opening is not None else 0 :].rstrip()
    if inner.endswith("*/"):
        inner = inner[:-1].rstrip("*")
    first, *rest = _STAR.sub("\n", inner).split("\n")
    return [first.strip(), *_dedented(rest)]


def _attribute(text: str) -> list[str]:
    match = _ATTRIBUTE.match(text)
    if match is None:
        return []
    value = match[3] if match[1] else _RUST_ESCAPE.sub(_unescaped, match[3])
    lines = value.split("\n")
    # `#[doc = " text"]` is what `/// text` stands for, with its space.
    return _dedented([line[1:] if line.startswith(" ") else line for line in lines])


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or (match[2] or "").replace("_", "")
    if digits:
        code = int(digits, 16)
        return chr(code) if code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"
    letter = match[3] or ""
    return _RUST_LETTERS.get(letter, letter)
