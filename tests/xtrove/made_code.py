"""Made-up functions of eight languages, each unlike every other, with their documentation.

Method: a number chooses the words of a function; four statements repeat its own names with other
numbers, so that no two are near-duplicates. Used where a test needs many functions that a build
keeps, in the schema of The Stack (whole files) or of CodeSearchNet (rows).
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.ingest import csn_copies, stack_tables

WORDS = ("apples", "bridges", "candles", "doors", "engines", "feathers", "gardens", "hammers")
LINGUIST = {
    "go": ("Go", "go"),
    "java": ("Java", "java"),
    "javascript": ("JavaScript", "js"),
    "php": ("PHP", "php"),
    "python": ("Python", "py"),
    "ruby": ("Ruby", "rb"),
    "rust": ("Rust", "rs"),
    "typescript": ("TypeScript", "ts"),
}
_SLASHES = "// {doc}\n{code}"
_STARS = "/**\n * {doc}\n */\n{code}"
_HASHES = "# {doc}\n{code}"
_SHAPES: dict[str, tuple[str, str, str]] = {
    # How documentation stands above, the function, one of its statements.
    "go": (
        _SLASHES,
        "func {name}(stock []Item) int {{\n{body}\treturn {thing}1\n}}",
        "\t{thing}{n} := shelf(stock, {number}, {n}) + {thing}At({n})\n",
    ),
    "java": (
        _STARS,
        "int {name}(List<Item> stock) {{\n{body}    return {thing}1;\n}}",
        "    int {thing}{n} = shelf(stock, {number}, {n}) + {thing}At({n});\n",
    ),
    "javascript": (
        _STARS,
        "function {name}(stock) {{\n{body}    return {thing}1;\n}}",
        "    const {thing}{n} = shelf(stock, {number}, {n}) + {thing}At({n});\n",
    ),
    "php": (
        _STARS,
        "function {name}($stock) {{\n{body}    return ${thing}1;\n}}",
        "    ${thing}{n} = shelf($stock, {number}, {n}) + {thing}At({n});\n",
    ),
    "python": (
        "{code}",
        'def {name}(stock):\n    """{doc}"""\n{body}    return {thing}1',
        "    {thing}{n} = shelf(stock, {number}, {n}) + {thing}_at({n})\n",
    ),
    "ruby": (
        _HASHES,
        "def {name}(stock)\n{body}  {thing}1\nend",
        "  {thing}{n} = shelf(stock, {number}, {n}) + {thing}_at({n})\n",
    ),
    "rust": (
        "/// {doc}\n{code}",
        "fn {name}(stock: &[Item]) -> u32 {{\n{body}    {thing}1\n}}",
        "    let {thing}{n} = shelf(stock, {number}, {n}) + {thing}_at({n});\n",
    ),
    "typescript": (
        _STARS,
        "function {name}(stock: Item[]): number {{\n{body}    return {thing}1;\n}}",
        "    const {thing}{n}: number = shelf(stock, {number}, {n}) + {thing}At({n});\n",
    ),
}
_AROUND = {
    "go": ("package shop\n\n", ""),
    "java": ("class Shop {\n", "\n}"),
    "php": ("<?php\n\n", ""),
}
STATEMENTS = 5


def documentation(language: str, number: int) -> str:
    """What a function does."""
    thing = WORDS[number % len(WORDS)]
    return f"Count the {thing} of {language} warehouse {number} that are still on their shelves."


def function(language: str, number: int) -> str:
    """The code of a function, with its documentation only where that stands inside."""
    _, whole, statement = _SHAPES[language]
    thing = f"{WORDS[number % len(WORDS)]}{_letters(number)}"
    body = "".join(
        statement.format(thing=thing, number=number, n=n) for n in range(1, STATEMENTS + 1)
    )
    doc = documentation(language, number)
    return whole.format(name=f"count{_letters(number)}", thing=thing, body=body, doc=doc)


def file(language: str, numbers: range, filler: int = 0) -> str:
    """A source file with these functions; filler is comments that do not compress away."""
    above = _SHAPES[language][0]
    parts = [
        above.format(doc=documentation(language, number), code=function(language, number))
        for number in numbers
    ]
    opening, closing = _AROUND.get(language, ("", ""))
    noise = _noise(language, numbers.start, filler)
    return opening + "\n\n".join(parts) + closing + "\n\n" + noise


def stack_row(language: str, numbers: range, filler: int = 0, **changes: Any) -> dict[str, Any]:
    """A row of The Stack v1 with a file of these functions, in a repository of its own."""
    name, ending = LINGUIST[language]
    return stack_tables.row(
        numbers.start,
        content=file(language, numbers, filler),
        lang=name,
        max_stars_repo_name=f"{language}-owner{numbers.start}/shop",
        max_stars_repo_path=f"src/shop{numbers.start}.{ending}",
        **changes,
    )


def csn_row(language: str, number: int, split: str = "train", filler: int = 0) -> dict[str, Any]:
    """A row of CodeSearchNet, in a repository of its own."""
    code, doc = function(language, number), documentation(language, number)
    if filler:
        last = code.rfind("\n") + 1
        code = code[:last] + _noise(language, number, filler) + code[last:]
    repo, path = f"csn{number}/{language}", f"src/shop{number}.{LINGUIST[language][1]}"
    url = f"https://github.com/{repo}/blob/{csn_copies.SHA}/{path}#L1-L9"
    return csn_copies.row(
        number,
        split,
        language,
        repo=repo,
        path=path,
        func_name=f"count{_letters(number)}",
        docstring=doc,
        code=code,
        original_string=code,
        url=url,
    )


def _noise(language: str, seed: int, lines: int) -> str:
    """Comments of 62 bytes that do not compress to nothing."""
    mark = "#" if language in ("python", "ruby") else "//"
    random = Random(f"{language} {seed}")
    return "".join(f"{mark} {random.randbytes(30).hex()}\n" for _ in range(lines))


def _letters(number: int) -> str:
    return "".join(chr(97 + int(digit)) for digit in str(number)).capitalize()
