"""The house rules, held: sizes, the direction of imports, annotations, folder names."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ingest", "extract", "dedupe", "shards", "train", "evaluate")
PRODUCT = "xtrove"
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_MODULES = 12
FOLDERS = (*PACKAGES, PRODUCT, "tests", "benchmarks", "cluster")
FORBIDDEN_CALLS = {"print", "eval", "exec"}
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}


def _files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def _product() -> list[Path]:
    return _files(*PACKAGES, PRODUCT)


def _folders() -> list[Path]:
    return sorted({path.parent for path in _product()})


@functools.cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file, the module first."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _imports(path: Path) -> list[tuple[int, str]]:
    """Lines, and the modules that are imported there."""
    imports = []
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            imports += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.lineno, "." * node.level + (node.module or "")))
    return imports


def _imported_packages(path: Path) -> set[str]:
    return {name.split(".")[0] for _, name in _imports(path)}


def _refuse(broken: Iterable[str]) -> None:
    """Fails with every place that breaks a rule."""
    lines = list(broken)
    assert not lines, "\n".join(lines)


def test_the_rooms_are_there() -> None:
    for room in PACKAGES:
        assert (ROOT / room / "__init__.py").is_file()
    assert (ROOT / "pyproject.toml").is_file()
    assert (ROOT / "README.md").is_file()


@pytest.mark.slow
def test_files_and_functions_are_short() -> None:
    broken = []
    for path in _files(*FOLDERS):
        if "golden" in path.parts:
            continue
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MAX_FILE_LINES:
            broken.append(f"{path}: {lines} lines")
        for node in _nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    broken.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    _refuse(broken)


def test_modules_say_what_they_are() -> None:
    broken = []
    for path in _product():
        module, *nodes = _nodes(path)
        assert isinstance(module, ast.Module)
        if not ast.get_docstring(module):
            broken.append(f"{path}: no module docstring")
        for node in nodes:
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in FORBIDDEN_CALLS:
                broken.append(f"{path}:{called.lineno} calls {called.id}")
        for line, name in _imports(path):
            if name.startswith(".") or name.split(".")[0] in FORBIDDEN_MODULES:
                broken.append(f"{path}:{line} imports {name}")
    _refuse(broken)


def test_imports_follow_the_contracts() -> None:
    done = subprocess.run(["lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_a_folder_holds_at_most_twelve_modules() -> None:
    broken = []
    for folder in _folders():
        modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
        if len(modules) > MAX_MODULES:
            broken.append(f"{folder}: {', '.join(sorted(modules))}")
    _refuse(broken)


def test_nothing_is_imported_past_a_front_door() -> None:
    """A module of another folder is imported from its folder, not by its own name."""
    modules = {_dotted(path) for path in _product() if path.stem != "__init__"}
    broken = []
    for path in _product():
        folder = _dotted(path.parent)
        for line, name in _imports(path):
            owner = name.rpartition(".")[0]
            if name in modules and folder != owner and not folder.startswith(owner + "."):
                broken.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    _refuse(broken)


@pytest.mark.slow
def test_a_front_door_opens_to_every_name() -> None:
    pytest.importorskip("torch")
    broken = []
    for folder in _folders():
        if not (folder / "__init__.pyi").exists():
            continue
        package = importlib.import_module(_dotted(folder))
        assert package.__all__
        for name in package.__all__:
            offered = getattr(package, name)
            if (folder / f"{name}.py").exists() and not inspect.ismodule(offered):
                broken.append(f"{folder}: {name} is a module and something else")
    _refuse(broken)


def test_only_one_file_imports_ray() -> None:
    importers = [path.name for path in _product() if "ray" in _imported_packages(path)]
    assert importers == ["ray_engine.py"]


def test_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in _product()} | {
        path.name for path in ROOT.iterdir() if path.is_dir()
    }
    assert not names & {"utils", "util", "common", "helpers", "misc"}


def test_no_installed_distribution_owns_a_folder_of_ours() -> None:
    owners = importlib.metadata.packages_distributions()
    for name in (*PACKAGES, PRODUCT):
        assert set(owners.get(name, [])) <= {"xtrove"}, f"{name}: {owners[name]}"


def test_no_dependency_brings_such_a_distribution_in() -> None:
    names = {
        re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0].lower()
        for distribution in importlib.metadata.distributions()
        for requirement in distribution.requires or []
        if "extra ==" not in requirement
    }
    assert not names & {"evaluate", "dedupe"}


def test_every_direct_dependency_is_pinned() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    for requirement in importlib.metadata.requires("xtrove") or []:
        name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0].lower().replace("_", "-")
        assert name in pinned | {"xtrove"}, f"{name} is not in constraints.txt"


def test_the_lock_file_holds_what_a_build_needs_with_hashes() -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    locked = {}
    for block in blocks:
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", block):
            assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), f"{match[1]} has no hash"
            locked[match[1].lower().replace("_", "-")] = match[2]
    tested = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    different = {name for name, version in locked.items() if tested.get(name, version) != version}
    assert not different, f"run .ci/lock: constraints.txt has other versions of {different}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in [*project["project"]["dependencies"], *project["build-system"]["requires"]]:
        name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0].lower().replace("_", "-")
        assert name in locked, f"{name} is not in requirements.lock: run .ci/lock"


def test_everything_committed_is_ours_to_publish() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        assert (ROOT / name).stat().st_size < 500_000, f"{name} is large"


def test_no_pattern_repeats_a_group_possessively() -> None:
    """CPython before 3.11.4 matches `(?:...)*+` wrongly; `(?>(?:...)*)` means the same."""
    repeated = re.compile(r"\)(?:[*+?]|\{\d+,\d*\})\+[^+]")
    for path in _product():
        for node in _nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                assert not repeated.search(text), f"{path}:{node.lineno}: {text[:80]}"
