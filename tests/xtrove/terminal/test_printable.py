"""Text of inputs gives no orders to a terminal and is no markup, whatever prints it."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tests.hub.running import RunningHub, running_hub
from tests.shards import builder
from tests.xtrove import support
from xtrove.terminal.console import Terminal, one_line, printable

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\u200f\x85\r\x00"
HOSTILE = f"[/bold]{ESCAPES}[red]evil"
BARE = HOSTILE.replace("\x00", "").replace("\r", "")
FORBIDDEN = "\x1b\x07\x9b\u202e\u2066\u200f\x85\r\x00"


def _check(text: str) -> None:
    assert not set(FORBIDDEN) & set(text), ascii(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [/bold] text", "plain [/bold] text"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\x07\x00\x7f\x9b", "a" + "\ufffd" * 4),
        ("a\u202eb\u2066c\u200fd\ufeff", "a\ufffdb\ufffdc\ufffdd\ufffd"),
        ("a\r\nb\x85c\u2028d\te", "a \nb c d\te"),
        ("\ud800", "\ufffd"),
        ("naïve 検索 🙂", "naïve 検索 🙂"),
        ("a\u00a0b\u3000c", "a b c"),
    ],
)
def test_what_a_terminal_obeys_is_gone(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert one_line(text) == shown.replace("\n", " ").replace("\t", " ")


@pytest.fixture(name="terminal")
def _terminal() -> Terminal:
    return Terminal(
        file=io.StringIO(), force_terminal=True, color_system=None, width=200, markup=False,
        emoji=False, highlight=False,
    )  # fmt: skip


def _said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_way_to_print_is_clean(terminal: Terminal) -> None:
    terminal.print(HOSTILE)
    table = Table(HOSTILE, title=HOSTILE, caption=HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE))
    terminal.print(table)
    terminal.print(Text.assemble((HOSTILE, "bold"), HOSTILE))
    terminal.print(Syntax(HOSTILE, "python"))
    terminal.rule(HOSTILE)
    output = _said(terminal)
    # Styles of the console itself, which has no colours here, are the only escapes left.
    _check(output.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\x1b[1;3m", "")
           .replace("\x1b[3m", "").replace("\x1b[2;3m", ""))  # fmt: skip
    assert output.count("[/bold]") == 10
    assert output.count("[red]evil") == 10


PRODUCT = ("ingest", "extract", "dedupe", "shards", "train", "evaluate", "xtrove")


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for folder in PRODUCT:
        for path in sorted((support.ROOT / folder).rglob("*.py")):
            if path.relative_to(support.ROOT).as_posix() == "xtrove/terminal/console.py":
                continue
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Call):
                    yield f"{path.relative_to(support.ROOT)}:{node.lineno}", node


def _by_passes(call: ast.Call) -> bool:
    words = ast.unparse(call.func)
    if words in {"print", "Console", "Terminal", "input"}:
        return True
    if words.startswith(("rich.print", "typer.echo", "typer.secho", "click.echo", "click.secho")):
        return True
    if words.endswith(("from_markup", "from_ansi", "out_file.write")):
        return True
    if words in {"sys.stdout.write", "sys.stderr.write", "os.write"}:
        return True
    named = {word.arg: word.value for word in call.keywords}
    return "markup" in named or "emoji" in named


@pytest.mark.slow
def test_nothing_is_printed_past_the_one_function() -> None:
    assert [place for place, call in _calls() if _by_passes(call)] == []


def test_a_warning_gives_no_orders_and_no_code() -> None:
    script = (
        "import sys, warnings\n"
        "import xtrove.cli.app as cli\n"
        "cli.app = lambda: warnings.warn('an \\x1b[31maddress\\u202e of [bold]mine')\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "warning: an \ufffd[31maddress\ufffd of [bold]mine\n"


def test_no_words_hold_markup() -> None:
    """A style is an argument: as words it would be shown as it is."""
    tags = ("[bold", "[dim", "[red", "[green", "[/]", "[/bold", "[yellow")
    result = []
    for path in sorted((support.ROOT / "xtrove").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                result += [f"{path.name}: {tag}" for tag in tags if tag in node.value]
    assert result == []


def _pairs() -> list[builder.Pair]:
    evil = {
        "repo": f"owner/{HOSTILE}", "path": f"src/{HOSTILE}.py", "name": HOSTILE, "url": HOSTILE,
        "source": HOSTILE, "revision": HOSTILE, "license_evidence": HOSTILE, "query": HOSTILE,
        "extractor": HOSTILE, "source_revision": HOSTILE, "query_source": HOSTILE,
    }  # fmt: skip
    pairs = [builder.make_pair(number) for number in range(4)]
    code = f"def evil():\n    return '{HOSTILE}'\n"
    return [*pairs, replace(builder.make_pair(9, code=code), **evil)]


@pytest.fixture(scope="module", name="dataset")
def _dataset(tmp_path_factory: pytest.TempPathFactory) -> builder.Built:
    """A sealed dataset whose fields and manifest are a stranger's."""
    kept = _pairs()
    gone = builder.filtered(replace(kept[-1], id="f" * 32), "short_query")
    removed = [replace(gone, detail=HOSTILE)]
    return builder.build(tmp_path_factory.mktemp("evil"), kept, removed)


def _clean(*words: object, code: int = 0) -> str:
    done = support.xtrove(*words)
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert "Traceback" not in output
    _check(output)
    return output


@pytest.mark.slow
def test_a_strangers_dataset_is_shown_as_text(dataset: builder.Built) -> None:
    path = dataset.path
    for output in (
        _clean("inspect", path, "--samples", 9),
        _clean("why", path, dataset.kept[-1].id),
        _clean("why", path, "f" * 32),
        _clean("forget", path, f"owner/{BARE}x", code=2),
    ):
        assert "[/bold]" in output and "[red]evil" in output


@pytest.mark.slow
def test_a_strangers_manifest_is_shown_as_text(dataset: builder.Built, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / f"copy{BARE.replace('/', '')}"
    shutil.copytree(dataset.path, copy)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["name"] = HOSTILE
    manifest["split"]["reason"] = HOSTILE
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "[red]evil" in _clean("verify", copy, code=1)
    assert "[red]evil" in _clean("inspect", copy, "--samples", 0)
    manifest["shards"][0]["path"] = f"data/python/{HOSTILE}.tar"
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "[red]evil" in _clean("verify", copy, code=1)
    for words in (
        ("forget", copy, "owner/repo1", "--dry-run"),
        ("report", copy, "--output", tmp_path / "r.html"),
    ):
        assert "[red]evil" in _clean(*words, code=2)


@pytest.fixture(scope="module", name="hub")
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.mark.slow
def test_publish_shows_text(hub: RunningHub, dataset: builder.Built, tmp_path: Path) -> None:
    base = tmp_path / f"set{BARE.replace('/', '')}"
    base.symlink_to(dataset.path)
    arguments = [sys.executable, "-m", "xtrove", "publish", str(base), "o/set", "--dry-run"]
    done = hub.run(arguments, token="hf_write_5ecret5ecret5ecret", NO_COLOR="1")
    assert done.returncode == 0, done.stderr
    _check(done.stdout + done.stderr)


@pytest.mark.slow
def test_a_build_and_a_doctor_of_hostile_names(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    (pairs / f"{BARE.replace('/', '')}.csv").write_text(f"{HOSTILE},b\n", encoding="utf-8")
    (pairs / "h.csv").write_bytes(f'q,"{HOSTILE}'.encode())
    pq.write_table(pa.table({HOSTILE: ["x"]}), pairs / "[red].parquet")
    text = builder.make_pair(3).code
    rows = [
        {"q": f"the number {n} of all values", "c": text.replace("work_3", f"work_{n}")}
        for n in range(5)
    ]
    rows += [{"q": "a", "c": "b", "language": HOSTILE}, {"q": "b", "c": "d", "license": HOSTILE}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (pairs / "rows.jsonl").write_text(lines, encoding="utf-8")
    files = tmp_path / "files"
    files.mkdir()
    (files / "good.py").write_text(support.__doc__ or "", encoding="utf-8")
    (files / f"{BARE.replace('/', '')}.py").write_bytes(b"x = 1\n")
    declared = {"declared_licenses": ["MIT"]}
    sources = [
        {"kind": "pairs", "path": str(pairs), "columns": {"query": "q", "code": "c"},
         "language": "python", **declared},
        {"kind": "directory", "name": "files", "path": str(files), **declared},
    ]  # fmt: skip
    settings = {
        "name": "hostile", "sources": sources, "output": str(tmp_path / "out"),
        "shards": {"splits": {"validation": 0, "test": 0}},
    }  # fmt: skip
    config = support.write_config(tmp_path / "config.yaml", settings)
    output = _clean("build", config)
    assert "quarantined: pairs: [red].parquet: column" in output
    assert "[red]evil.csv" in output
    # Set aside by the build too, which goes on without them.
    report = _clean("doctor", config)
    assert "set aside: [red].parquet" in report
    assert json.loads(_clean("doctor", config, "--json"))["ok"] is True


@pytest.mark.slow
def test_search_shows_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XTROVE_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "code"
    root.mkdir()
    body = f"def evil(bananas):\n    return '[/bold]{ESCAPES[:-2]}' + bananas\n"
    (root / f"{BARE.replace('/', '')}.py").write_text(body, encoding="utf-8")
    (root / "[red]bananas.py").write_text(body, encoding="utf-8")
    output = _clean("search", root, "bananas", "--mode", "bm25")
    assert "[red]bananas.py" in output and "[/bold]" in output


def test_an_unforeseen_fault_is_printed_as_text(tmp_path: Path) -> None:
    script = (
        "import sys, xtrove.cli.app as cli\n"
        "def app():\n"
        f"    raise RuntimeError({HOSTILE!r})\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: [/bold]" in done.stderr
    _check(done.stderr)
