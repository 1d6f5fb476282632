"""`xtrove search`: brings the index of a folder up to date and shows what answers a question.

Scores are BM25's, the mean MaxSim a token of the question, or those of the fusion; they compare
the answers of one call only. What is shown of a file is escaped: code may hold what a terminal
obeys.
"""

from __future__ import annotations

import fnmatch
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from rich.console import Console

from evaluate.code_search import (
    GRAPHS,
    CodeDocument,
    Encode,
    Snapshot,
    VectorSearch,
    WordsSearch,
    cut_to_limit,
    fingerprint,
    place,
    snapshot_tokens,
    store_of,
    update,
)
from evaluate.retrieval import Hits, Searcher
from ingest import LANGUAGES, MAX_FILE_BYTES, normalise_language, suggestion
from ingest.files import read_in_folder
from train.model import recorded_template
from xtrove.core import Interrupted, Misuse
from xtrove.terminal import Step, err, one_line, out, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evaluate.code_search import QuestionGraph, Snapshot
    from train.model import Encoder, TokenVectors

TRAIN = (
    "Train one: xtrove build, then xtrove train config/train_smoke.yaml; or leave --model-path "
    "out to search by keywords."
)
_JSON_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Which documents may be an answer; empty ones let all in."""

    path: str = ""
    """A folder, a file, or a glob over the path in the folder that is searched."""
    language: str = ""
    pattern: re.Pattern[str] | None = None
    """Some of the text has to match; the user's own, so that its cost is too."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left out."""
        return not (self.path or self.language or self.pattern)

    @classmethod
    def of(cls, path: str = "", language: str = "", regex: str = "") -> Self:
        """From what a user typed. Raises `Misuse` for what cannot match anything."""
        known = normalise_language(language)
        if language and not known:
            near = suggestion(language)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(LANGUAGES)}"
            raise Misuse(f"unknown language {printable(language)!r}", remedy=hint)
        try:
            pattern = re.compile(regex) if regex else None
        except re.error as error:
            message = f"--regex {printable(regex)!r} is no regular expression: {error}"
            raise Misuse(message, remedy="Escape what is meant literally with \\.") from error
        path = path.strip().removeprefix("./").rstrip("/")
        return cls(path="" if path == "." else path, language=known, pattern=pattern)

    def match(self, document: CodeDocument) -> bool:
        """Whether a document may be an answer."""
        if self.language and document.language != self.language:
            return False
        if self.pattern and self.pattern.search(document.text) is None:
            return False
        return (
            not self.path
            or document.path == self.path
            or document.path.startswith(f"{self.path}/")
            or fnmatch.fnmatchcase(document.path, self.path)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The words of the command line."""

    root: Path
    question: str
    model: Path | None
    count: int
    as_json: bool
    mode: Literal["maxsim", "xtr", "bm25"] | None
    hybrid: bool
    lines: int
    filters: Filters = Filters()
    files_only: bool = False
    ignored: bool = False
    """Search what `.gitignore` leaves out too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """An answer."""

    score: float
    document: CodeDocument
    snippet: str


def search(request: Request) -> bool:
    """Indexes, searches, shows; whether anything was found.

    Raises `Misuse` for wrong words, `XtroveError` where it fails.
    """
    mode = mode_of(request)
    root = request.root.resolve()
    start = time.monotonic()
    snapshot = updated_index(root, request.model, ignored=request.ignored)
    indexed = time.monotonic()
    with Step("searching") as step:
        # Without a filter only the answers are read.
        documents = None if request.filters.is_empty else snapshot.documents({})
        best, scored = best_documents(request, mode, snapshot, documents, step)
    hits = [hit_of(document, score, root, request.lines) for document, score in best]
    seconds = {"index": indexed - start, "search": time.monotonic() - indexed}
    if request.as_json:
        facts = {"query": request.question, "root": str(root), "mode": mode, "scored": scored}
        more = {"hybrid": request.hybrid, "model": str(request.model or "")}
        out().print(_as_json({**facts, **more}, hits, snapshot, seconds))
    elif request.files_only:
        for path in dict.fromkeys(hit.document.path for hit in hits):
            out().print(one_line(path))
    else:
        _show(hits, out())
    return bool(hits)


def mode_of(request: Request) -> Literal["maxsim", "xtr", "bm25"]:
    """How to search. Raises `Misuse` for words that do not fit each other."""
    if not request.question.strip():
        raise Misuse("the question is empty", remedy="Say in words what the code does.")
    if not request.root.is_dir():
        raise Misuse(f"{request.root} is not a folder", remedy="Name a folder of code.")
    mode = request.mode or ("maxsim" if request.model is not None else "bm25")
    if mode == "bm25" and request.model is not None:
        raise Misuse("--mode bm25 uses no model", remedy="Leave --model-path out.")
    if mode == "bm25" and request.hybrid:
        raise Misuse("--hybrid fuses a model with BM25", remedy="Give --model-path.")
    if mode != "bm25" and request.model is None:
        raise Misuse(f"--mode {mode} needs a model: --model-path", remedy=TRAIN)
    if request.model is not None and not (request.model / "config.json").is_file():
        raise Misuse(f"{request.model} is not the folder of a model", remedy=TRAIN)
    return mode


def updated_index(root: Path, model: Path | None, *, ignored: bool = False) -> Snapshot:
    """The index of a folder, brought up to date. Raises `Misuse` for a folder without code."""
    try:
        store = store_of(root, model, ignored=ignored)
        encode = partial(_encode, model) if model is not None else None
        with store.hold(_say_waiting), Step("indexing", timed=True) as step:
            template = recorded_template(model) if model is not None else None
            snapshot = update(store.folder, root, encode, step.report, template, ignored=ignored)
            store.used()
            if not len(snapshot):
                raise Misuse(f"no readable code in {root}{_left_out(snapshot)}")
            if snapshot.changes.documents:
                cut_to_limit(store)
        _say_changes(snapshot)
    except KeyboardInterrupt as error:
        remedy = "The same command goes on where it stopped."
        raise Interrupted("stopped", remedy=remedy) from error
    return snapshot


def _say_waiting() -> None:
    err().print("another process is indexing this folder: waiting for it")


def _say_changes(snapshot: Snapshot) -> None:
    """What the folder holds, where that has changed."""
    if snapshot.changes.cut or snapshot.changes.removed:
        counts = f"{len(snapshot):,} documents of {snapshot.files:,} files"
        err().print(f"{counts}{_left_out(snapshot)}")


def _left_out(snapshot: Snapshot) -> str:
    counts = ", ".join(f"{count:,} {reason}" for reason, count in snapshot.left_out.items())
    return f" (left out: {counts})" if counts else ""


def best_documents(
    request: Request,
    mode: str,
    snapshot: Snapshot,
    documents: Sequence[CodeDocument] | None,
    step: Step,
) -> tuple[list[tuple[CodeDocument, float]], int]:
    """The best `request.count` documents that its filters let through with their scores, best
    first, and how many were scored exactly.

    `documents`: all of the snapshot, by number; needed where there are filters.
    """
    only = None
    count = request.count
    if documents is not None and not request.filters.is_empty:
        allowed = [request.filters.match(document) for document in documents]
        only = np.flatnonzero(allowed).astype(np.int64)
        # Searchers rank what the filters leave out too: all is asked for, and that is dropped.
        request = replace(request, count=max(1, len(documents)))
    ranked, scored = _hits(request, mode, snapshot, only, step)
    kept = None if only is None else set(only.tolist())
    document_of = snapshot.document if documents is None else documents.__getitem__
    best = [
        (document_of(number), score)
        for number, score in zip(ranked.ids[0].tolist(), ranked.scores[0].tolist(), strict=True)
        if number >= 0 and (kept is None or number in kept)
    ]
    best.sort(key=lambda pair: (-pair[1], pair[0].path, pair[0].start_line))
    return best[:count], scored


def _hits(
    request: Request, mode: str, snapshot: Snapshot, only: NDArray[np.int64] | None, step: Step
) -> tuple[Hits, int]:
    words = WordsSearch(snapshot)
    if request.model is None:
        return words.search([request.question], request.count), len(snapshot)
    model = request.model
    searcher: Searcher
    scored = len(snapshot)
    if mode == "maxsim":
        vectors = VectorSearch(snapshot, partial(_question, model, step), only=only)
        searcher, scored = vectors, vectors.scored
    else:
        from evaluate.retrieval import XtrSearcher

        encoder = _encoder(model)
        searcher = XtrSearcher(
            index=snapshot_tokens(snapshot),
            encode=lambda texts: encoder.encode(texts, "query"),
            device=encoder.device,
        )
    if request.hybrid:
        from evaluate.retrieval import HybridSearcher, load_fusion

        weight = load_fusion(model, mode).weight
        searcher = HybridSearcher(model=searcher, words=words, weight=weight)
    return searcher.search([request.question], request.count), scored


def hit_of(document: CodeDocument, score: float, root: Path, lines: int) -> Hit:
    """An answer with its first `lines` lines as they stand in the file; 0 for all."""
    # A link that took the place of a file or folder since the walk leads nowhere.
    is_link = (root / document.path).is_symlink()
    content = None if is_link else read_in_folder(root, document.path, MAX_FILE_BYTES)
    # The file as it is has its comments where they stand; it may be gone by now.
    text = document.text
    if content is not None:
        rows = content.decode("utf-8", errors="replace").split("\n")
        text = "\n".join(rows[document.start_line - 1 : document.end_line]) or text
    shown = text.split("\n")
    return Hit(score=score, document=document, snippet="\n".join(shown[:lines] if lines else shown))


def _encoder(model: Path, device: str = "auto") -> Encoder:
    from train import resolve_device

    return _loaded(model, str(resolve_device(device)))


@cache
def _loaded(model: Path, device: str) -> Encoder:
    from train.checkpoint import load_model

    return load_model(str(model), device)


@cache
def _graph(model: Path) -> QuestionGraph | None:
    """What encodes a text without torch, where it was made already."""
    from evaluate.code_search import QuestionGraph

    return QuestionGraph.open(place() / GRAPHS / fingerprint(model))


def _encode(model: Path) -> Encode:
    from evaluate.code_search import FEW

    def encode(texts: Sequence[str]) -> TokenVectors:
        # Loading torch takes as long as encoding a hundred functions.
        graph = _graph(model) if len(texts) <= FEW else None
        if graph is not None:
            return graph.encode(texts)
        return _encoder(model).encode(texts, "document")

    return encode


def _question(model: Path, step: Step, question: str) -> NDArray[np.float32]:
    """Its token vectors: by a graph that needs no torch, which is made where it is missing."""
    from evaluate.code_search import make_graph, wanted

    folder = place() / GRAPHS / fingerprint(model)
    if _graph(model) is None and wanted(folder):
        # The graph is one for the CPU, whatever the model itself runs on.
        encoder = _encoder(model, "cpu")
        step.report("preparing quick questions, once for this model")
        make_graph(encoder, folder)
        _graph.cache_clear()
    graph = _graph(model)
    if graph is not None:
        return graph(question, "query")
    return _encoder(model).encode([question], "query").values


def _as_json(
    facts: Mapping[str, Any], hits: Sequence[Hit], snapshot: Snapshot, seconds: Mapping[str, float]
) -> str:
    """One object on one line, in ASCII."""
    changes = snapshot.changes
    answer = {
        "version": _JSON_VERSION,
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
    return json.dumps(answer)


def _show(hits: Sequence[Hit], console: Console) -> None:
    """A head and a snippet an answer; highlighted on a terminal, plain elsewhere."""
    for rank, hit in enumerate(hits, 1):
        document = hit.document
        lines = f"{document.start_line}-{document.end_line}"
        head = f"{rank:>2}  {hit.score:.4f}  {one_line(document.path)}:{lines}"
        name = f"  {one_line(document.name)}" if document.name else ""
        console.print(f"{head}{name}", style="bold")
        snippet = printable(hit.snippet)
        if console.is_terminal:
            from rich.syntax import Syntax

            console.print(
                Syntax(snippet, document.language or "text", line_numbers=True,
                       start_line=document.start_line, background_color="default")
            )  # fmt: skip
        else:
            for number, line in enumerate(snippet.split("\n"), document.start_line):
                console.print(f"    {number:>5}  {line}")
        console.print()
