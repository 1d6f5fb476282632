"""Rows for `fuzz.py`: real files and texts, cut up and put together wrongly.

Method: a row is a pure function of seed, target and number over the corpus. It is one to four of
the changes in `_CHANGES` to a real file: cut short, spliced with another, a token or a line many
times, deep nesting, odd bytes, one long line, lines out of order, wrong indentation.
Cost: about 0.1 ms a row. Limits: rows of at most `MAX_ROW` bytes.
"""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "extract" / "golden"
LANGUAGES = ("go", "java", "javascript", "php", "python", "ruby", "rust", "typescript")
MAX_ROW = 400_000
FILES_PER_LANGUAGE = 300
_SAMPLE_BYTES = 60_000
_TOKEN = re.compile(rb"\w+|[^\w\s]+|\s+")
_MARKERS = re.compile(r"^[ \t]*(?:/{2,3}|/\*+|\*+/?|#+|\"{3}|'{3})[ ]?|\"{3}|\*/", re.M)
_ODD = (
    *(
        b"\x00",
        b"\r",
        b"\r\n",
        b"\x0c",
        b"\x1b[31m",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
    *(
        "\u2028".encode(),
        "\u202e".encode(),
        "\U0001f600".encode(),
        "e\u0301".encode(),
        b"\\",
        b"\t",
    ),
    *(
        b'"""',
        b"'''",
        b"/**",
        b"*/",
        b"///",
        b"//",
        b"#",
        b"=begin\n",
        b"=end\n",
        b"`",
        b"```",
        b"{@",
    ),
    *(
        b"<a>",
        b"&#64;",
        b"a@b.io",
        b"10.1.2.3",
        b"AKIA",
        b"key=",
        b"[",
        b"](",
        b"::",
        b"@param ",
        b"r'",
    ),
)
_NESTS: Mapping[str, tuple[bytes, ...]] = {
    "go": (b"func F() { ", b"/* a ", b"// a\nfunc f() {\n"),
    "java": (b"class A { void f() { ", b"/** a */ void f() {\n", b"a=>", b"@A("),
    "javascript": (b"function f() { ", b"/** a */\nfunction f() {\n", b"a=>", b"`${"),
    "php": (b"function f() { ", b"/** a */\nfunction f() {\n", b"fn($a)=>", b"<?php "),
    "python": (b"def f():\n ", b"if a:\n\t", b"lambda:", b"f'{", b"a[", b"'''"),
    "ruby": (b"def f\n", b"# a\ndef f\n", b"a.", b"<<A\n#{", b"begin\n"),
    "rust": (b"fn f() { ", b"/// a\nfn f() {\n", b"/* ", b"a!(", b"#[a(", b"|a|"),
    "typescript": (b"function f() { ", b"/** a */\nfunction f() {\n", b"a=>", b"A<", b"(a:"),
}
_OPEN = (
    b"(",
    b"[",
    b"{",
    b"<",
    b"(a",
    b"[a,",
    b"{a:",
    b"**",
    b"_",
    b"`",
    b"{@link ",
    b"<p>",
    b'"',
    b"'",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FuzzRow:
    """One input of one target; made again by the same seed, target and number."""

    target: str
    """A key of `fuzz_targets.TARGETS`."""
    number: int
    kind: str
    """A language, the kind of a documentation, or the format of a table."""
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Real files by language."""

    files: Mapping[str, tuple[bytes, ...]]

    def row(self, seed: int, target: str, number: int) -> FuzzRow:
        """Row `number` of a target."""
        choose = random.Random(f"{seed} {target} {number}")
        language = target if target in LANGUAGES else choose.choice(LANGUAGES)
        kind = language
        if target == "tables":
            kind = choose.choice(("jsonl", "csv", "parquet", "jsonl.gz"))
            content = self._table(choose, kind)
            content = content if kind == "jsonl.gz" else self._changed(choose, language, content)
        else:
            content = choose.choice(self.files[language])
            if target in ("queries", "redaction") or choose.random() < 0.7:
                content = _window(choose, content)
            if target == "queries" and choose.random() < 0.8:
                content = _MARKERS.sub("", content.decode("utf-8", "replace")).encode()
            content = self._changed(choose, language, content)
        return FuzzRow(target=target, number=number, kind=kind, content=content[:MAX_ROW])

    def _changed(self, choose: random.Random, language: str, content: bytes) -> bytes:
        for _ in range(choose.randint(1, 4)):
            other = choose.choice(self.files[language])
            content = choose.choice(_CHANGES)(choose, language, content, other)[:MAX_ROW]
        return content

    def _table(self, choose: random.Random, kind: str) -> bytes:
        rows = []
        for _ in range(choose.randint(1, 60)):
            language = choose.choice(LANGUAGES)
            code = _window(choose, choose.choice(self.files[language]))[:4000]
            text = code.decode("utf-8", "replace").replace("\0", "")
            rows.append({"query": text[:80], "code": text, "language": language})
        if kind == "parquet":
            out = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=choose.randint(1, 40))
            return out.getvalue()
        if kind == "csv":
            cells = [[str(value).replace('"', '""') for value in row.values()] for row in rows]
            lines = ['"' + '","'.join(row) + '"' for row in [["query", "code", "language"], *cells]]
            return ("\n".join(lines) + "\n").encode()
        return ("\n".join(map(json.dumps, rows)) + "\n").encode()


def _window(choose: random.Random, content: bytes) -> bytes:
    start = choose.randrange(max(1, len(content)))
    return content[start : start + choose.randint(10, 6000)]


def _at(choose: random.Random, content: bytes) -> int:
    return choose.randint(0, len(content))


def _truncated(choose: random.Random, _: str, content: bytes, __: bytes) -> bytes:
    return (
        content[_at(choose, content) :]
        if choose.random() < 0.3
        else content[: _at(choose, content)]
    )


def _spliced(choose: random.Random, _: str, content: bytes, other: bytes) -> bytes:
    start = _at(choose, other)
    at = _at(choose, content)
    return content[:at] + other[start : start + choose.randint(1, 5000)] + content[at:]


def _token_repeated(choose: random.Random, _: str, content: bytes, __: bytes) -> bytes:
    match = _TOKEN.search(content, _at(choose, content))
    if match is None:
        return content
    times = choose.choice((2, 10, 100, 5000, 60_000))
    following = _TOKEN.match(content, match.end())
    end = following.end() if following and choose.random() < 0.5 else match.end()
    token = content[match.start() : end]
    return content[: match.start()] + token * min(times, MAX_ROW // len(token)) + content[end:]


def _line_repeated(choose: random.Random, _: str, content: bytes, __: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b"\n"]
    at = choose.randrange(len(lines))
    block = b"".join(lines[at : at + choose.randint(1, 6)])
    times = min(choose.choice((2, 20, 300, 5000)), MAX_ROW // len(block) + 1)
    return b"".join(lines[:at]) + block * times + b"".join(lines[at:])


def _nested(choose: random.Random, language: str, content: bytes, _: bytes) -> bytes:
    unit = choose.choice(_NESTS[language] if choose.random() < 0.6 else _OPEN)
    at = _at(choose, content)
    return content[:at] + unit * choose.choice((5, 60, 400, 3000, 30_000)) + content[at:]


def _odd_bytes(choose: random.Random, _: str, content: bytes, __: bytes) -> bytes:
    for _time in range(choose.randint(1, 6)):
        at = _at(choose, content)
        odd = choose.choice(_ODD) * choose.choice((1, 1, 1, 3, 2000))
        content = content[:at] + odd + content[at + choose.choice((0, 0, 1, 4)) :]
    return content


def _joined(choose: random.Random, _: str, content: bytes, __: bytes) -> bytes:
    at = _at(choose, content)
    reach = at + choose.choice((200, 5000, MAX_ROW))
    by = choose.choice((b" ", b"", b"\r", b";", b"\\"))
    return content[:at] + content[at:reach].replace(b"\n", by) + content[reach:]


def _shuffled(choose: random.Random, _: str, content: bytes, __: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    start = choose.randint(0, len(lines))
    run = lines[start : start + choose.randint(2, 40)]
    choose.shuffle(run)
    return b"".join(lines[:start] + run + lines[start + len(run) :])


def _indented(choose: random.Random, _: str, content: bytes, __: bytes) -> bytes:
    at = _at(choose, content)
    indent = choose.choice((b" ", b"\t", b"        ", b"\x0c", b"\\\n"))
    reach = at + choose.randint(1, 3000)
    return content[:at] + content[at:reach].replace(b"\n", b"\n" + indent) + content[reach:]


_CHANGES: tuple[Callable[[random.Random, str, bytes, bytes], bytes], ...] = (
    *(_truncated, _spliced, _token_repeated, _line_repeated, _nested, _odd_bytes, _joined),
    *(_shuffled, _indented),
)


def read_corpus(data: Path | None) -> Corpus:
    """The golden files of the tests, and some files of a folder of The Stack v1 where given."""
    files = {}
    for language in LANGUAGES:
        paths = sorted(path for path in (GOLDEN / language).iterdir() if path.suffix != ".json")
        contents = [path.read_bytes() for path in paths]
        tables = sorted((data / "data" / language).glob("*.parquet")) if data else []
        for table in tables:
            rows = pq.ParquetFile(table).read_row_group(0, columns=["content"]).to_pylist()
            real = [row["content"].encode() for row in rows[:FILES_PER_LANGUAGE]]
            contents += [content for content in real if 0 < len(content) <= _SAMPLE_BYTES]
        files[language] = tuple(contents)
    return Corpus(files=files)
