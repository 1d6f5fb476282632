"""The house rules, held: sizes, the direction of imports, annotations, folder names."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "extract", "dedupe", "shards", "train", "evaluate")
HALL = "xtrove"
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_MODULES = 12
FOLDERS_OF_MODULES = sorted(
    {
        path.parent.relative_to(ROOT).as_posix()
        for room in (*ROOMS, HALL)
        for path in (ROOT / room).rglob("*.py")
    }
)
FOLDERS = (*ROOMS, HALL, "tests", "benchmarks", "cluster")


def _files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def _ours() -> list[Path]:
    return [path for path in _files(*FOLDERS) if "golden" not in path.parts]


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").split(".")[0])
    return found


def test_the_rooms_are_there() -> None:
    for room in ROOMS:
        assert (ROOT / room / "__init__.py").is_file()
    assert (ROOT / "pyproject.toml").is_file()
    assert (ROOT / "README.md").is_file()


@pytest.mark.parametrize("path", _ours(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name}: {lines} lines"


@pytest.mark.parametrize("path", _files(*ROOMS, HALL), ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "no module docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "eval", "exec"}, f"line {node.lineno}"
    assert not _imports(path) & {"pickle", "dill", "cloudpickle", "marshal", "shelve"}


def test_imports_follow_the_contracts() -> None:
    done = subprocess.run(["lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def _modules() -> set[str]:
    return {_dotted(path) for path in _files(*ROOMS, HALL) if path.stem != "__init__"}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("folder", FOLDERS_OF_MODULES, ids=str)
def test_a_folder_holds_at_most_twelve_modules(folder: str) -> None:
    modules = [path.stem for path in (ROOT / folder).glob("*.py") if path.stem != "__init__"]
    assert len(modules) <= MAX_MODULES, sorted(modules)


def test_nothing_is_imported_past_a_front_door() -> None:
    """A module of another folder is imported from its folder, not by its own name."""
    modules, past = _modules(), []
    for path in _files(*ROOMS, HALL):
        folder = _dotted(path.parent)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in set(names) & modules:
                owner = name.rpartition(".")[0]
                if folder != owner and not folder.startswith(owner + "."):
                    past.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
    assert not past, "\n".join(past)


@pytest.mark.parametrize("folder", FOLDERS_OF_MODULES, ids=str)
def test_a_front_door_opens_to_every_name(folder: str) -> None:
    door = ROOT / folder / "__init__.pyi"
    if door.exists():
        pytest.importorskip("torch")
        package = importlib.import_module(folder.replace("/", "."))
        assert package.__all__
        for name in package.__all__:
            assert not (ROOT / folder / f"{name}.py").exists() or inspect.ismodule(
                getattr(package, name)
            ), f"{name} is a module and something else"
            getattr(package, name)


def test_only_one_file_imports_ray() -> None:
    found = [path.name for path in _files(*ROOMS, HALL) if "ray" in _imports(path)]
    assert found == ["ray_engine.py"]


def test_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in _files(*ROOMS, HALL)} | {
        path.name for path in ROOT.iterdir() if path.is_dir()
    }
    assert not names & {"utils", "util", "common", "helpers", "misc"}


def test_no_installed_distribution_owns_a_folder_of_ours() -> None:
    owners = importlib.metadata.packages_distributions()
    for name in (*ROOMS, HALL):
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
    for path in _files(*ROOMS, HALL):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                assert not repeated.search(text), f"{path}:{node.lineno}: {text[:80]}"
