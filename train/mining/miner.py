"""Hard negatives: what a model takes for the answer, and is none; for a second stage of training.

Method, language by language over the train split: all functions are encoded (`mined_vectors`), for
each query the functions nearest to its pooled vector are candidates, ranked by exact MaxSim. From
the top down a candidate is dropped that is the answer or its equal (same id, `query_group` or
`code_sha256`), that scores at least `ratio` of what the answer scores (probably another right
answer: the positive-aware filter of NV-Retriever, arXiv 2407.15831), or that is a near-duplicate of
the answer (true Jaccard of the dataset's shingles at or above its threshold); the first `per_query`
others stay.

Written: OUTPUT/negatives/part-<language>-00000.parquet, `PART` queries each in id order, with id,
negatives, scores and positive_score (MaxSim divided by the query's tokens), and OUTPUT/mine.json.
A part that stands is not made again. Cost: one encoding of the data set and per query `candidates`
MaxSim scores (4 ms on a core for 100 candidates). Limits: a hard negative beyond the pooled
candidates is not found; vectors under OUTPUT/work are removed when all is done.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from dedupe import U64, jaccard, shingles
from shards.access import CacheOptions
from shards.format import Sample, text
from shards.loader import Reader, Select
from train.json_files import read_json
from train.mining.vector_store import VectorStore, exact_scores, nearest, pooled
from train.model import Encoder, Kind, TokenVectors
from xtrove.core import Misuse, write_file, write_json

PART: Final = 2048
FACTS: Final = "mine.json"
SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("negatives", pa.list_(pa.field("element", pa.string(), nullable=False))),
        pa.field("scores", pa.list_(pa.field("element", pa.float32(), nullable=False))),
        pa.field("positive_score", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MineOptions:
    """What counts as a hard negative."""

    per_query: int = 10
    candidates: int = 100
    """Nearest by pooled vectors, ranked exactly."""
    ratio: float = 0.95
    """A candidate that scores at least this share of the answer's score is dropped."""
    languages: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Mined:
    """What was made."""

    queries: int
    negatives: int
    parts: int
    reused: int


def mine(
    dataset: str,
    encoder: Encoder,
    output: Path,
    options: MineOptions,
    *,
    model: str,
    cache: CacheOptions | None = None,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Mined:
    """Writes the negatives of a dataset's train split; goes on where it was stopped.

    `model` is the `model_digest` of the encoder; `autocast` is for encoding, scores are fp32.
    `Misuse` where `output` holds other negatives.
    """
    with Reader.open(dataset, cache=cache) as reader:
        languages = options.languages or reader.languages
        facts = _facts(reader, options, model)
    _claim(output, facts)
    results = [
        _Language(dataset, language, encoder, output, options, cache, autocast, progress).run()
        for language in languages
    ]
    total = Mined(
        queries=sum(result.queries for result in results),
        negatives=sum(result.negatives for result in results),
        parts=sum(result.parts for result in results),
        reused=sum(result.reused for result in results),
    )
    counts = {"queries": total.queries, "negatives": total.negatives, "complete": True}
    write_json(output / FACTS, {**facts, **counts})
    shutil.rmtree(output / "work", ignore_errors=True)
    return total


def _facts(reader: Reader, options: MineOptions, model: str) -> dict[str, Any]:
    manifest = reader.manifest
    return {
        "format": "xtrove-negatives-1",
        "dataset": reader.digest,
        "content_sha256": manifest.content_sha256,
        "model": model,
        "settings": {**asdict(options), "languages": list(options.languages or reader.languages)},
    }


def _claim(output: Path, facts: dict[str, Any]) -> None:
    path = output / FACTS
    if not path.exists():
        if output.exists() and any(output.iterdir()):
            raise Misuse(f"{output} holds something else", remedy="name an empty folder")
        write_json(path, {**facts, "complete": False})
        return
    known = read_json(path)
    wrong = [name for name, value in facts.items() if known.get(name) != value]
    if wrong:
        raise Misuse(
            f"{output} holds negatives of another {', '.join(wrong)}",
            remedy="name another --output, or remove that folder",
        )


class _Language:
    """One language: store, parts."""

    def __init__(
        self,
        dataset: str,
        language: str,
        encoder: Encoder,
        output: Path,
        options: MineOptions,
        cache: CacheOptions | None,
        autocast: Callable[[], AbstractContextManager[None]],
        progress: Callable[[str, int, int], None],
    ) -> None:
        self._language = language
        self._encoder = encoder
        self._output = output
        self._options = options
        self._autocast = autocast
        self._progress = progress
        self._reader = Reader.open(dataset, select=Select(languages=(language,)), cache=cache)
        rules = self._reader.manifest.dedupe
        threshold, ngram = rules.get("threshold"), rules.get("ngram")
        self._threshold = threshold if isinstance(threshold, float) else 0.7
        self._ngram = ngram if isinstance(ngram, int) else 5
        self._done = 0

    def run(self) -> Mined:
        """All parts of the language."""
        with self._reader:
            count = len(self._reader)
            starts = range(0, count, PART)
            paths = {s: f"negatives/part-{self._language}-{s // PART:05}.parquet" for s in starts}
            missing = [start for start in starts if not (self._output / paths[start]).exists()]
            if missing:
                store = VectorStore(self._output / "work" / self._language, count)
                store.build(self._encoder, self._codes, self._encode_documents, self._encoded)
                self._done = 0
                for start in missing:
                    rows = self._part(store, range(start, min(start + PART, count)))
                    self._write(paths[start], rows)
                shutil.rmtree(self._output / "work" / self._language)
            return self._count(list(paths.values()), len(starts) - len(missing))

    def _codes(self, start: int, stop: int) -> list[str]:
        template = self._encoder.options.template
        return [template.of_sample(row) for row in self._reader.samples(range(start, stop))]

    def _encode(self, texts: Sequence[str], kind: Kind) -> TokenVectors:
        with self._autocast():
            return self._encoder.encode(texts, kind)

    def _encode_documents(self, texts: Sequence[str]) -> TokenVectors:
        return self._encode(texts, "document")

    def _encoded(self, more: int) -> None:
        self._done += more
        self._progress(f"{self._language}: encoding", self._done, len(self._reader))

    def _part(self, store: VectorStore, positions: range) -> list[dict[str, Any]]:
        samples = self._reader.samples(positions)
        vectors = self._encode([text(sample, "query") for sample in samples], "query")
        device = self._encoder.device
        with torch.inference_mode():
            near = nearest(pooled(vectors), store.pooled, self._options.candidates, device)
            rows = []
            for row, (position, sample) in enumerate(zip(positions, samples, strict=True)):
                candidates = [position] + [
                    near_by for near_by in near[row].tolist() if near_by != position
                ]
                query = torch.from_numpy(vectors[row])
                scores = exact_scores(query, store, candidates, device).tolist()
                rows.append(self._row(sample, candidates[1:], scores[1:], scores[0]))
        self._done += len(samples)
        self._progress(f"{self._language}: mining", self._done, len(self._reader))
        return rows

    def _row(
        self, sample: Sample, candidates: list[int], scores: list[float], own: float
    ) -> dict[str, Any]:
        """The row of one query; `candidates` are positions with their `scores`."""
        order = np.argsort(-np.array(scores), kind="stable").tolist()
        limit = self._options.ratio * own
        able = [n for n in order if scores[n] < limit]
        kept: list[str] = []
        values: list[float] = []
        answer: U64 | None = None
        # Looked at a few at a time: most queries are served by the first.
        step = self._options.per_query
        for start in range(0, len(able), step):
            some = able[start : start + step]
            others = self._reader.samples([candidates[n] for n in some])
            for n, other in zip(some, others, strict=True):
                if len(kept) == self._options.per_query:
                    break
                if any(sample[field] == other[field] for field in _SAME):
                    continue
                if answer is None:
                    answer = self._shingles(sample)
                if self._near(answer, self._shingles(other)):
                    continue
                kept.append(text(other, "id"))
                values.append(scores[n])
            if len(kept) == self._options.per_query:
                break
        return {"id": sample["id"], "negatives": kept, "scores": values, "positive_score": own}

    def _shingles(self, sample: Sample) -> U64:
        return shingles(self._language, text(sample, "code"), self._ngram)

    def _near(self, left: U64, right: U64) -> bool:
        shared, union = jaccard(left, right)
        return union > 0 and shared >= self._threshold * union

    def _write(self, relative: str, rows: list[dict[str, Any]]) -> None:
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, compression="zstd")
        tmp = self._output / "work" / "tmp"
        write_file(self._output / relative, buffer.getvalue(), tmp=tmp)

    def _count(self, paths: list[str], reused: int) -> Mined:
        queries = negatives = 0
        for path in paths:
            table = pq.read_table(self._output / path, columns=["negatives"])
            queries += table.num_rows
            negatives += len(table.column("negatives").combine_chunks().flatten())
        return Mined(queries=queries, negatives=negatives, parts=len(paths), reused=reused)


_SAME: Final = ("id", "query_group", "code_sha256")
