"""Modes to searchers: the one place where an evaluation finds out what can search a corpus.

Method: `make_searcher` builds the searcher of a mode over a corpus. `bm25` needs no model; `maxsim`
and `xtr` share a token index, which is kept in a folder under the fingerprints of model and corpus,
so that the same question asked twice encodes nothing; `dense` is encoded anew. Encoders are kept
for the next corpus.
Cost: encoding, 30 to 60 functions a second a core with a 22M encoder; see each searcher.
Limits: the cache is cut to `CACHE_BYTES` after each new index, oldest use first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evaluate.corpora import Corpus
from evaluate.retrieval.bm25 import Bm25Searcher
from evaluate.retrieval.searcher import Searcher

if TYPE_CHECKING:
    from evaluate.index import Precision, TokenIndex
    from train.model import Encoder

Mode = Literal["bm25", "dense", "maxsim", "xtr"]
MODES: tuple[Mode, ...] = ("maxsim", "xtr", "bm25", "dense")


class SearcherError(ValueError):
    """A mode that cannot be had; the message holds the reason and the remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearcherOptions:
    """How to search."""

    hybrid: bool = False
    """Fused with BM25."""
    weight: float | None = None
    """Of BM25 in the fusion; None takes what is stored with the model, or the careful default."""
    precision: Precision = "fp16"
    """Of the token index."""
    retrieved: int | None = None
    """Tokens that each query token retrieves (xtr); None is the default of `xtr_search`."""
    cache: Path | None = None
    """Folder of indexes; None is `index_cache.cache_folder()`."""
    device: str | None = None
    """cuda, mps or cpu; None takes the best there is."""
    progress: Callable[[str, int, int], None] | None = None
    """Told what is being done, how much of it is done, and of how much."""


def make_searcher(
    mode: Mode, model: str | None, corpus: Corpus, options: SearcherOptions
) -> Searcher:
    """The searcher of a mode over a corpus; `model` is the folder of a model where one is needed.

    Raises `SearcherError`, and ValueError or OSError for a model that cannot be loaded.
    """
    if mode == "bm25":
        return words_searcher(corpus)
    if model is None:
        raise SearcherError(f"--mode {mode} needs a model: name one with --model-path")
    found = _neural(mode, model, corpus, options)
    if not options.hybrid:
        return found
    from evaluate.retrieval.fusion import HybridSearcher, load_fusion

    weight = options.weight
    if weight is None:
        weight = load_fusion(model, mode).weight
    return HybridSearcher(model=found, words=words_searcher(corpus), weight=weight)


def words_searcher(corpus: Corpus) -> Bm25Searcher:
    """BM25 over a corpus."""
    languages = {document.language for document in corpus.documents}
    return Bm25Searcher.over([one.text for one in corpus.documents], languages)


def _neural(mode: Mode, model: str, corpus: Corpus, options: SearcherOptions) -> Searcher:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise SearcherError(
            f"--mode {mode} needs torch: pip install -e '.[train]' -c constraints.txt"
        ) from error
    from train import Mismatch, place_of

    try:
        place = str(place_of(options.device or "auto"))
    except Mismatch as error:
        raise SearcherError(f"{error.message}: {error.remedy}") from error
    encoder = _encoder(model, place)
    texts = [document.text for document in corpus.documents]
    if mode == "dense":
        from evaluate.retrieval.dense import DenseSearcher

        return DenseSearcher.over(texts, encoder, _told(options, "documents encoded"))
    index = _index(model, encoder, corpus.digest(), texts, options)
    encode = partial(encoder.encode, kind="query")
    if mode == "maxsim":
        from evaluate.retrieval.maxsim import MaxSimSearcher

        return MaxSimSearcher(index=index, encode=encode, device=encoder.device)
    from evaluate.retrieval.xtr import RETRIEVED, XtrSearcher

    retrieved = RETRIEVED if options.retrieved is None else options.retrieved
    return XtrSearcher(index=index, encode=encode, device=encoder.device, retrieved=retrieved)


def _index(
    model: str,
    encoder: Encoder,
    digest: str,
    texts: Sequence[str],
    options: SearcherOptions,
) -> TokenIndex:
    from evaluate.index import IndexCache, cache_folder

    cache = IndexCache(folder=options.cache or cache_folder())
    return cache.index(
        cache.key(model, digest, options.precision),
        texts,
        partial(encoder.encode, kind="document"),
        precision=options.precision,
        progress=_told(options, "documents encoded"),
    )


def _told(options: SearcherOptions, what: str) -> Callable[[int, int], None] | None:
    return partial(options.progress, what) if options.progress is not None else None


@lru_cache(maxsize=2)
def _encoder(model: str, device: str) -> Encoder:
    from train.checkpoint import load_model

    return load_model(model, device)
