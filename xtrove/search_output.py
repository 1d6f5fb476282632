"""What `xtrove search` shows: answers for people, or one JSON object for agents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from xtrove.console import one_line, printable

if TYPE_CHECKING:
    from evaluate.code_index import Snapshot
    from xtrove.searching import Hit

VERSION = 1


def as_json(
    facts: Mapping[str, Any], hits: Sequence[Hit], snapshot: Snapshot, seconds: Mapping[str, float]
) -> str:
    """One object on one line, in ASCII."""
    changes = snapshot.changes
    found = {
        "version": VERSION,
        **facts,
        "hits": [
            {
                "rank": rank,
                "score": round(hit.score, 6),
                "path": hit.document.path,
                "start_line": hit.document.start_line,
                "end_line": hit.document.end_line,
                "name": hit.document.name,
                "kind": "function" if hit.document.name else "window",
                "language": hit.document.language,
                "snippet": hit.snippet,
            }
            for rank, hit in enumerate(hits, 1)
        ],
        "index": {
            "documents": len(snapshot),
            "files": snapshot.files,
            "read": changes.read,
            "cut": changes.cut,
            "removed": changes.removed,
            "made": changes.documents,
            "left_out": dict(snapshot.left_out),
        },
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    return json.dumps(found)


def show(hits: Sequence[Hit], console: Console) -> None:
    """A head and a snippet an answer; highlighted on a terminal, plain elsewhere."""
    if not hits:
        console.print("nothing found")
    for rank, hit in enumerate(hits, 1):
        one = hit.document
        head = f"{rank:>2}  {hit.score:.4f}  {one_line(one.path)}:{one.start_line}-{one.end_line}"
        name = f"  {one_line(one.name)}" if one.name else ""
        console.print(f"{head}{name}", style="bold")
        snippet = printable(hit.snippet)
        if console.is_terminal:
            from rich.syntax import Syntax

            console.print(
                Syntax(snippet, one.language or "text", line_numbers=True,
                       start_line=one.start_line, background_color="default")
            )  # fmt: skip
        else:
            for number, line in enumerate(snippet.split("\n"), one.start_line):
                console.print(f"    {number:>5}  {line}")
        console.print()
