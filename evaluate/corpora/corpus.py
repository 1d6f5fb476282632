"""The records of an evaluation: documents, questions with their answers, and both together.

An answer is a target: a document, or several that stand for one (the overloads of a function, all
functions of a file that a question names as a whole). `Query.aliases` says which target a
document stands for; in a ranking only the best document of a target counts (`collapse`).
Cost: `digest` hashes every text once (1 GB/s); `duplicates` lexes the pool (13 MB/s a core).
Limits: everything is held in memory: about 2 kB a function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dedupe import LANGUAGES, exact_key, tokens
from evaluate.metrics import Hits
from extract.redaction import redact

Fact = str | int | float | bool | list[str] | dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """Something that can be found. Lines count from 1, inclusive; -1 where unknown."""

    id: str
    """Unique in its corpus."""
    text: str
    """What is searched."""
    path: str
    name: str
    """Of the function; "" for a window."""
    start_line: int
    end_line: int
    language: str
    repo: str = ""
    scope: str = ""
    """Names of the classes, modules and functions around it, outermost first, joined by dots; ""
    where unknown."""
    path_in_repo: str = ""
    """Where `path` begins with the repository's name: the rest."""
    code_sha256: str = ""
    """As a dataset would have it, "" where there is none: see `code_digest`."""

    def place(self) -> str:
        """For people: path, line and name."""
        line = f":{self.start_line}" if self.start_line > 0 else ""
        shown = f"{self.path}{line}" if self.path else self.id
        return f"{shown} {self.name}" if self.name else shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A question and what answers it."""

    id: str
    text: str
    relevant: Mapping[str, int]
    """Target -> grade from 1. A target is the id of a document, or a value of `aliases`."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Document -> target, where the two differ."""
    language: str = ""
    repo: str = ""
    ignore: frozenset[str] = frozenset()
    """Documents that are neither right nor wrong: they leave the ranking."""
    easy: bool = False
    """Names its answer: measured apart from the headline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """A pool of documents and the questions asked of it."""

    name: str
    documents: Sequence[Document]
    queries: Sequence[Query]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What the pool was made of and how, for the result."""
    by_repository: bool = False
    """Means are taken within each repository and then, unweighted, over them."""

    def digest(self) -> str:
        """SHA-256 (hex) over ids and texts of the documents in order: what an index is made of."""
        return self.digest_of([document.text for document in self.documents])

    def digest_of(self, texts: Sequence[str]) -> str:
        """The digest of the documents with other texts."""
        made = hashlib.sha256()
        for document, text in zip(self.documents, texts, strict=True):
            for part in (document.id, text):
                data = part.encode("utf-8", "surrogatepass")
                made.update(len(data).to_bytes(8, "big") + data)
        return made.hexdigest()


def collapse(hits: Hits, query: Query) -> list[tuple[str, float]]:
    """A ranking of documents as one of targets: of each the best document, the rest left out."""
    if not query.aliases:
        return list(hits)
    best: dict[str, float] = {}
    for document, score in hits:
        target = query.aliases.get(document, document)
        best[target] = max(score, best.get(target, score))
    return list(best.items())


def members(query: Query) -> dict[str, list[str]]:
    """Target -> its documents."""
    groups: dict[str, list[str]] = {}
    for document, target in query.aliases.items():
        groups.setdefault(target, []).append(document)
    return {target: groups.get(target, [target]) for target in query.relevant}


def code_digest(code: str) -> str:
    """`code_sha256` of a function in a dataset that was built with the default redaction."""
    return hashlib.sha256(redact(code)[0].encode("utf-8", "surrogatepass")).hexdigest()


def duplicates(corpus: Corpus) -> dict[str, list[str]]:
    """Query -> documents that are no answer but have the same tokens as one, in order.

    A system that puts such a document first is counted as wrong although its answer is as good.
    """
    keys = [_key(document) for document in corpus.documents]
    places: dict[bytes, list[str]] = {}
    for document, key in zip(corpus.documents, keys, strict=True):
        if document.text.strip():
            places.setdefault(key, []).append(document.id)
    own = {document.id: key for document, key in zip(corpus.documents, keys, strict=True)}
    copies: dict[str, list[str]] = {}
    for query in corpus.queries:
        answers = [document for group in members(query).values() for document in group]
        others = {other for answer in answers for other in places.get(own[answer], ())} - set(
            answers
        )
        if others:
            copies[query.id] = sorted(others)
    return copies


def _key(document: Document) -> bytes:
    if document.language in LANGUAGES:
        return exact_key(document.language, tokens(document.language, document.text))
    folded = " ".join(document.text.split())
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).digest()
