"""Documents of an index of code, in folders that are written once and never changed.

A segment holds `documents.jsonl` and `offsets.bin` (int64, documents + 1, so that an answer reads
only its own lines), the postings of `evaluate.code_search.postings`, with a model `tokens/` (a
token index, int8) and `means.bin` (float16, the mean token vector of each document, of length 1),
and `segment.json`. It is written under a temporary name, synced and renamed. Merging copies what is
live of many into one: nothing is cut or encoded again.
Cost: with a model 0.4 kB a token at dim 384, 0.14 kB at 128; without, 3 kB a function.
Limits: a document is a line of JSON of at most a file of `ingest.MAX_FILE_BYTES`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from evaluate.code_search.postings import Postings
from evaluate.index import mapped
from xtrove.core import DamagedData, new_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evaluate.index import TokenIndex
    from train import DocumentTemplate
    from train.model import TokenVectors

META: Final = "segment.json"
FORMAT: Final = "xtrove-segment-1"
TOKENS: Final = "tokens"
ROWS: Final = "documents.jsonl"
_MAX_META_BYTES: Final = 1 << 16
Encode = Callable[[Sequence[str]], "TokenVectors"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeDocument:
    """What is found. Lines count from 1, inclusive."""

    path: str
    scope: str
    name: str
    start_line: int
    end_line: int
    language: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A segment that is mapped into memory."""

    folder: Path
    rows: NDArray[np.uint8]
    """`documents.jsonl`, mapped: it stays readable after another process has removed it."""
    offsets: NDArray[np.int64]
    postings: Postings
    means: NDArray[np.float16] | None
    """Shape (documents, dim); None without a model, as is the next."""
    tokens: TokenIndex | None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def open(cls, folder: Path) -> Segment:
        """Maps a segment. Raises `DamagedData` where it is not whole."""
        try:
            meta = _meta(folder)
            documents = meta["documents"]
            offsets = mapped(folder / "offsets.bin", "<i8", (documents + 1,))
            return cls(
                folder=folder,
                rows=mapped(folder / ROWS, "u1", (int(offsets[-1]),)),
                offsets=offsets,
                postings=Postings.open(
                    folder, words=meta["words"], postings=meta["postings"], documents=documents
                ),
                means=mapped(folder / "means.bin", "<f2", (documents, meta["dim"]))
                if meta["dim"]
                else None,
                tokens=_tokens(folder, documents) if meta["dim"] else None,
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedData(f"{folder}: {error}") from error

    def document(self, number: int) -> CodeDocument:
        """One document, read from the disk."""
        row = self.rows[self.offsets[number] : self.offsets[number + 1]]
        return CodeDocument(**json.loads(row.tobytes()))


def write_segment(
    store: Path,
    documents: Sequence[CodeDocument],
    encode: Encode | None,
    template: DocumentTemplate,
) -> Segment:
    """Makes a segment; where `encode` is given, with the vectors of the filled `template`s."""
    texts = [document.text for document in documents]

    def fill(folder: Path) -> dict[str, int]:
        rows = [json.dumps(asdict(document)).encode() + b"\n" for document in documents]
        _write_rows(folder, rows)
        filled = [
            template.render(
                code=document.text,
                path=document.path,
                scope=document.scope,
                name=document.name,
            )
            for document in documents
        ]
        dim = _encoded(folder, filled, encode) if encode is not None else 0
        return {**Postings.of(texts).write(folder), "documents": len(rows), "dim": dim}

    return _made(store, fill)


def merge_segments(
    store: Path, segments: Sequence[Segment], numbers: Sequence[NDArray[np.int32]]
) -> Segment:
    """One segment of the live documents of many; numbers as in `Postings.merged`, ascending."""
    size = sum(int((part >= 0).sum()) for part in numbers)
    pairs = list(zip(segments, numbers, strict=True))

    def fill(folder: Path) -> dict[str, int]:
        _write_rows(folder, (row for segment, live in pairs for row in _rows(segment, live)))
        postings = Postings.merged([(segment.postings, live) for segment, live in pairs], size)
        dim = 0
        if segments[0].means is not None:
            dim = segments[0].means.shape[1]
            means = [
                segment.means[live >= 0] for segment, live in pairs if segment.means is not None
            ]
            (folder / "means.bin").write_bytes(np.concatenate(means).astype("<f2").tobytes())
            from evaluate.code_search.live_tokens import merge_tokens

            tokens = [
                (segment.tokens, live) for segment, live in pairs if segment.tokens is not None
            ]
            merge_tokens(folder / TOKENS, tokens)
        return {**postings.write(folder), "documents": size, "dim": dim}

    return _made(store, fill)


def _made(store: Path, fill: Callable[[Path], dict[str, int]]) -> Segment:
    folder = store / f"segment-{uuid.uuid4().hex}"
    with new_folder(folder) as temporary:
        meta = {"format": FORMAT, **fill(temporary)}
        (temporary / META).write_text(json.dumps(meta, sort_keys=True), encoding="ascii")
    return Segment.open(folder)


def _write_rows(folder: Path, rows: Iterator[bytes] | Sequence[bytes]) -> None:
    sizes = [0]
    with (folder / ROWS).open("wb") as file:
        for row in rows:
            file.write(row)
            sizes.append(len(row))
    (folder / "offsets.bin").write_bytes(np.cumsum(sizes).astype("<i8").tobytes())


def _rows(segment: Segment, live: NDArray[np.int32]) -> Iterator[bytes]:
    with (segment.folder / ROWS).open("rb") as file:
        for row, number in zip(file, live.tolist(), strict=True):
            if number >= 0:
                yield row


def _encoded(folder: Path, texts: Sequence[str], encode: Encode) -> int:
    from evaluate.index import build_index

    means: list[NDArray[np.float32]] = []

    def kept(some: Sequence[str]) -> TokenVectors:
        vectors = encode(some)
        means.append(mean_rows(vectors.values, vectors.offsets))
        return vectors

    build_index(folder / TOKENS, texts, kept, precision="int8")
    whole = np.concatenate(means)
    (folder / "means.bin").write_bytes(whole.astype("<f2").tobytes())
    return int(whole.shape[1])


def mean_rows(values: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean vector of each text, of length 1; zeros for a text without tokens."""
    sums = np.zeros((len(offsets) - 1, values.shape[1]), dtype=np.float32)
    some = np.flatnonzero(np.diff(offsets))
    if len(some):
        sums[some] = np.add.reduceat(values, offsets[some], axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    np.divide(sums, lengths, out=sums, where=lengths > 0)
    return sums


def _tokens(folder: Path, documents: int) -> TokenIndex:
    from evaluate.index import TokenIndex

    index = TokenIndex.open(folder / TOKENS)
    if len(index) != documents:
        raise DamagedData(f"{folder} has vectors of {len(index)} documents, not {documents}")
    return index


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / META
    if path.stat().st_size > _MAX_META_BYTES:
        raise DamagedData(f"{path} is too large to be ours")
    meta = json.loads(path.read_text(encoding="utf-8"))
    names = ("documents", "words", "postings", "dim")
    if (
        not isinstance(meta, dict)
        or meta.get("format") != FORMAT
        or any(type(meta.get(name)) is not int or meta[name] < 0 for name in names)
    ):
        raise DamagedData(f"{path} does not describe a segment of this version")
    return meta
