"""The words of documents as postings on disk, and BM25 over the live ones of several such folders.

Method: for each word, in order, the documents that hold it and how often; a question touches only
the postings of its own words. Scores are those of Lucene's BM25 as bm25s computes them, with
counts and lengths of the live documents alone: what `Bm25Searcher` gives over a fresh index
(held by a test). bm25s itself takes no additions: every changed file would cost an index anew.
Layout: `words.txt` (sorted, one a line), `starts.bin` (int64, words + 1), `documents.bin` and
`counts.bin` (int32, one a posting), `lengths.bin` (int32, one a document), all little-endian.
Cost: building 1.5 MB/s of text a core; a question 1 ms over 20,000 functions, without imports
beyond numpy. Limits: merging holds all postings in memory, 12 bytes each (100 a function).
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluate.index import mapped
from evaluate.retrieval import code_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

K1 = 1.2
B = 0.9
"""As in `evaluate.retrieval.bm25`, which is not imported for the sake of a quick start."""
WORDS = "words.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Postings:
    """Postings of some documents, in memory or mapped."""

    words: bytes
    """Sorted, each with a newline before it, and one at the end."""
    starts: NDArray[np.int64]
    documents: NDArray[np.int32]
    counts: NDArray[np.int32]
    lengths: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Postings:
        """The words of texts, numbered from 0."""
        known: dict[str, int] = {}
        words, documents, counts, lengths = (array("i") for _ in range(4))
        for number, text in enumerate(texts):
            occurrences = Counter(code_words(text))
            lengths.append(occurrences.total())
            words.extend(known.setdefault(word, len(known)) for word in occurrences)
            documents.extend([number] * len(occurrences))
            counts.extend(occurrences.values())
        return _sorted(list(known), *map(_whole, (words, documents, counts, lengths)))

    @classmethod
    def merged(cls, parts: Sequence[tuple[Postings, NDArray[np.int32]]], size: int) -> Postings:
        """One of many: `numbers` gives the new number of each document, -1 where it goes."""
        known: dict[str, int] = {}
        rows: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]] = []
        lengths = np.zeros(size, dtype=np.int32)
        for part, numbers in parts:
            ids = [known.setdefault(word, len(known)) for word in part.vocabulary()]
            words = np.repeat(np.array(ids, dtype=np.int32), np.diff(part.starts))
            documents = numbers[part.documents]
            kept = documents >= 0
            rows.append((words[kept], documents[kept], part.counts[kept]))
            lengths[numbers[numbers >= 0]] = part.lengths[numbers >= 0]
        words, documents, counts = (np.concatenate([row[i] for row in rows]) for i in range(3))
        return _sorted(list(known), words, documents, counts, lengths)

    @classmethod
    def open(cls, folder: Path, *, words: int, postings: int, documents: int) -> Postings:
        """Maps a folder that holds so many; `ValueError` or `OSError` where it does not."""
        text = (folder / WORDS).read_bytes()
        if text.count(b"\n") != words + 1:
            raise ValueError(f"{folder / WORDS} does not hold {words} words")
        return cls(
            words=text,
            starts=mapped(folder / "starts.bin", "<i8", (words + 1,)),
            documents=mapped(folder / "documents.bin", "<i4", (postings,)),
            counts=mapped(folder / "counts.bin", "<i4", (postings,)),
            lengths=mapped(folder / "lengths.bin", "<i4", (documents,)),
        )

    def write(self, folder: Path) -> dict[str, int]:
        """Writes the files into a folder that stands; returns what `open` wants to know."""
        (folder / WORDS).write_bytes(self.words)
        for name in ("starts", "documents", "counts", "lengths"):
            values = getattr(self, name)
            data = values.astype(values.dtype.newbyteorder("<"))
            (folder / f"{name}.bin").write_bytes(data)
        return {"words": len(self.starts) - 1, "postings": len(self.documents)}

    def vocabulary(self) -> list[str]:
        """All words, sorted."""
        return self.words.decode("utf-8").split("\n")[1:-1]

    def of_word(self, word: str) -> slice:
        """Where the postings of a word stand."""
        offset = self.words.find(b"\n%b\n" % word.encode("utf-8"))
        if offset < 0:
            return slice(0, 0)
        row = self.words.count(b"\n", 0, offset)
        return slice(int(self.starts[row]), int(self.starts[row + 1]))


def bm25_scores(
    words: Sequence[str], parts: Sequence[tuple[Postings, NDArray[np.int32]]], size: int
) -> NDArray[np.float32]:
    """Score of each live document, shape (size,); `numbers` of a part are as in `merged`."""
    scores = np.zeros(size, dtype=np.float32)
    lengths = np.zeros(size, dtype=np.float32)
    for part, numbers in parts:
        lengths[numbers[numbers >= 0]] = part.lengths[numbers >= 0]
    if not size or not lengths.any():
        return scores
    norms = K1 * (1 - B + B * lengths / lengths.mean(dtype=np.float64))
    for word, times in Counter(words).items():
        matches = [(numbers[part.documents[run]], part.counts[run]) for part, numbers in parts
                 for run in [part.of_word(word)]]  # fmt: skip
        documents = np.concatenate([numbers for numbers, _ in matches])
        counts = np.concatenate([matched for _, matched in matches])[documents >= 0]
        documents = documents[documents >= 0]
        if len(documents):
            weight = math.log(1 + (size - len(documents) + 0.5) / (len(documents) + 0.5))
            scores[documents] += times * weight * counts / (counts + norms[documents])
    return scores


def _sorted(
    vocabulary: list[str],
    words: NDArray[np.int32],
    documents: NDArray[np.int32],
    counts: NDArray[np.int32],
    lengths: NDArray[np.int32],
) -> Postings:
    """By word, then by document; words without postings go."""
    used = np.bincount(words, minlength=len(vocabulary))
    order = sorted((word, i) for i, word in enumerate(vocabulary) if used[i])
    ranks = np.zeros(len(vocabulary), dtype=np.int64)
    ranks[[i for _, i in order]] = np.arange(len(order))
    turn = np.lexsort((documents, ranks[words]))
    starts = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(used[[i for _, i in order]], out=starts[1:])
    text = "".join(f"\n{word}" for word, _ in order) + "\n"
    return Postings(
        words=text.encode("utf-8"),
        starts=starts,
        documents=documents[turn],
        counts=counts[turn],
        lengths=lengths,
    )


def _whole(values: array[int]) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)
