"""A file that kills its process, takes too long, that our code fails on, or whose grammar does not
accept it, costs itself and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.xtrove import support

FUNCTION = '''
def {name}(values):
    """Return how many of the values are {name} ones, counted from the left."""
    counted = [value for value in values if value.{name} and value is not None]
    return len(counted) + sum(1 for value in counted if value.again)
'''
SABOTAGE = '''
import importlib.abc, importlib.machinery, os, signal, sys

class Finder(importlib.abc.MetaPathFinder):
    """Wraps extract.parsing.tree_sitter_parse.parse, so that two markers in a file do what a
    broken parser would."""

    def find_spec(self, name, path, target=None):
        if name != "extract.parsing.tree_sitter_parse":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            whole = module.parse

            def parse(language, path, content, **words):
                if b"MARK_OF_DEATH" in content:
                    os.kill(os.getpid(), signal.SIGSEGV)
                if b"MARK_OF_SLOTH" in content:
                    import re
                    re.match(r"(a*)*b", "a" * 64)
                if b"MARK_OF_FAILURE" in content:
                    raise RuntimeError(content.decode())
                return whole(language, path, content, **words)

            module.parse = parse

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
'''


@pytest.mark.slow
def test_poison_is_set_aside_by_name(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    names = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
    for name in names:
        (source / f"{name}.py").write_text(FUNCTION.format(name=name), encoding="utf-8")
    marks = {"broken": "MARK_OF_FAILURE", "mortal": "MARK_OF_DEATH", "slow": "MARK_OF_SLOTH"}
    for name, mark in marks.items():
        text = f"# {mark}\n" + FUNCTION.format(name=name)
        (source / f"{name}.py").write_text(text, encoding="utf-8")
    halved = f"def first(a:\n    return a\n\n\n{FUNCTION.format(name='eta').lstrip()}"
    (source / "halved.py").write_text(halved, encoding="utf-8")
    (tmp_path / "shim").mkdir()
    (tmp_path / "shim" / "sitecustomize.py").write_text(SABOTAGE, encoding="utf-8")
    shards = {"splits": {"validation": 0, "test": 0}}
    config = support.library_config(source, shards=shards, limits={"row_seconds": 0.5})
    path = support.write_config(tmp_path / "config.yaml", config)
    paths = {"PYTHONPATH": f"{support.ROOT}:{tmp_path / 'shim'}"}
    output = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "xtrove", "build", str(path), "--output", str(output)],
        cwd=support.ROOT,
        env={**support.environment(), **paths},
        capture_output=True,
        text=True,
        timeout=support.TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "raylet" not in done.stdout + done.stderr
    files = support.funnel(output)["totals"]["files"]
    assert files["noted"] == {"with_syntax_errors": 1}
    logged = [event.get("syntax_error_files", []) for event in support.events(output)]
    assert [Path(name).name for names_of_slice in logged for name in names_of_slice] == [
        "halved.py"
    ]
    dropped = files["dropped"]
    assert dropped["row_crashed"] == 1
    assert dropped["row_timeout"] == 1
    assert dropped["extractor_failed"] == 1
    named = {item["name"]: item["reason"] for item in support.manifest(output)["quarantined"]}
    assert any(name.endswith("mortal.py") for name in named)
    failed = next(reason for name, reason in named.items() if name.endswith("broken.py"))
    assert "RuntimeError at shim/sitecustomize.py:" in failed
    said = b"MARK_OF_FAILURE"
    assert not [p for p in output.rglob("*") if p.is_file() and said in p.read_bytes()]
    assert support.manifest(output)["samples"] == len(names) + 1
    assert support.xtrove("verify", output).returncode == 0
