"""Modes to searchers: the one place where an evaluation finds out what can search a corpus.

Method: `make_searcher` builds the searcher of a mode over a corpus. `bm25` needs no model.
Limits: see each searcher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evaluate.bm25 import Bm25Searcher
from evaluate.corpus import Corpus
from evaluate.retrieve import Searcher

Mode = Literal["bm25", "dense", "maxsim", "xtr"]
MODES: tuple[Mode, ...] = ("maxsim", "xtr", "bm25", "dense")


class SearcherError(ValueError):
    """A mode that cannot be had; the message holds the reason and the remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearcherOptions:
    """How to search."""

    hybrid: bool = False
    """Fused with BM25."""
    progress: Callable[[str, int, int], None] | None = None
    """Told what is being done, how much of it is done, and of how much."""


def make_searcher(
    mode: Mode, model: str | None, corpus: Corpus, options: SearcherOptions
) -> Searcher:
    """The searcher of a mode over a corpus; `model` is the folder of a model where one is needed.

    Raises `SearcherError`.
    """
    if mode == "bm25" and not options.hybrid:
        languages = {document.language for document in corpus.documents}
        return Bm25Searcher.over([one.text for one in corpus.documents], languages)
    wanted = f"{mode} with BM25" if options.hybrid else mode
    raise SearcherError(f"no searcher for {wanted!r} in this version: use --mode bm25")
