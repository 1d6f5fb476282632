"""The searcher of a mode over a corpus, fused with keyword search where that is wanted.

Limits: what a mode costs stands with its searcher; `context` has the costs of encoding.
"""

from __future__ import annotations

from evaluate.corpora import Corpus
from evaluate.retrieval.context import SearchContext, SearcherOptions
from evaluate.retrieval.fusion import HybridSearcher, load_fusion
from evaluate.retrieval.registry import SEARCHERS
from evaluate.retrieval.searcher import Searcher
from xtrove.core import Misuse


def make_searcher(
    mode: str, model: str | None, corpus: Corpus, options: SearcherOptions
) -> Searcher:
    """The searcher of a mode over a corpus; `model` is the folder of a model where one is needed.

    Raises `Misuse`; `ModelError` for a model that cannot be loaded.
    """
    kind = SEARCHERS[mode]
    if not kind.needs_model:
        return kind.build(SearchContext(corpus, "", options))
    if model is None:
        raise Misuse(f"--mode {mode} needs a model: name one with --model-path")
    context = SearchContext(corpus, model, options)
    searcher = kind.build(context)
    if not options.hybrid:
        return searcher
    weight = options.weight
    if weight is None:
        weight = load_fusion(model, mode).weight
    return HybridSearcher(model=searcher, words=SEARCHERS["bm25"].build(context), weight=weight)
