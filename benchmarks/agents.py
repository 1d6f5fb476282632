"""Answers of `xtrove mcp` over stdio: the first index, then questions, as an agent asks them.

    python benchmarks/agents.py FOLDER [--model-path MODEL]

The questions are names and words of functions that stand in the folder. Prints seconds; beside
them those of `grep -r` for the same words, which reads every file for each.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = 40
OUT = Console(highlight=False)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model-path", type=Path)
    options = parser.parse_args()
    model = ["--model-path", str(options.model_path)] if options.model_path else []
    with tempfile.TemporaryDirectory() as cache:
        asyncio.run(_measure(options.folder.resolve(), model, cache))


async def _measure(folder: Path, model: list[str], cache: str) -> None:
    words = StdioServerParameters(
        command=sys.executable,
        args=["-m", "xtrove", "mcp", str(folder), *model],
        env={**os.environ, "XTROVE_CACHE": cache, "PYTHONPATH": str(ROOT)},
    )
    async with stdio_client(words) as streams, ClientSession(*streams) as session:
        await session.initialize()
        first, status = await _timed(session, "index_status", {})
        OUT.print(f"{status['documents']:,} functions and pieces of {status['files']:,} files")
        OUT.print(f"first index          {first:8.2f} s")
        _, answer = await _timed(session, "search_code", {"query": "read parse write", "limit": 20})
        names = [hit["name"] for hit in answer["hits"] if hit["name"]]
        draw = random.Random(1)
        queries = [
            f"{draw.choice(names)} {draw.choice(names)}".replace("_", " ") for _ in range(QUESTIONS)
        ]
        asked = [(await _timed(session, "search_code", {"query": query}))[0] for query in queries]
        _print("search_code", asked)
        path = {"path": answer["hits"][0]["path"].partition("/")[0]}
        narrow = [
            (await _timed(session, "search_code", {"query": query, **path}))[0] for query in queries
        ]
        _print("search_code, one folder", narrow)
        where = {"path": answer["hits"][0]["path"], "name": answer["hits"][0]["name"]}
        read = [(await _timed(session, "read_function", where))[0] for _ in range(QUESTIONS)]
        _print("read_function", read)
    greps = []
    for query in queries[:5]:
        start = time.monotonic()
        subprocess.run(
            ["grep", "-rlE", query.replace(" ", "|"), str(folder)], capture_output=True, check=False
        )
        greps.append(time.monotonic() - start)
    _print("grep -rl", greps)


async def _timed(
    session: ClientSession, tool: str, arguments: dict[str, Any]
) -> tuple[float, dict[str, Any]]:
    start = time.monotonic()
    answer = await session.call_tool(tool, arguments)
    return time.monotonic() - start, dict(answer.structured_content or {})


def _print(name: str, seconds: list[float]) -> None:
    slow = sorted(seconds)[int(0.95 * (len(seconds) - 1))]
    median = statistics.median(seconds)
    OUT.print(f"{name:<24} {median * 1000:7.0f} ms median {slow * 1000:7.0f} ms p95")


if __name__ == "__main__":
    main()
