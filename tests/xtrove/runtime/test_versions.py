"""What decides the version of a stage, so that a receipt of other code is never taken for ours."""

from __future__ import annotations

import ast
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.xtrove import support
from xtrove.runtime.source_closure import PACKAGES, SourceTree
from xtrove.runtime.versions import packages, published_versions, stage_version

STAGES = sorted(
    path.stem
    for path in (support.ROOT / "xtrove/stages").glob("*.py")
    if "\ndef run(workspace" in path.read_text(encoding="utf-8")
)
PATTERNS = ("*.py", "*.pyi", "*.json", "*.yaml")


def test_a_stage_depends_on_the_minor_version_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    here = stage_version.__wrapped__("extract")
    major, minor, patch = platform.python_version_tuple()
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (major, minor, f"{patch}1"))
    assert stage_version.__wrapped__("extract") == here
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (major, f"{minor}1", patch))
    assert stage_version.__wrapped__("extract") != here


def test_the_reader_of_licence_expressions_is_decisive() -> None:
    version = metadata.version("license-expression")
    assert packages()["license-expression"] == version
    assert published_versions()["license-expression"] == version


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of all packages, with what a wheel has of them."""
    for package in PACKAGES:
        for pattern in PATTERNS:
            for path in (support.ROOT / package).rglob(pattern):
                target = tmp_path / path.relative_to(support.ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    return tmp_path


def _digests(root: Path) -> dict[str, str]:
    tree = SourceTree(root)
    return {stage: tree.digest([f"xtrove.stages.{stage}"]) for stage in STAGES}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "voids", "keeps"),
    [
        ("shards/publish/publication.py", [], STAGES),
        ("train/objectives/xtr.py", [], STAGES),
        ("xtrove/default.yaml", [], STAGES),
        ("extract/text/query.py", ["extract", "holdout"], ["bands", "layout", "shard"]),
        ("dedupe/lexer.py", ["extract", "bands", "verify", "select"], ["layout", "shard"]),
        ("ingest/licenses/permissive_licenses.json", ["extract", "shard"], ["bands", "select"]),
        ("shards/format/sample.py", ["extract", "shard"], ["bands", "verify", "select"]),
        ("xtrove/runtime/workspace.py", STAGES, []),
    ],
)
def test_an_edit_voids_the_stages_that_use_the_file(
    path: str, voids: list[str], keeps: list[str], copy: Path
) -> None:
    before = _digests(copy)
    with (copy / path).open("a", encoding="utf-8") as file:
        file.write("\n")
    after = _digests(copy)
    changed = {stage for stage in STAGES if before[stage] != after[stage]}
    assert set(voids) <= changed
    assert not set(keeps) & changed


def test_a_module_that_is_imported_late_or_by_its_name_counts(tmp_path: Path) -> None:
    folder = tmp_path / "ingest" / "deep"
    folder.mkdir(parents=True)
    (tmp_path / "ingest" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "__init__.pyi").write_text("from . import d as d\nfrom .a import x as y\n")
    (folder / "a.py").write_text("def f():\n    import ingest.deep.b as b\n    return b\n")
    (folder / "b.py").write_text("import importlib\nc = importlib.import_module('ingest.deep.c')\n")
    (folder / "c.py").write_text(
        "from typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    from ingest.deep import d\n\nz = 1\n"
    )
    (folder / "d.py").write_text('"""Prose:\n\nfrom ingest we take\n"""\n')
    (tmp_path / "ingest" / "top.py").write_text("from ingest.deep import (\n    y,\n)\n")
    tree = SourceTree(tmp_path)
    assert tree.closure(["ingest.top"]) == {
        "ingest", "ingest.top", "ingest.deep", "ingest.deep.a", "ingest.deep.b", "ingest.deep.c",
    }  # fmt: skip


def _all_imports(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every import of a module but those for type checkers."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                yield inner


@pytest.mark.slow
def test_the_pattern_finds_what_a_syntax_tree_shows() -> None:
    """A module whose text is nothing but its imports, as `ast` writes them, has the same ones."""
    tree = SourceTree(support.ROOT)
    for package in PACKAGES:
        for path in sorted((support.ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            lines = [ast.unparse(node) for node in _all_imports(ast.parse(text).body)]
            result = set(tree._imported(text))
            assert set(tree._imported("\n".join(lines))) <= result, path


@pytest.mark.slow
def test_the_worker_contract_covers_what_a_worker_loads() -> None:
    """All modules of ours that a process holds after it imported every stage."""
    script = (
        "import sys, importlib\n"
        "from xtrove.runtime.node_contract import perform\n"
        f"[importlib.import_module('xtrove.stages.' + name) for name in {STAGES}]\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=support.ROOT, env=support.environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {name for name in done.stdout.split() if name.split(".")[0] in PACKAGES}
    tree = SourceTree(support.ROOT)
    covered = tree.closure(["xtrove.runtime.node_contract", *tree.modules_in("xtrove.stages")])
    assert loaded <= covered
    assert len(loaded) > 100
