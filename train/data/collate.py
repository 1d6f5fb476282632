"""From samples to what the device eats: token ids in flat arrays, then padded mini-batches.

Loader processes run `Collate`: texts are cut by bytes, tokenised and stored one after the other
(int32, about 1.2 kB a pair at 300 tokens), so that a batch crosses a process border as a few
arrays. The trainer runs `pack`: texts sorted by length, mini-batches of at most `budget` tokens,
padding included, padded to few lengths: multiples of 8 up to 128 and 16 steps an octave above
(`fine`), or two lengths an octave and row counts that are powers of two (`few`; at most 100 shapes)
where every new shape costs. On 2,000 lengths like those of code (mean 120) 8% is padding under
`fine` at a budget of 8,192 tokens and 11% at 32,768; under `few` 19% and 26%.
Limits: a text is never split; one longer than the budget is a mini-batch of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from train.document_template import DocumentTemplate
from train.model import Kind
from train.objectives import MiniBatch

Lengths = Literal["fine", "few"]
ALIKE: Final = 0.85
"""A mini-batch that is large enough ends where texts are shorter than this share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ragged:
    """Rows of token ids, one after the other."""

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]
    """Shape (rows + 1,)."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Ragged:
        """From lists of ids."""
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
        return cls(values=values, offsets=offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens a row."""
        return np.diff(self.offsets)

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return int(self.offsets[-1])

    def row(self, number: int) -> NDArray[np.int32]:
        """The ids of one row."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenBatch:
    """One process's share of a batch: queries, their positives, then the negatives."""

    epoch: int
    number: int
    language: str
    size: int
    """Pairs of the whole batch, over all processes."""
    ids: tuple[str, ...]
    queries: Ragged
    documents: Ragged
    """Row i answers query i; negatives follow."""
    groups: NDArray[np.int64]
    """Query group of every document, shape (documents,); those of the queries come first."""
    codes: NDArray[np.int64]
    """First 64 bits of `code_sha256` of every document."""
    teacher: NDArray[np.float32] | None = None
    """Scores of the teacher, shape (queries, 1 + per_query); NaN where there is none."""
    owners: NDArray[np.int64] | None = None
    """The query of each negative, shape (documents - queries,)."""

    @property
    def tokens(self) -> int:
        """Real tokens of both sides."""
        return self.queries.tokens + self.documents.tokens

    def name(self) -> str:
        """How errors call it."""
        return f"epoch {self.epoch}, batch {self.number} ({self.language}, {len(self.ids)} pairs)"


class Tokenize(Protocol):
    """`train.model.tokenizer.TextTokenizer`."""

    def __call__(self, texts: Sequence[str], kind: Kind) -> list[list[int]]: ...


class ReadBatch(Protocol):
    """`shards.loader.reader.Batch`, as far as it is used here."""

    @property
    def epoch(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def language(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def samples(self) -> Sequence[Mapping[str, Any]]: ...


class Negatives(Protocol):
    """Mined negatives: see `train.mining.hard_negatives`."""

    def of(
        self, samples: Sequence[Mapping[str, Any]], epoch: int
    ) -> tuple[list[Mapping[str, Any]], list[int], NDArray[np.float32]]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Collate:
    """Tokenises a batch of the reader; runs in loader processes."""

    tokenize: Tokenize
    negatives: Negatives | None = None
    template: DocumentTemplate = DocumentTemplate()
    path_dropout: float = 0.0
    """Share of the documents whose path is left out."""
    seed: int = 0

    def __call__(self, batch: ReadBatch) -> TokenBatch:
        samples = list(batch.samples)
        documents: list[Mapping[str, Any]] = list(samples)
        owners, teacher = None, None
        if self.negatives is not None:
            negatives, negative_owners, teacher = self.negatives.of(samples, batch.epoch)
            documents += negatives
            owners = np.array(negative_owners, dtype=np.int64)
        return TokenBatch(
            epoch=batch.epoch,
            number=batch.number,
            language=batch.language,
            size=batch.size,
            ids=tuple(str(sample["id"]) for sample in samples),
            queries=Ragged.of(self.tokenize([str(s["query"]) for s in samples], "query")),
            documents=Ragged.of(self.tokenize(self._texts(documents, batch.epoch), "document")),
            groups=_hex64(documents, "query_group"),
            codes=_hex64(documents, "code_sha256"),
            teacher=teacher,
            owners=owners,
        )

    def _texts(self, documents: Sequence[Mapping[str, Any]], epoch: int) -> list[str]:
        return [
            self.template.of_sample(
                document,
                with_path=_draw(self.seed, epoch, str(document["id"])) >= self.path_dropout,
            )
            for document in documents
        ]


def _draw(seed: int, epoch: int, identity: str) -> float:
    """A number from 0 to below 1 that depends on these alone, so that a resumed run draws alike."""
    key = f"path {seed} {epoch} {identity}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=6).digest()) / 2**48


def _hex64(samples: Sequence[Mapping[str, Any]], field: str) -> NDArray[np.int64]:
    """The first 16 hex digits of a field as 64 bits with a sign, shape (samples,)."""
    values = (int(str(sample[field])[:16], 16) for sample in samples)
    return np.fromiter(values, np.uint64, len(samples)).view(np.int64)


def pack(
    side: Ragged, *, budget: int, lengths: Lengths, limit: int, pad: int, device: torch.device
) -> list[MiniBatch]:
    """All rows of a side as mini-batches, the longest first (what does not fit fails at once).

    `limit` is the longest a text may be: padding never goes beyond it. A side without rows is one
    mini-batch without rows, so that every process takes part in what all do together.
    """
    order = np.argsort(-side.lengths, kind="stable")
    # A processor is busy with a few hundred tokens, a GPU is not.
    least = 512 if device.type == "cpu" else budget // 4
    mini_batches: list[MiniBatch] = []
    start = 0
    while start < len(order):
        length = padded_length(int(side.lengths[order[start]]), lengths, limit)
        count = min(max(1, budget // length), len(order) - start)
        if lengths == "few":
            count = 1 << (count.bit_length() - 1)
        else:
            count = min(count, max(_alike(side.lengths[order[start:]], length), least // length))
        mini_batches.append(_padded(side, order[start : start + count], length, pad, device))
        start += count
    return mini_batches or [_padded(side, order, padded_length(1, lengths, limit), pad, device)]


def _alike(ordered: NDArray[np.int64], length: int) -> int:
    """How many of the first rows, longest first, are not much shorter than `length`."""
    return max(1, int(np.searchsorted(-ordered, -ALIKE * length, side="right")))


def padded_length(tokens: int, lengths: Lengths, limit: int) -> int:
    """The length that a row of so many tokens is padded to."""
    if lengths == "few":
        octave = 16
        while octave < tokens:
            octave *= 2
        padded = octave * 3 // 4 if octave > 16 and tokens <= octave * 3 // 4 else octave
    else:
        step = max(8, 1 << max(0, (tokens - 1).bit_length() - 4))
        padded = -(-tokens // step) * step
    return max(tokens, min(padded, limit))


def _padded(
    side: Ragged, rows: NDArray[np.int64], length: int, pad: int, device: torch.device
) -> MiniBatch:
    ids = np.full((len(rows), length), pad, dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=np.int64)
    for slot, number in enumerate(rows.tolist()):
        tokens = side.row(number)
        ids[slot, : len(tokens)] = tokens
        mask[slot, : len(tokens)] = 1
    return MiniBatch(
        input_ids=torch.from_numpy(ids).to(device),
        attention_mask=torch.from_numpy(mask).to(device),
        positions=torch.from_numpy(np.ascontiguousarray(rows)).to(device),
    )


def shapes(lengths: Lengths, *, limit: int, budget: int) -> Iterator[tuple[int, int]]:
    """Every (rows, length) that `pack` can make under `few`; the last rows of a side included."""
    seen = {padded_length(tokens, lengths, limit) for tokens in range(1, limit + 1)}
    for length in sorted(seen):
        rows = max(1, budget // length)
        for power in range(rows.bit_length()):
            yield 1 << power, length
