"""What is asked of `xtrove evaluate`, and which words go together.

A word that would change nothing is refused rather than ignored: whoever wrote it meant something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from evaluate.measure import DEPTH
from evaluate.retrieval import SEARCHERS, SearcherOptions
from train import DocumentTemplate
from xtrove.core import Misuse


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked for on the command line."""

    spec: Path | None = None
    dataset: str | None = None
    """A folder or an address."""
    cosqa: Path | None = None
    beir: Path | None = None
    pools: Path | None = None
    csn: Path | None = None
    predictions: Path | None = None
    model: str | None = None
    base: str | None = None
    mode: str | None = None
    hybrid: bool = False
    tune: bool = False
    """Tune the weight of the fusion on half of the questions, and measure the others."""
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

    @property
    def source(self) -> Path | str:
        """What the corpus is read from."""
        sources = (self.spec, self.cosqa, self.beir, self.pools, self.csn, self.dataset)
        return next(source for source in sources if source is not None)


def check(request: Request) -> None:
    """Raises `Misuse` for words that do not go together: none is ignored."""
    sources = [request.spec, request.cosqa, request.beir, request.pools, request.csn]
    named = sum(source is not None for source in sources)
    if named + (request.dataset is not None and request.csn is None) != 1:
        raise Misuse(
            "evaluate what? Exactly one corpus is needed",
            remedy="Name one of --spec, --dataset, --cosqa, --beir, --pools, --csn (with "
            "--dataset or --predictions), or --compare A B.",
        )
    if request.csn is not None and (request.dataset is None) == (request.predictions is None):
        raise Misuse("--csn needs either --dataset or --predictions", remedy="Name one of them.")
    kind = SEARCHERS.get(request.mode or "xtr")
    if kind is None:
        raise Misuse(
            f"--mode {request.mode!r} does not exist", remedy=f"Name one of {', '.join(SEARCHERS)}."
        )
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
        ("--model-path", request.model is not None, not given and kind.needs_model),
        ("--mode", request.mode is not None, not given),
        ("--hybrid", request.hybrid, not given and kind.needs_model),
        ("--tune", request.tune, request.hybrid and request.csn is None),
        ("--document-template", request.options.template is not None, not given),
        ("--retrieved", request.options.retrieved is not None, "retrieved" in kind.options),
        (
            "--device",
            request.options.device is not None,
            request.model is not None and kind.needs_model,
        ),
        (
            "--precision",
            request.options.precision == "int8",
            "precision" in kind.options,
        ),
    ):
        if is_set and not fits:
            raise Misuse(f"{word} does not go with the other options", remedy=f"Leave {word} out.")
    if request.model is None and (request.hybrid or request.mode and kind.needs_model):
        word = "--hybrid" if request.hybrid else f"--mode {request.mode}"
        raise Misuse(f"{word} needs a model", remedy="Name one with --model-path.")
    if request.options.template is not None:
        try:
            DocumentTemplate(request.options.template)
        except ValueError as error:
            raise Misuse(f"--document-template: {error}") from None
    if request.beir is not None and len(request.languages) > 1:
        raise Misuse("--beir takes one --language: that of its documents", remedy="Name one.")
