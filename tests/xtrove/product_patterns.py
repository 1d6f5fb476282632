"""Every regular expression of the product, with the methods it is used with.

Method: each call of `re` is found in the syntax trees of the product's modules, so that a new one
is there without being listed. Its pattern is what its first argument evaluates to among the
globals of its module, or what was compiled on its lines while the module was imported or its
`MAKERS` ran. Its methods are those that are called on the name it is bound to, anywhere in the
product, or `match`, `fullmatch` and `finditer` where it is handed on.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ingest", "extract", "dedupe", "shards", "train", "evaluate", "xtrove")
METHODS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
HANDED_ON = frozenset(("match", "fullmatch", "finditer"))
COMPILE = re.compile


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductPattern:
    """One pattern at one place."""

    name: str
    """Path and line, and the name that it is bound to."""
    size: int
    """Characters that it is given at most."""
    pattern: re.Pattern[Any]
    methods: frozenset[str]


SIZE = 100_000
"""Characters of text that a pattern must bear."""
SIZES = {
    "extract/parsing/doc_comments.py:_CFG_TEST": 256,
    "extract/parsing/body.py:_TRIVIAL": 400,
    "ingest/licenses/file_head.py:_TOKENS": 8192,
}
"""Characters that the code hands to a pattern, where it bounds them."""
METHODS_OF = {
    "dedupe/lexer.py:": {"findall"},
    "xtrove/commands/search/run.py:pattern": {"search"},
    "extract/filters/pairs.py:_TEST_NAMES": {"match"},
    "ingest/sources/codesearchnet/layout.py:_LAYOUTS": {"fullmatch"},
    "ingest/sources/codesearchnet/layout.py:_BOOK": {"fullmatch"},
    "ingest/licenses/file_head.py:_TOKENS": {"match"},
    "ingest/sources/git_history/messages.py:_RELEASE": {"match"},
    "ingest/sources/git_history/messages.py:_DEPENDENCY": {"match"},
    "ingest/sources/git_history/messages.py:_HOUSE": {"match"},
}
"""Methods of patterns in tables, and of those that functions return."""


def _lexers() -> None:
    lexer = importlib.import_module("dedupe.lexer")
    for language in lexer.LANGUAGES:
        lexer.tokens(language, "")


def _filters() -> None:
    from xtrove.commands.search.run import Filters

    # The pattern is the user's own.
    assert Filters.of(regex="a+").pattern


MAKERS: dict[str, Callable[[], None]] = {
    "dedupe/lexer.py": _lexers,
    "xtrove/commands/search/run.py": _filters,
}
"""What compiles the patterns of a module that only a call of its functions makes."""


def product_patterns() -> list[ProductPattern]:
    """All patterns; fails where one cannot be told."""
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for name in PACKAGES
        for path in sorted((ROOT / name).rglob("*.py"))
    }
    methods, loose = _methods_of_names(trees)
    patterns: list[ProductPattern] = []
    with_calls = {path: calls for path, tree in trees.items() if (calls := list(_calls(tree)))}
    recorded = _recorded(with_calls)
    for path, calls in with_calls.items():
        module = path.relative_to(ROOT).as_posix()
        for call, function, holder in calls:
            used = frozenset((function,))
            if function == "compile":
                name = _key(path, holder)
                used = frozenset(methods[name]) | (HANDED_ON if name in loose else frozenset())
                used = frozenset(METHODS_OF.get(f"{module}:{holder}", used))
            compiled = _compiled(path, call, recorded)
            assert compiled, f"{module}:{call.lineno}: add what compiles this pattern to MAKERS"
            assert used, f"{module}:{call.lineno}: the pattern {holder!r} is never used"
            patterns += [
                ProductPattern(
                    name=f"{module}:{call.lineno} {holder}".strip(),
                    pattern=one,
                    methods=used,
                    size=SIZES.get(f"{module}:{holder}", SIZE),
                )
                for one in compiled
            ]
    return patterns


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str, str]]:
    """Calls of `re`, each with the function and the name that its value is bound to."""
    modules, functions = {"re"}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            functions.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.Import):
            modules.update(a.asname for a in node.names if a.name == "re" and a.asname)
    for node, holder in _bound(tree, ""):
        name = ""
        if isinstance(node.func, ast.Name):
            name = functions.get(node.func.id, "")
        elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            name = node.func.attr if node.func.value.id in modules else ""
        if name in METHODS or name == "compile":
            yield node, name, holder


def _bound(node: ast.AST, holder: str) -> Iterator[tuple[ast.Call, str]]:
    """Every call below `node`, with the nearest name that what it returns goes to."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        holder = target.id if isinstance(target, ast.Name) else ast.unparse(target)
    elif isinstance(node, ast.keyword):
        holder = node.arg or holder
    elif isinstance(node, ast.Call):
        yield node, holder
    for child in ast.iter_child_nodes(node):
        yield from _bound(child, holder)


def _methods_of_names(
    trees: Mapping[Path, ast.Module],
) -> tuple[defaultdict[str, set[str]], set[str]]:
    """Methods by the last name they are called on, and the names that are used otherwise too.

    A private name is its module's own (`path:_NAME`).
    """
    methods: defaultdict[str, set[str]] = defaultdict(set)
    loose: set[str] = set()
    for path, tree in trees.items():
        called: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                called.add(id(node.value))
                if isinstance(node.value, ast.Name | ast.Attribute):
                    value = node.value
                    name = value.id if isinstance(value, ast.Name) else value.attr
                    methods[_key(path, name)].add(node.attr)
        loose |= {
            _key(path, node.id)
            for node in ast.walk(tree)
            if isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and id(node) not in called
        }
    return methods, loose


def _key(path: Path, name: str) -> str:
    return f"{path}:{name}" if name.startswith("_") else name


def _recorded(paths: Any) -> dict[str, list[tuple[int, re.Pattern[Any]]]]:
    """What is compiled while the modules of `paths` are imported and their makers run."""
    seen: dict[str, list[tuple[int, re.Pattern[Any]]]] = {str(path): [] for path in paths}

    def record(pattern: Any, flags: Any = 0) -> re.Pattern[Any]:
        compiled: re.Pattern[Any] = COMPILE(pattern, flags)
        frame = sys._getframe(1)
        if frame.f_code.co_filename in seen:
            seen[frame.f_code.co_filename].append((frame.f_lineno, compiled))
        return compiled

    re.compile = record
    try:
        for path in paths:
            relative = path.relative_to(ROOT)
            importlib.import_module(".".join(relative.with_suffix("").parts))
            MAKERS.get(relative.as_posix(), lambda: None)()
    finally:
        re.compile = COMPILE
    return seen


def _compiled(
    path: Path, call: ast.Call, recorded: dict[str, list[tuple[int, re.Pattern[Any]]]]
) -> list[re.Pattern[Any]]:
    last = call.end_lineno or call.lineno
    compiled = [p for line, p in recorded[str(path)] if call.lineno <= line <= last]
    if compiled:
        return compiled
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    names = dict(vars(sys.modules[name]))
    place = {"split": 2, "sub": 3, "subn": 3}.get(ast.unparse(call.func).rpartition(".")[2], 1)
    flags = [k.value for k in call.keywords if k.arg == "flags"] or call.args[place + 1 : place + 2]
    if ast.unparse(call.func).endswith("compile"):
        flags = [k.value for k in call.keywords if k.arg == "flags"] or call.args[1:2]
    try:
        pattern, *options = (
            eval(compile(ast.Expression(part), str(path), "eval"), names)  # ours, in the product
            for part in (call.args[0], *flags)
        )
    except NameError:
        return []
    return [COMPILE(pattern, *options)]
