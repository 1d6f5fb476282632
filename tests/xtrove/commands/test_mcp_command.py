"""`xtrove mcp` as an agent uses it: the client of the package `mcp`, over stdio, real folders."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.evaluate.code_folder import make_folder, replace_text
from tests.xtrove.support import ROOT, TIMEOUT, environment, xtrove
from xtrove.commands.search.mcp_server import (
    MAX_ANSWER_CHARS,
    MAX_FUNCTION_CHARS,
    MAX_HITS,
    FolderTools,
)
from xtrove.commands.search.run import hit_of

Calls = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
TWO_CLASSES = "".join(
    f"class {name}:\n    def run(self):\n        total = {number}\n        return total\n\n\n"
    for number, name in enumerate("AB")
)
SECRET = "def hidden_outside():\n    return 'of the folder'\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = make_folder(tmp_path / "project")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.py").write_text(SECRET)
    (folder / "linked.py").symlink_to(tmp_path / "outside" / "secret.py")
    (folder / "linked").symlink_to(tmp_path / "outside")
    return folder


def talk(root: Path, talk_to: Callable[[Calls], Awaitable[None]]) -> None:
    """Starts the server on a folder and lets a test call its tools."""

    async def run() -> None:
        words = StdioServerParameters(
            command=sys.executable,
            args=["-m", "xtrove", "mcp", str(root)],
            env={**environment(), "XTROVE_CACHE": str(root.parent / "cache")},
            cwd=ROOT,
        )
        async with stdio_client(words) as streams, ClientSession(*streams) as session:
            await session.initialize()
            names = {tool.name for tool in (await session.list_tools()).tools}
            assert names == {"search_code", "read_function", "index_status"}

            async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
                answer = await session.call_tool(name, arguments)
                if answer.is_error:
                    return {"error": "".join(part.text for part in answer.content)}  # type: ignore[union-attr]
                assert json.loads(answer.content[0].text) == answer.structured_content  # type: ignore[union-attr]
                return dict(answer.structured_content or {})

            await talk_to(call)

    asyncio.run(asyncio.wait_for(run(), TIMEOUT))


@pytest.mark.slow
def test_an_agent_searches_reads_and_sees_what_changed(root: Path) -> None:
    async def session(call: Calls) -> None:
        status = await call("index_status", {})
        assert (status["root"], status["files"], status["documents"]) == (str(root), 4, 8)
        answer = await call("search_code", {"query": "fill a glass with water", "limit": 2})
        best = answer["hits"][0]
        assert (best["path"], best["name"], best["start_line"]) == ("home/kitchen.py", "pour", 1)
        assert best["why"] == "words: fill, glass, water"
        assert best["snippet"].startswith("def pour(water, glass):")
        assert len(answer["hits"]) == 2

        by_folder = await call("search_code", {"query": "water", "path": "home/garden.py"})
        assert {hit["path"] for hit in by_folder["hits"]} == {"home/garden.py"}
        by_glob = await call("search_code", {"query": "water port", "path": "*.go"})
        assert {hit["path"] for hit in by_glob["hits"]} == {"server.go"}
        by_language = await call("search_code", {"query": "port water", "language": "Go"})
        assert {hit["language"] for hit in by_language["hits"]} == {"go"}
        named = await call("search_code", {"query": "where does wash stand"})
        assert named["hits"][0]["why"].startswith("its name is asked for")
        nothing = await call("search_code", {"query": "zeppelin"})
        assert nothing["hits"] == [] and "other words" in nothing["note"]

        text = await call("read_function", {"path": "home/garden.py", "name": "Garden.plant"})
        [function] = text["functions"]
        assert function["code"].lstrip().startswith("def plant(self, seeds):")
        assert '"""Put seeds into the ground."""' in function["code"] and text["note"] == ""

        (root / "two.py").write_text(TWO_CLASSES)
        for asked, count in (("B.run", 1), ("C.run", 2), ("run", 2)):
            both = await call("read_function", {"path": "two.py", "name": asked})
            assert len(both["functions"]) == count, asked
        (root / "two.py").unlink()

        replace_text(root / "home/kitchen.py", "pour", "decant")
        moved = await call("search_code", {"query": "decant"})
        assert [hit["name"] for hit in moved["hits"]] == ["decant"]
        (root / "server.go").unlink()
        gone = await call("search_code", {"query": "accept connections", "language": "go"})
        assert gone["hits"] == []

    talk(root, session)


@pytest.mark.slow
def test_nothing_outside_of_the_folder_is_read_and_answers_are_bounded(root: Path) -> None:
    rows = "".join(f"    value = value + {number}  # {'long ' * 30}\n" for number in range(300))
    for number in range(30):
        (root / f"big_{number}.py").write_text(f"def enormous(value):\n{rows}    return value\n")

    async def session(call: Calls) -> None:
        outside = "outside/secret.py"
        inner = f"home/../../{outside}"
        linked = ("linked.py", "linked/secret.py")
        for path in (f"../{outside}", str(root.parent / outside), inner, "/etc/passwd", *linked):
            answer = await call("read_function", {"path": path, "name": "hidden_outside"})
            assert "no indexed file" in answer["error"], path
        assert (await call("search_code", {"query": "hidden_outside"}))["hits"] == []
        filtered = await call("search_code", {"query": "hidden outside", "path": "../outside"})
        assert filtered["hits"] == []

        wide = await call("search_code", {"query": "enormous value", "limit": 10_000})
        assert 0 < len(wide["hits"]) < MAX_HITS and "more answers" in wide["note"]
        assert len(json.dumps(wide)) < 1.5 * MAX_ANSWER_CHARS
        whole = await call("read_function", {"path": "big_3.py", "name": "enormous"})
        assert (
            len(whole["functions"][0]["code"]) == MAX_FUNCTION_CHARS and "Cut to" in whole["note"]
        )

        assert "did you mean 'python'" in (
            await call("search_code", {"query": "water", "language": "pyhton"})
        )["error"]  # fmt: skip
        assert "question is empty" in (await call("search_code", {"query": " "}))["error"]
        unknown = await call("read_function", {"path": "home/kitchen.py", "name": "boil"})
        assert "it has: pour, wash" in unknown["error"]
        assert "error" in await call("search_code", {})
        assert (await call("search_code", {"query": "wash"}))["hits"]

    talk(root, session)


@pytest.mark.slow
def test_it_ends_with_its_input_and_writes_only_the_protocol(root: Path) -> None:
    greeting = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                   "clientInfo": {"name": "test", "version": "1"}},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "xtrove", "mcp", str(root)],
        input=json.dumps(greeting) + "\nthis is no JSON\n",
        env={**environment(), "XTROVE_CACHE": str(root.parent / "cache")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0]["result"]["serverInfo"]["name"] == "xtrove"


def test_a_link_in_the_place_of_a_folder_leads_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XTROVE_CACHE", str(root.parent / "cache"))
    tools = FolderTools(root, None)
    document = tools._updated()[1][0]
    path = root / document.path
    assert hit_of(document, 0.0, root, 0).snippet.lstrip() == document.text
    outside = root.parent / "outside"
    (outside / path.name).write_text("# of another folder\n" * 100)
    path.parent.rename(root.parent / "moved")
    (root / "home").symlink_to(outside)
    assert hit_of(document, 0.0, root, 0).snippet == document.text


def test_a_folder_and_a_model_have_to_be_there(tmp_path: Path) -> None:
    done = xtrove("mcp", tmp_path / "none")
    assert done.returncode == 2 and "is not a folder" in done.stderr and done.stdout == ""
    done = xtrove("mcp", tmp_path, "--model-path", tmp_path)
    assert done.returncode == 2 and "is not the folder of a model" in done.stderr
