"""BM25 over a corpus: the baseline that every model must beat, tuned so that it is one.

Method: bm25s (Lù, 2024) with the words of `evaluate.retrieval.tokenize`, Lucene's variant; k1 and b
were tuned on CoSQA. A document without a word of the question is not found at all.
Cost: index 1.5 MB/s of text a core, a question about 1 ms over 20,000 functions.
Limits: an index in memory, 8 bytes a (word, document); scores are float32.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evaluate.retrieval.context import SearchContext
from evaluate.retrieval.searcher import NOTHING, Hits, joined, top
from evaluate.retrieval.tokenize import code_words, query_words

if TYPE_CHECKING:
    import bm25s  # type: ignore[import-untyped, unused-ignore]

K1 = 1.2
B = 0.9


class Bm25Searcher:
    """BM25 over the texts of a corpus."""

    def __init__(self, *, index: bm25s.BM25 | None, languages: frozenset[str], size: int) -> None:
        self._index = index
        self._languages = languages
        self._size = size

    @classmethod
    def over(
        cls,
        texts: Sequence[str],
        languages: Collection[str],
        *,
        k1: float = K1,
        b: float = B,
    ) -> Bm25Searcher:
        """Indexes the texts; `languages` are those of the corpus, dropped from questions."""
        import bm25s

        words = [code_words(text) for text in texts]
        index = None
        if any(words):
            # Without a word at all bm25s divides by zero.
            index = bm25s.BM25(k1=k1, b=b)
            index.index(words, show_progress=False)
        return cls(index=index, languages=frozenset(languages), size=len(texts))

    @classmethod
    def build(cls, context: SearchContext) -> Bm25Searcher:
        """Indexes the documents of a context."""
        return cls.over(context.texts, context.languages)

    @property
    def bytes(self) -> int:
        """Size of the index."""
        parts = self._index.scores if self._index is not None else {}
        return sum(int(part.nbytes) for part in parts.values() if isinstance(part, np.ndarray))

    def search(self, queries: list[str], k: int) -> Hits:
        """The best `k` documents of each question that hold one of its words."""
        rows = list(self._rows(queries, min(k, self._size)))
        return joined(rows)

    def _rows(self, queries: list[str], k: int) -> Iterator[Hits]:
        known = self._index.vocab_dict if self._index is not None else {}
        for query in queries:
            words = [word for word in query_words(query, self._languages) if word in known]
            if self._index is None or not words:
                yield Hits(
                    ids=np.full((1, k), NOTHING, dtype=np.int32),
                    scores=np.zeros((1, k), dtype=np.float32),
                )
                continue
            yield top(np.asarray(self._index.get_scores(words))[None, :], k, above=0.0)
