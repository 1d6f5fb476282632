"""What `.gitignore` leaves out, held against git itself."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from ingest.files.ignore_rules import IgnoreRules
from ingest.files.tree_walk import walk
from ingest.languages import LANGUAGES
from tests.ingest.git_repositories import git, put

CODE = "x = 1\n"


def walked(root: Path) -> list[str]:
    tree = walk(root, languages=frozenset(LANGUAGES), rules=IgnoreRules(root))
    return [file.name for file in tree.files]


def by_git(root: Path) -> list[str]:
    """The files that git would add."""
    listing = git(root, "ls-files", "-z", "--others", "--exclude-standard")
    return sorted(name for name in listing.split("\0") if name.endswith(".py"))


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ("", ["a.py", "b/c.py", "b/d/a.py", "build/e.py"]),
        ("a.py", ["b/c.py", "build/e.py"]),
        ("/a.py", ["b/c.py", "b/d/a.py", "build/e.py"]),
        ("build/", ["a.py", "b/c.py", "b/d/a.py"]),
        ("b/*\n!b/c.py", ["a.py", "b/c.py", "build/e.py"]),
        ("b/\n!b/c.py", ["a.py", "build/e.py"]),
        ("**/d", ["a.py", "b/c.py", "build/e.py"]),
        ("# a.py\n\n  \n*.pyc", ["a.py", "b/c.py", "b/d/a.py", "build/e.py"]),
        ("*.py\n!/a.py", ["a.py"]),
    ],
)
def test_patterns_as_git_reads_them(tmp_path: Path, patterns: str, left: list[str]) -> None:
    git(tmp_path, "init", "-q")
    put(tmp_path, dict.fromkeys(["a.py", "b/c.py", "b/d/a.py", "build/e.py"], CODE))
    put(tmp_path, {".gitignore": patterns})
    assert walked(tmp_path) == left == by_git(tmp_path)


def test_each_level_counts_and_a_checkout_inside_begins_anew(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    names = ["a.py", "b/a.py", "b/keep/a.py", "b/gen.py", "c/info.py", "inner/a.py", "inner/gen.py"]
    put(tmp_path, dict.fromkeys(names, CODE))
    put(
        tmp_path,
        {".gitignore": "gen.py\na.py\n", "b/.gitignore": "!a.py\n", "b/keep/.gitignore": ""},
    )
    put(tmp_path, {".git/info/exclude": "info.py\n!gen.py\n"})
    assert walked(tmp_path) == ["b/a.py", "b/keep/a.py"] == by_git(tmp_path)
    # Of a folder inside a checkout the patterns above it count.
    assert walked(tmp_path / "b") == ["a.py", "keep/a.py"]
    git(tmp_path / "inner", "init", "-q")
    assert walked(tmp_path) == ["b/a.py", "b/keep/a.py", "inner/a.py", "inner/gen.py"]


def test_random_patterns_as_git_reads_them(tmp_path: Path) -> None:
    draw = random.Random(7)
    arguments = ["a", "b", "ab", "c", "build"]
    for number in range(25):
        root = tmp_path / str(number)
        root.mkdir()
        git(root, "init", "-q")
        for _ in range(12):
            depth = draw.randrange(1, 4)
            name = "/".join(draw.choice(arguments) for _ in range(depth))
            put(root, {f"{name}_/{draw.choice(arguments)}.py": CODE})
        for folder in (
            "",
            *{path.parent.relative_to(root).as_posix() for path in root.rglob("*.py")},
        ):
            if draw.random() < 0.5:
                continue
            lines = []
            for _ in range(draw.randrange(1, 5)):
                parts = [
                    draw.choice([*arguments, "*", "a*", "*_", "?_", "[ab]_", "**", "*.py", "c.py"])
                    for _ in range(draw.randrange(1, 3))
                ]
                lines.append(
                    draw.choice(["", "", "!"]) + draw.choice(["", "/"]) + "/".join(parts)
                    + draw.choice(["", "", "/"])
                )  # fmt: skip
            put(root, {f"{folder or '.'}/.gitignore": "\n".join(lines) + "\n"})
        rules = {str(path): path.read_text() for path in root.rglob(".gitignore")}
        assert walked(root) == by_git(root), rules


def test_hostile_patterns_take_no_time(tmp_path: Path) -> None:
    stars = "*a" * 40
    many = "\n".join(f"x{number}*" for number in range(100_000))
    put(tmp_path, {".gitignore": f"{stars}b\n**/{stars}/x\n{'**/' * 50}x\n{many}"})
    put(tmp_path, {"a" * 200 + ".py": CODE, "b.py": CODE})
    start = time.process_time()
    assert walked(tmp_path) == ["a" * 200 + ".py", "b.py"]
    assert time.process_time() - start < 10
    (tmp_path / ".gitignore").unlink()
    (tmp_path / ".gitignore").symlink_to("/etc/passwd")
    assert len(walked(tmp_path)) == 2
