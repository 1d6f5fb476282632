"""`xtrove mcp`: the search of a folder as tools of the Model Context Protocol, over stdio.

Method: the server of the package `mcp`; each call brings the index up to date first, so that an
agent sees what it has just written. Answers are cut to `MAX_ANSWER_CHARS`, about 3,000 tokens.
Nothing outside of the folder is read: a path is looked up among those of the index. Standard
output carries the protocol alone; progress goes to standard error.
Cost: the walk of the folder and a search a call (`benchmarks/agents.py`).
Limits: one call at a time; with a model the first call may take as long as the first index.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

from evaluate.code_search import CodeDocument, Snapshot
from evaluate.retrieval import query_words
from xtrove.commands.search.run import (
    Filters,
    Hit,
    Request,
    best_documents,
    hit_of,
    mode_of,
    updated_index,
)
from xtrove.core import XtroveError
from xtrove.terminal import Step, printable

MAX_HITS = 20
MAX_ANSWER_CHARS = 12_000
MAX_FUNCTION_CHARS = 24_000
MAX_FUNCTIONS = 5
SNIPPET_LINES = 12
MAX_WORDS = 8
MAX_WORD_CHARS = 40
MAX_NAMES_CHARS = 1_000
_WORD = re.compile(r"\w+")
INSTRUCTIONS = (
    "Searches the functions of one folder of code. Use search_code with a question in words, or "
    "with the names you know; then read_function for the whole of an answer. The index follows "
    "the files: what was just written is found."
)
Tool = TypeVar("Tool", bound=Callable[..., Any])


class CodeHit(BaseModel):
    """One answer of `search_code`."""

    path: str
    start_line: int
    end_line: int
    name: str
    """"" for a piece of a file without functions."""
    language: str
    score: float
    """Compares the answers of one call only."""
    why: str
    snippet: str


class CodeHits(BaseModel):
    """The answer of `search_code`, best first."""

    hits: list[CodeHit]
    documents: int
    """Functions and pieces of files that were searched."""
    note: str
    """What was left out of the answer, and how to get it; "" if nothing was."""


class FunctionText(BaseModel):
    """One function as it stands in its file."""

    path: str
    start_line: int
    end_line: int
    name: str
    language: str
    code: str


class Functions(BaseModel):
    """The answer of `read_function`."""

    functions: list[FunctionText]
    note: str


class IndexStatus(BaseModel):
    """The answer of `index_status`."""

    root: str
    files: int
    documents: int
    left_out: dict[str, int]
    """Reason -> files that are not searched."""
    model: str
    """"" for a search by keywords."""
    changed: int
    """Functions and pieces that were indexed anew by this call."""
    seconds: float


def serve(root: Path, model: Path | None) -> None:
    """Answer on standard input and output until the input ends.

    Raises `Misuse` where the folder or the model is none.
    """
    mode_of(_request(root, "x", model, 1))
    server_of(FolderTools(root.resolve(), model)).run("stdio")


def server_of(tools: FolderTools) -> MCPServer:
    """A server with the tools of a folder."""
    server = MCPServer(
        "xtrove",
        instructions=INSTRUCTIONS,
        version=metadata.version("xtrove"),
        log_level="WARNING",
    )
    for tool in (tools.search_code, tools.read_function, tools.index_status):
        server.tool(structured_output=True)(_told(tool))
    return server


def _told(tool: Tool) -> Tool:
    """The tool, with what users are told of an error as its answer; faults of ours have no text."""

    @wraps(tool)
    def call(*args: Any, **words: Any) -> Any:
        try:
            return tool(*args, **words)
        except XtroveError as error:
            raise ToolError(" ".join(filter(None, (error.message, error.remedy)))) from error

    return call  # type: ignore[return-value]


class FolderTools:
    """The tools over one folder; one call at a time."""

    def __init__(self, root: Path, model: Path | None) -> None:
        self._root = root
        self._model = model
        self._lock = threading.Lock()
        self._known: dict[bytes, CodeDocument] = {}

    def search_code(
        self, query: str, path: str = "", language: str = "", limit: int = 8
    ) -> CodeHits:
        """Find functions by what they do or what they are called.

        query: a question in words ("where is the retry delay computed") or names
        (`retry_delay`). path: only files in this folder, or whose path matches this glob
        (`src/*`, `*_test.go`). language: only this one, such as python. limit: at most 20.
        """
        limit = max(1, min(limit, MAX_HITS))
        filters = Filters.of(path, language)
        with self._lock:
            mode = mode_of(_request(self._root, query, self._model, limit))
            snapshot, documents = self._updated()
            request = _request(self._root, query, self._model, limit, filters)
            with Step("searching") as step:
                best, _ = best_documents(request, mode, snapshot, documents, step)
        hits = [
            _answer(hit_of(document, score, self._root, SNIPPET_LINES), query, snapshot.languages)
            for document, score in best
        ]
        shown = _cut(hits)
        note = ""
        if not hits:
            note = "Nothing matches: use other words, or leave path and language out."
        elif len(shown) < len(hits):
            note = f"{len(hits) - len(shown)} more answers: ask with a path or a smaller limit."
        return CodeHits(hits=shown, documents=len(documents), note=note)

    def read_function(self, path: str, name: str) -> Functions:
        """The whole text of a function, with its documentation, as it stands in its file.

        path: as in the answers of search_code, relative to the folder. name: of the function;
        of `Class.method` the last part is enough. Several of one name are all given.
        """
        with self._lock:
            _, documents = self._updated()
        in_file = [document for document in documents if document.path == path]
        if not in_file:
            raise ToolError(
                f"no indexed file {printable(path)!r} in this folder: give a path as "
                "search_code does, relative to the folder"
            )
        named = _named(in_file, name)
        if not named:
            names = sorted({document.name for document in in_file} - {""})
            raise ToolError(
                f"no function {printable(name)!r} in {printable(path)}; it has: "
                f"{printable(', '.join(names))[:MAX_NAMES_CHARS] or 'none'}"
            )
        functions: list[FunctionText] = []
        room = MAX_FUNCTION_CHARS
        for document in named[:MAX_FUNCTIONS]:
            text = hit_of(document, 0.0, self._root, 0).snippet
            if room > 0:
                functions.append(_function(document, text[:room]))
            room -= len(text)
        is_whole = len(named) <= MAX_FUNCTIONS and room >= 0
        note = "" if is_whole else f"Cut to {MAX_FUNCTION_CHARS:,} characters; read the file."
        return Functions(functions=functions, note=note)

    def index_status(self) -> IndexStatus:
        """What is searched: folder, files, functions, what is left out and why."""
        start = time.monotonic()
        with self._lock:
            snapshot, documents = self._updated()
        return IndexStatus(
            root=str(self._root),
            files=snapshot.files,
            documents=len(documents),
            left_out=dict(snapshot.left_out),
            model=str(self._model or ""),
            changed=snapshot.changes.documents,
            seconds=round(time.monotonic() - start, 3),
        )

    def _updated(self) -> tuple[Snapshot, list[CodeDocument]]:
        """The index as the folder is now, and its documents by number."""
        snapshot = updated_index(self._root, self._model)
        return snapshot, snapshot.documents(self._known)


def _request(
    root: Path, query: str, model: Path | None, count: int, filters: Filters | None = None
) -> Request:
    return Request(
        root=root,
        question=query,
        model=model,
        count=max(1, count),
        as_json=True,
        mode=None,
        hybrid=model is not None,
        lines=SNIPPET_LINES,
        filters=filters or Filters(),
    )


def _named(documents: list[CodeDocument], asked: str) -> list[CodeDocument]:
    """The functions of a name; of `Class.method` those in that class, where there are any."""
    scope, _, last = asked.replace("::", ".").replace("#", ".").rpartition(".")
    named = [document for document in documents if document.name and document.name in (asked, last)]
    inside = [
        document for document in named if scope and f".{document.scope}".endswith(f".{scope}")
    ]
    return inside or named


def _function(document: CodeDocument, code: str) -> FunctionText:
    return FunctionText(
        path=document.path,
        start_line=document.start_line,
        end_line=document.end_line,
        name=document.name,
        language=document.language,
        code=code,
    )


def _answer(hit: Hit, query: str, languages: frozenset[str]) -> CodeHit:
    document = hit.document
    return CodeHit(
        path=document.path,
        start_line=document.start_line,
        end_line=document.end_line,
        name=document.name,
        language=document.language,
        score=round(hit.score, 4),
        why=_why(document, query, languages),
        snippet=hit.snippet,
    )


def _why(document: CodeDocument, query: str, languages: frozenset[str]) -> str:
    """The words of the question that the document holds, in the order of the question."""
    stems = set(query_words(f"{document.name} {document.text}", languages))
    asked = dict.fromkeys(_WORD.findall(query))
    words = [word[:MAX_WORD_CHARS] for word in asked if stems & set(query_words(word, languages))]
    reasons = ["its name is asked for"] if document.name in asked else []
    if words:
        reasons.append(f"words: {', '.join(words[:MAX_WORDS])}")
    return "; ".join(reasons) or "meaning"


def _cut(hits: list[CodeHit]) -> list[CodeHit]:
    """The first answers whose text fits `MAX_ANSWER_CHARS`; the first one always, cut."""
    room = MAX_ANSWER_CHARS
    shown: list[CodeHit] = []
    for hit in hits:
        size = len(hit.snippet) + len(hit.path) + len(hit.why) + 100
        if size > room and shown:
            break
        snippet = hit.snippet[: max(0, room - 300)]
        shown.append(hit.model_copy(update={"snippet": snippet}))
        room -= size
    return shown
