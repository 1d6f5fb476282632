"""`xtrove evaluate`: corpora from what was named, systems side by side, one result.

Method: the words become a corpus (or several) and a list of systems; the first is what was asked
for, the others are what it must be judged beside: without keyword search, exact MaxSim, the
untrained base encoder, BM25. Each is measured alike; then everything is shown, and written
where `--output` says. Nothing is written before all of it is measured.
Cost: that of the searchers. Limits: a base encoder that cannot be had is left out with a note.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from evaluate.beir import beir_corpus
from evaluate.corpus import Corpus
from evaluate.cosqa import cosqa_corpus
from evaluate.csn_challenge import (
    Annotations,
    GivenRankings,
    Predictions,
    measure_ndcg,
    prediction_corpora,
    read_annotations,
    read_predictions,
)
from evaluate.csn_challenge import (
    dataset_corpora as challenge_corpora,
)
from evaluate.dataset_corpus import dataset_corpora, some_queries
from evaluate.evaluation import System, evaluation
from evaluate.measuring import DEPTH, Measure, measure_system
from evaluate.result import FILE, Evaluation, ResultError, load_result
from evaluate.retrieve import Searcher
from evaluate.row_documents import RowError
from evaluate.searchers import Mode, SearcherError, SearcherOptions, make_searcher
from evaluate.spec import SpecError, load_spec
from evaluate.spec_corpus import spec_corpus
from evaluate.tables import compare_tables
from xtrove.console import duration, err
from xtrove.errors import Misuse, Stop
from xtrove.evaluation_output import print_table, show, shown, write

DECISIVE = ("xtrove", "bm25s", "ir-measures", "numpy", "tree-sitter", "torch", "transformers")
TRAINING = "xtrove_training.json"
_SLOW_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked for on the command line."""

    spec: Path | None = None
    dataset: Path | None = None
    cosqa: Path | None = None
    beir: Path | None = None
    csn: Path | None = None
    predictions: Path | None = None
    model: str | None = None
    base: str | None = None
    mode: Mode | None = None
    hybrid: bool = False
    alone: bool = False
    verbose: bool = False
    output: Path | None = None
    keep_documentation: bool = False
    distractors: int | None = None
    split: str | None = None
    languages: tuple[str, ...] = ()
    queries: int | None = None
    depth: int = DEPTH
    options: SearcherOptions = field(default_factory=SearcherOptions)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A system to measure."""

    name: str
    mode: Mode
    model: str | None
    hybrid: bool = False
    needed: bool = True
    """False: left out with a note where it cannot be had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    corpora: list[Corpus]
    measure: Measure | None = None
    given: Predictions | None = None


def evaluate(request: Request) -> Evaluation:
    """Measures, shows and writes. Raises `Misuse` for wrong words, `Stop` where it fails."""
    _check(request)
    if request.output is not None and (request.output / FILE).exists():
        raise Misuse(f"{request.output} holds a result already", remedy="Name another --output.")
    try:
        with _step("reading the corpus"):
            task = _task(request)
    except (SpecError, RowError) as error:
        raise Misuse(str(error)) from error
    try:
        systems, notes = _systems(request, task)
    except SearcherError as error:
        raise Misuse(str(error)) from error
    except (ValueError, OSError) as error:
        # A model that is damaged or gone; scores that are no numbers.
        raise Stop(str(error)) from error
    with _step("intervals and groups"):
        result = evaluation(
            task.corpora[0].name if len(task.corpora) == 1 else _source(request).name,
            task.corpora,
            systems,
            settings=_settings(request),
            versions=_versions(),
        )
    tables, lines = shown(result, notes)
    if request.output is not None:
        try:
            write(request.output, result, task.corpora, systems, tables, lines)
        except ResultError as error:
            raise Misuse(str(error)) from error
    show(result, tables, lines, verbose=request.verbose)
    return result


def compare(first: Path, second: Path) -> None:
    """Shows the paired test of two results and the questions won and lost."""
    try:
        one, two = load_result(first), load_result(second)
        names = (
            (first.stem, second.stem) if first.stem != second.stem else (str(first), str(second))
        )
        tables = compare_tables(one, two, names)
    except ResultError as error:
        raise Misuse(str(error)) from error
    for table in tables:
        print_table(table)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """What tells two results apart: their file names, else their folders, else all of them."""
    for one, two in ((first.stem, second.stem), (first.parent.name, second.parent.name)):
        if one != two:
            return one, two
    return str(first), str(second)


def _check(request: Request) -> None:
    """Words that do not go together are refused: none is ignored."""
    sources = [request.spec, request.cosqa, request.beir, request.csn]
    named = sum(one is not None for one in sources)
    if named + (request.dataset is not None and request.csn is None) != 1:
        raise Misuse(
            "evaluate what? Exactly one corpus is needed",
            remedy="Name one of --spec, --dataset, --cosqa, --beir, --csn (with --dataset or "
            "--predictions), or --compare A B.",
        )
    if request.csn is not None and (request.dataset is None) == (request.predictions is None):
        raise Misuse("--csn needs either --dataset or --predictions", remedy="Name one of them.")
    only_dataset = request.dataset is not None and request.csn is None
    given = request.predictions is not None
    for word, is_set, fits in (
        ("--predictions", given, request.csn is not None),
        ("--distractors", request.distractors is not None, only_dataset),
        ("--split", request.split is not None, bool(only_dataset or request.cosqa or request.beir)),
        ("--language", bool(request.languages), bool(only_dataset or request.beir)),
        ("--keep-documentation", request.keep_documentation, bool(sources[0:3] != [None] * 3)),
        ("--queries", request.queries is not None, request.csn is None),
        ("--base", request.base is not None, not request.alone and not given),
        ("--model-path", request.model is not None, not given and request.mode != "bm25"),
        ("--mode", request.mode is not None, not given),
        ("--hybrid", request.hybrid, not given and request.mode != "bm25"),
    ):
        if is_set and not fits:
            raise Misuse(f"{word} does not go with the other words", remedy=f"Leave {word} out.")
    if request.model is None and (request.hybrid or request.mode not in (None, "bm25")):
        word = "--hybrid" if request.hybrid else f"--mode {request.mode}"
        raise Misuse(f"{word} needs a model", remedy="Name one with --model-path.")
    if request.beir is not None and len(request.languages) > 1:
        raise Misuse("--beir takes one --language: that of its documents", remedy="Name one.")


def _source(request: Request) -> Path:
    found = (request.spec, request.cosqa, request.beir, request.csn, request.dataset)
    return next(one for one in found if one is not None)


def _task(request: Request) -> _Task:
    if request.csn is not None:
        return _challenge(request, read_annotations(request.csn))
    keep = request.keep_documentation
    if request.spec is not None:
        corpora = [spec_corpus(load_spec(request.spec), keep_documentation=keep)]
    elif request.cosqa is not None:
        corpora = [cosqa_corpus(request.cosqa, split=request.split, keep_documentation=keep)]
    elif request.beir is not None:
        language = request.languages[0] if request.languages else ""
        corpora = [
            beir_corpus(
                request.beir,
                split=request.split or "test",
                language=language,
                keep_documentation=keep,
            )
        ]
    else:
        corpora = dataset_corpora(
            _source(request),
            split=request.split or "test",
            languages=request.languages or None,
            distractors=request.distractors,
        )
    if request.queries is not None:
        corpora = some_queries(corpora, request.queries)
    return _Task(corpora=corpora)


def _challenge(request: Request, annotations: Annotations) -> _Task:
    if request.predictions is not None:
        given = read_predictions(request.predictions)
        corpora = prediction_corpora(annotations, given)
        return _Task(corpora=corpora, measure=measure_ndcg(annotations), given=given)
    assert request.dataset is not None  # `_check` saw to it.
    corpora = challenge_corpora(annotations, request.dataset)
    return _Task(corpora=corpora, measure=measure_ndcg(annotations))


def _rows(request: Request) -> tuple[list[_Row], list[str]]:
    """The system that was asked for and those beside it, with what must be said of them."""
    mode: Mode = request.mode or ("xtr" if request.model else "bm25")
    if mode == "bm25":
        return [_Row(name="bm25", mode="bm25", model=None)], []
    name = f"{mode} + bm25" if request.hybrid else mode
    rows = [_Row(name=name, mode=mode, model=request.model, hybrid=request.hybrid)]
    if request.alone:
        return rows, []
    notes: list[str] = []
    if request.hybrid:
        rows.append(_Row(name=mode, mode=mode, model=request.model))
    if mode == "xtr":
        rows.append(_Row(name="maxsim", mode="maxsim", model=request.model))
    base = request.base or _base_of(request.model)
    if base:
        untrained: Mode = "dense" if mode == "dense" else "maxsim"
        name = f"untrained {untrained} ({base})"
        needed = request.base is not None
        rows.append(_Row(name=name, mode=untrained, model=base, needed=needed))
    else:
        notes.append("the model does not name its base encoder: --base NAME puts it beside")
    rows.append(_Row(name="bm25", mode="bm25", model=None))
    return rows, notes


def _base_of(model: str | None) -> str:
    """What a model of ours was trained from; "" where its folder does not say."""
    try:
        facts = json.loads((Path(model or "") / TRAINING).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    base = facts.get("base") if isinstance(facts, dict) else None
    # A model trained from scratch has no encoder to compare with.
    return base if isinstance(base, str) and base != "scratch" else ""


def _systems(request: Request, task: _Task) -> tuple[list[System], list[str]]:
    if task.given is not None:
        given = task.given

        def ranking(corpus: Corpus) -> Searcher:
            return GivenRankings(corpus=corpus, ranked=given.get(corpus.queries[0].language, {}))

        measured = measure_system(task.corpora, ranking, depth=request.depth, measure=task.measure)
        name = request.predictions.name if request.predictions is not None else "predictions"
        return [System(name=name, mode="given", model="", measured=measured)], []
    rows, notes = _rows(request)
    systems: list[System] = []
    for row in rows:
        try:
            systems.append(_system(row, request, task))
        except (SearcherError, OSError, ValueError) as error:
            if row.needed:
                raise
            notes.append(f"{row.name} is left out: {error}")
    return systems, notes


def _system(row: _Row, request: Request, task: _Task) -> System:
    options = replace(request.options, hybrid=row.hybrid)
    with _step(f"{row.name}: index and search"):
        measured = measure_system(
            task.corpora,
            lambda corpus: make_searcher(row.mode, row.model, corpus, options),
            depth=request.depth,
            measure=task.measure,
        )
    known = None
    if row.model is not None:
        from train.trained_on import trained_on

        known = trained_on(row.model)
    return System(
        name=row.name, mode=row.mode, model=row.model or "", measured=measured, known=known
    )


def _versions() -> dict[str, str]:
    """Of what decides the numbers, where it is installed."""
    found = {"python": platform.python_version()}
    for name in DECISIVE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _settings(request: Request) -> dict[str, str | int | float | bool]:
    asked: dict[str, str | int | float | bool | None] = {
        "documentation": "left in" if request.keep_documentation else "cut out",
        "depth": request.depth,
        "distractors": request.distractors,
        "queries": request.queries,
        "split": request.split,
        "hybrid": request.hybrid,
    }
    return {key: value for key, value in asked.items() if value is not None}


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Shows what is being done; how long it took, where that was long."""
    start = time.monotonic()
    with err().status(what):
        yield
    taken = time.monotonic() - start
    if taken >= _SLOW_SECONDS:
        err().print(f"{what}: {duration(taken)}", markup=False)
