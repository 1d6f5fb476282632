"""What a searcher is built over: the documents of a corpus, an encoder, a token index.

Method: encoder and index are made when a searcher asks for them. A token index is kept in a folder
under the fingerprints of model and corpus, so that `maxsim` and `xtr` share it and a second
evaluation encodes nothing. Encoders are kept for the next corpus, and where pools share functions
so are their vectors.
Cost: encoding, 30 to 60 functions a second a core with a 22M encoder.
Limits: the cache is cut to `CACHE_BYTES` after each new index, least recently used first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.corpora import Corpus
from evaluate.retrieval.remembered import Remembered
from train import DocumentTemplate
from xtrove.core import cache_folder

if TYPE_CHECKING:
    from evaluate.index import Precision, TokenIndex
    from train.model import Encoder, TokenVectors


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
    """Tokens that each query token retrieves (xtr); None is the default of `xtr`."""
    cache: Path | None = None
    """Folder of indexes; None is `xtrove.core.cache_folder("indexes")`."""
    device: str | None = None
    """cuda, mps or cpu; None takes the best there is."""
    template: str | None = None
    """The document template of every searcher; None is the model's own, and for words the code."""
    progress: Callable[[str, int, int], None] | None = None
    """Is called with what is done, how much of it, and of how much."""


@dataclass(frozen=True)
class SearchContext:
    """The documents to search and how; `model` is the folder of a model where one is needed."""

    corpus: Corpus
    model: str
    options: SearcherOptions

    @cached_property
    def texts(self) -> list[str]:
        """What keyword search reads of the documents, in the order of the corpus."""
        if self.options.template is None:
            return [document.text for document in self.corpus.documents]
        return self._rendered(DocumentTemplate(self.options.template))

    @cached_property
    def encoded_texts(self) -> list[str]:
        """What the model reads of the documents, in the order of the corpus."""
        if self.options.template is None:
            return self._rendered(self.encoder.options.template)
        return self.texts

    def _rendered(self, template: DocumentTemplate) -> list[str]:
        return [
            template.render(
                code=document.text,
                path=document.path_in_repo or document.path,
                scope=document.scope,
                name=document.name,
            )
            for document in self.corpus.documents
        ]

    @property
    def languages(self) -> set[str]:
        """The languages of the documents."""
        return {document.language for document in self.corpus.documents}

    @cached_property
    def encoder(self) -> Encoder:
        """The model on its device. Raises `Misuse` without the device, `ModelError` for a model
        that cannot be loaded."""
        from train import resolve_device

        device = str(resolve_device(self.options.device or "auto"))
        return _encoder(self.model, device)

    @cached_property
    def index(self) -> TokenIndex:
        """The token vectors of the documents, from the cache where they are there."""
        from evaluate.index import IndexCache

        cache = IndexCache(folder=self.options.cache or cache_folder("indexes"))
        return cache.index(
            cache.key(
                self.model, self.corpus.digest_of(self.encoded_texts), self.options.precision
            ),
            self.encoded_texts,
            self._encode_documents,
            precision=self.options.precision,
            progress=self.progress,
        )

    @property
    def _encode_documents(self) -> Callable[[Sequence[str]], TokenVectors]:
        if self.corpus.by_repository:
            return _remembered(self.encoder)
        return partial(self.encoder.encode, kind="document")

    @property
    def progress(self) -> Callable[[int, int], None] | None:
        """Is called with the documents encoded and their total."""
        report = self.options.progress
        return partial(report, "documents encoded") if report is not None else None


@lru_cache(maxsize=2)
def _encoder(model: str, device: str) -> Encoder:
    from train.checkpoint import load_model

    return load_model(model, device)


@lru_cache(maxsize=1)
def _remembered(encoder: Encoder) -> Remembered:
    return Remembered(encode=partial(encoder.encode, kind="document"))
