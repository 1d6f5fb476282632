"""`xtrove search` as people and agents call it: words, exit codes, output, two at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.evaluate.code_folder import make_folder, replace_text
from tests.train.tiny_models import bert
from tests.xtrove.support import ROOT, TIMEOUT, environment, library, xtrove
from xtrove.cli.app import app
from xtrove.core.errors import Misuse

KEYS = {
    "version", "query", "root", "mode", "hybrid", "model", "scored", "hits", "index", "seconds",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XTROVE_CACHE", str(tmp_path / "cache"))
    return make_folder(tmp_path / "project")


def _called(*words: object) -> Any:
    """A call in this process."""
    return CliRunner().invoke(app, ["search", *map(str, words)])


def _json(*words: object) -> dict[str, Any]:
    done = _called(*words, "--json")
    [line] = done.stdout.splitlines()
    answer: dict[str, Any] = json.loads(line)
    assert done.exit_code == (0 if answer["hits"] else 1), done.output
    return answer


def _misuse(*words: object) -> Misuse:
    done = _called(*words)
    assert isinstance(done.exception, Misuse), done.output
    return done.exception


def test_an_answer_for_agents(tmp_path: Path, root: Path) -> None:
    result = _json(root, "clean the dishes", "-k", "2")
    assert set(result) == KEYS
    assert result["version"] == 1
    assert (result["mode"], result["hybrid"], result["model"]) == ("bm25", False, "")
    assert result["root"] == str(root)
    assert result["hits"][0] == {
        "rank": 1,
        "score": result["hits"][0]["score"],
        "path": "home/kitchen.py",
        "start_line": 6,
        "end_line": 9,
        "name": "wash",
        "kind": "function",
        "language": "python",
        "snippet": "def wash(dishes):\n    # Soap first.\n    for dish in dishes:\n"
        "        dish.clean = True",
    }
    assert result["hits"][0]["score"] > 0
    assert result["index"]["documents"] == result["scored"] == result["index"]["made"] == 8
    assert not (root / ".xtrove").exists()
    assert (tmp_path / "cache" / "search").is_dir()


def test_a_changed_file_is_found_as_it_is_now(root: Path) -> None:
    _json(root, "clean the dishes")
    replace_text(root / "home" / "kitchen.py", "dish.clean = True", "polish(dish)")
    result = _json(root, "polish something")
    assert [one["name"] for one in result["hits"]] == ["wash"]
    assert (result["index"]["cut"], result["index"]["made"]) == (1, 2)
    (root / "home" / "kitchen.py").unlink()
    gone = _json(root, "polish something")
    assert gone["hits"] == []
    assert gone["index"]["removed"] == 1


@pytest.mark.slow
def test_a_pipe_gets_plain_lines_and_no_controls(root: Path) -> None:
    (root / "evil.py").write_text("def evil():\n    return '\x1b[2J\x1b]0;owned\x07 banana'\n")
    done = xtrove("search", root, "banana", "--lines", 2)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "1" and lines[0].endswith("evil.py:1-2  evil")
    assert lines[1].split() == ["1", "def", "evil():"]
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout
    assert "9 documents of 5 files" in done.stderr
    nothing = xtrove("search", root, "zzzz")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "nothing found" in nothing.stderr


def test_filters_leave_out_what_is_not_meant(root: Path) -> None:
    def paths(*words: object) -> set[str]:
        return {hit["path"] for hit in _json(root, "water port seeds dishes", *words)["hits"]}

    assert paths() == {"home/garden.py", "home/kitchen.py", "server.go"}
    for path in ("home", "./home/", "home/*", "home/*.py"):
        assert paths("--path", path) == {"home/garden.py", "home/kitchen.py"}, path
    assert paths("--path", "server.go") == {"server.go"}
    assert paths("--path", "hom") == set()
    assert paths("--language", "golang") == {"server.go"}
    assert paths("--regex", r"beds\.append|err != nil") == {"home/garden.py", "server.go"}
    assert paths("--regex", "append", "--language", "go") == set()
    first = _json(root, "water", "--path", "home/garden.py", "-k", 1)["hits"]
    assert [hit["path"] for hit in first] == ["home/garden.py"]
    files = _called(root, "water port", "--files")
    assert sorted(files.stdout.splitlines()) == ["home/garden.py", "home/kitchen.py", "server.go"]
    assert "did you mean 'python'" in (_misuse(root, "x", "--language", "pyton").remedy or "")
    assert "no regular expression" in str(_misuse(root, "x", "--regex", "(").message)


def test_what_gitignore_names_is_not_searched(root: Path) -> None:
    (root / ".gitignore").write_text("home/kitchen.py\n*.go\n")
    assert {hit["path"] for hit in _json(root, "water port")["hits"]} == {"home/garden.py"}
    everything = _json(root, "water port", "--no-ignore")
    assert {hit["path"] for hit in everything["hits"]} >= {"home/kitchen.py", "server.go"}
    # Each has an index of its own: going back and forth makes nothing anew.
    for words in ((), ("--no-ignore",)):
        index = _json(root, "water port", *words)["index"]
        assert (index["removed"], index["made"]) == (0, 0)


@pytest.mark.slow
def test_keyword_search_loads_neither_torch_nor_a_build(root: Path) -> None:
    code = (
        "import sys; from xtrove.cli.app import app\n"
        f"try: app(['search', {str(root)!r}, 'wash', '--json'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'ray', 'pyarrow', 'scipy', 'bm25s', 'matplotlib'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    # A slow machine says how far it is; what was loaded is the exit message.
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hits"]


def test_wrong_words_are_refused_with_a_remedy(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "checkpoints" / "gone"
    assert "xtrove train" in _misuse(root, "wash", "--model-path", missing).remedy
    assert str(missing) in _misuse(root, "wash", "--model-path", missing).message
    assert "--model-path" in _misuse(root, "wash", "--mode", "xtr").message
    assert "--model-path" in _misuse(root, "wash", "--hybrid").remedy
    assert "empty" in _misuse(root, "  ").message
    assert "gone" in _misuse(missing, "wash").message
    model = bert(tmp_path / "model")
    assert "no model" in _misuse(root, "wash", "--mode", "bm25", "--model-path", model).message
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "minified.js").write_text("x=1;" * 30_000)
    assert "left out: 1 minified" in _misuse(bare, "wash").message
    monkeypatch.setenv("XTROVE_CACHE", str(root / "cache"))
    assert "XTROVE_CACHE" in _misuse(root, "wash").message
    assert not (root / "cache").exists()


@pytest.mark.slow
def test_a_damaged_model_fails_with_its_reason(tmp_path: Path, root: Path) -> None:
    model = bert(tmp_path / "model")
    (model / "model.safetensors").unlink()
    done = xtrove("search", root, "wash", "--model-path", model)
    assert done.returncode == 2
    assert "model.safetensors" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--hybrid",), ("--mode", "xtr"), ("--mode", "maxsim")])
def test_a_model_answers(tmp_path: Path, root: Path, words: tuple[str, ...]) -> None:
    model = bert(tmp_path / "model")
    # The text of a document, asked as a question, is nearest to itself in any model.
    result = _json(root, "def wash(dishes): for dish in dishes", "--model-path", model, *words)
    assert result["mode"] == (words[1] if len(words) == 2 else "maxsim")
    assert result["hybrid"] is ("--hybrid" in words)
    assert len(result["hits"]) == 8
    scores = [one["score"] for one in result["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert "wash" in {one["name"] for one in result["hits"][:3]}
    again = _json(root, "def wash(dishes): for dish in dishes", "--model-path", model, *words)
    assert again["index"]["made"] == 0
    # The second question is asked of a graph: vectors differ by rounding.
    for one, two in zip(result["hits"], again["hits"], strict=True):
        assert one["score"] == pytest.approx(two["score"], abs=1e-4)


@pytest.mark.slow
def test_two_at_once_share_the_work(tmp_path: Path, root: Path) -> None:
    folder = library(tmp_path / "library", limit=1_500_000)
    arguments = [sys.executable, "-m", "xtrove", "search", folder, "parse a header", "--json"]
    env = {**environment(), "XTROVE_CACHE": str(tmp_path / "cache")}
    both = [
        subprocess.Popen(
            list(map(str, arguments)), cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    result = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert result[0]["hits"] == result[1]["hits"] != []
    documents = result[0]["index"]["documents"]
    assert sorted(one["index"]["made"] for one in result) == [0, documents]


@pytest.mark.slow
def test_ctrl_c_says_that_it_goes_on(tmp_path: Path, root: Path) -> None:
    folder = library(tmp_path / "library", limit=4_000_000)
    store = tmp_path / "cache" / "search"
    child = subprocess.Popen(
        [sys.executable, "-m", "xtrove", "search", str(folder), "parse a header"],
        cwd=ROOT,
        env={**environment(), "XTROVE_CACHE": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + TIMEOUT
    while not list(store.glob("*.lock")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=TIMEOUT)
    assert child.returncode == 130
    assert "goes on" in errors and "Traceback" not in errors
    done = xtrove("search", folder, "parse a header", "--json")
    assert done.returncode == 0
    [held] = [path for path in store.iterdir() if path.is_dir()]
    assert not list(held.glob(".*"))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime not installed")
def test_a_second_question_to_a_model_loads_no_torch(tmp_path: Path, root: Path) -> None:
    """Nor does an edited file."""
    model = bert(tmp_path / "model")
    _json(root, "wash", "--model-path", model)
    replace_text(root / "home" / "kitchen.py", "wash", "scrub")
    code = (
        "import sys; from xtrove.cli.app import app\n"
        f"words = ['search', {str(root)!r}, 'wash', '--json', '--hybrid']\n"
        f"try: app([*words, '--model-path', {str(model)!r}])\n"
        "except SystemExit: pass\n"
        "sys.exit(' '.join({'torch', 'transformers', 'ray', 'pyarrow'} & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["index"]["made"] == 2
    assert "scrub" in {one["name"] for one in result["hits"]}
