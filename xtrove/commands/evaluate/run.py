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
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from evaluate.corpora import (
    Corpus,
    beir_corpus,
    cosqa_corpus,
    dataset_corpora,
    place_name,
    pool_corpora,
    some_queries,
)
from evaluate.measure import (
    FILE,
    Annotations,
    Evaluation,
    GivenRankings,
    Measure,
    Predictions,
    System,
    compare_tables,
    evaluation,
    load_result,
    measure_ndcg,
    measure_system,
    prediction_corpora,
    read_annotations,
    read_predictions,
)
from evaluate.measure import dataset_corpora as challenge_corpora
from evaluate.retrieval import SEARCHERS, Searcher, make_searcher
from evaluate.spec import load_spec, spec_corpus
from ingest.files import read_capped
from xtrove.commands.evaluate.output import print_table, show, shown, write
from xtrove.commands.evaluate.request import Request, check
from xtrove.commands.evaluate.tune import tune_fusion
from xtrove.core import Misuse, XtroveError
from xtrove.terminal import Step

DECISIVE = ("xtrove", "bm25s", "ir-measures", "numpy", "tree-sitter", "torch", "transformers")
TRAINING = "xtrove_training.json"
_MAX_FACTS_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A system to measure."""

    name: str
    mode: str
    model: str | None
    hybrid: bool = False
    needed: bool = True
    """False: left out with a note where it cannot be had."""


@dataclass(kw_only=True, slots=True)
class _Task:
    corpora: list[Corpus]
    measure: Measure | None = None
    given: Predictions | None = None


def evaluate(request: Request) -> Evaluation:
    """Measures, shows and writes. Raises `Misuse` for wrong words, `XtroveError` where it fails."""
    check(request)
    if request.output is not None and (request.output / FILE).exists():
        raise Misuse(f"{request.output} holds a result already", remedy="Name another --output.")
    with Step("reading the corpus", timed=True):
        task = _task(request)
    tuned = _tuned(request, task)
    systems, notes = _systems(request, task)
    notes = tuned + notes
    with Step("intervals and groups", timed=True):
        result = evaluation(
            task.corpora[0].name if len(task.corpora) == 1 else place_name(request.source),
            task.corpora,
            systems,
            settings=_settings(request),
            versions=_versions(),
        )
    tables, lines = shown(result, notes)
    if request.output is not None:
        write(request.output, result, task.corpora, systems, tables, lines)
    show(result, tables, lines, verbose=request.verbose)
    return result


def compare(first: Path, second: Path) -> None:
    """Shows the paired test of two results and the questions won and lost."""
    before, after = load_result(first), load_result(second)
    names = (first.stem, second.stem) if first.stem != second.stem else (str(first), str(second))
    for table in compare_tables(before, after, names):
        print_table(table)


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
    elif request.pools is not None:
        corpora = pool_corpora(request.pools)
    else:
        corpora = dataset_corpora(
            request.source,
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
    assert request.dataset is not None  # `check` saw to it.
    corpora = challenge_corpora(annotations, request.dataset)
    return _Task(corpora=corpora, measure=measure_ndcg(annotations))


def rows_of(request: Request) -> tuple[list[_Row], list[str]]:
    """The system that was asked for and those beside it, with what must be said of them."""
    mode = request.mode or ("xtr" if request.model else "bm25")
    if not SEARCHERS[mode].needs_model:
        return [_Row(name=mode, mode=mode, model=None)], []
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
        untrained = "dense" if mode == "dense" else "maxsim"
        name = f"untrained {untrained} ({base})"
        needed = request.base is not None
        rows.append(_Row(name=name, mode=untrained, model=base, needed=needed))
    else:
        notes.append("the model does not name its base encoder: --base NAME puts it beside")
    rows.append(_Row(name="bm25", mode="bm25", model=None))
    return rows, notes


def _base_of(model: str | None) -> str:
    """What a model of ours was trained from; "" where its folder does not say."""
    data = read_capped(str(Path(model or "") / TRAINING), _MAX_FACTS_BYTES)
    try:
        facts = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return ""
    base = facts.get("base") if isinstance(facts, dict) else None
    # A model trained from scratch has no encoder to compare with.
    return base if isinstance(base, str) and base != "scratch" else ""


def _tuned(request: Request, task: _Task) -> list[str]:
    """Takes half of the questions for the weight of the fusion, where that was asked for."""
    if not request.tune or request.model is None:
        return []
    with Step("tuning the weight of BM25", timed=True) as step:
        task.corpora, note = tune_fusion(
            task.corpora,
            request.model,
            request.mode or "xtr",
            replace(request.options, progress=step.report),
        )
    return [note]


def _systems(request: Request, task: _Task) -> tuple[list[System], list[str]]:
    if task.given is not None:
        given = task.given

        def ranking(corpus: Corpus) -> Searcher:
            return GivenRankings(corpus=corpus, ranked=given.get(corpus.queries[0].language, {}))

        measured = measure_system(task.corpora, ranking, depth=request.depth, measure=task.measure)
        name = request.predictions.name if request.predictions is not None else "predictions"
        return [System(name=name, mode="given", model="", measured=measured)], []
    rows, notes = rows_of(request)
    systems: list[System] = []
    for row in rows:
        try:
            systems.append(_system(row, request, task))
        except (XtroveError, OSError) as error:
            if row.needed:
                raise
            notes.append(f"{row.name} is left out: {error}; --base says where it is")
    return systems, notes


def _system(row: _Row, request: Request, task: _Task) -> System:
    with Step(f"{row.name}: index and search", timed=True) as step:
        options = replace(request.options, hybrid=row.hybrid, progress=step.report)
        measured = measure_system(
            task.corpora,
            lambda corpus: make_searcher(row.mode, row.model, corpus, options),
            depth=request.depth,
            measure=task.measure,
        )
    known = None
    if row.model is not None:
        from train.checkpoint import trained_on

        known = trained_on(row.model)
    return System(
        name=row.name, mode=row.mode, model=row.model or "", measured=measured, known=known
    )


def _versions() -> dict[str, str]:
    """Of what decides the numbers, where it is installed."""
    versions = {"python": platform.python_version()}
    for name in DECISIVE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _settings(request: Request) -> dict[str, str | int | float | bool]:
    settings: dict[str, str | int | float | bool | None] = {
        "depth": request.depth,
        "distractors": request.distractors,
        "queries": request.queries,
        "split": request.split,
        "hybrid": request.hybrid,
        "tune": request.tune,
        "document_template": request.options.template,
        "precision": request.options.precision,
        "retrieved": request.options.retrieved,
    }
    return {key: value for key, value in settings.items() if value is not None}
