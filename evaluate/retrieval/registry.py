"""The searchers by mode: a new one is a module and a line here.

Method: a line names a class with `build(context: SearchContext) -> Searcher`. The class is imported
when its mode is used, so that keyword search needs no torch and the command line loads no class.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from evaluate.retrieval.context import SearchContext
    from evaluate.retrieval.searcher import Searcher


@dataclass(frozen=True, slots=True)
class SearcherKind:
    """One way to search."""

    module: str
    """In this folder."""
    class_name: str
    needs_model: bool = True
    options: tuple[str, ...] = ()
    """The fields of `SearcherOptions` that this kind alone reads."""

    def build(self, context: SearchContext) -> Searcher:
        """The searcher over a context. Raises `Misuse` where it cannot be built."""
        module: Any = importlib.import_module(f"evaluate.retrieval.{self.module}")
        searcher: Searcher = getattr(module, self.class_name).build(context)
        return searcher


SEARCHERS: Final = {
    "maxsim": SearcherKind("maxsim", "MaxSimSearcher", options=("precision",)),
    "xtr": SearcherKind("xtr", "XtrSearcher", options=("precision", "retrieved")),
    "bm25": SearcherKind("bm25", "Bm25Searcher", needs_model=False),
    "dense": SearcherKind("dense", "DenseSearcher"),
}
