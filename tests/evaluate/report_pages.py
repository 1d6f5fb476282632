"""Real datasets, logs and results for the tests of reports, with texts that mean harm in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np

from evaluate.corpora.corpus import Corpus, Document, Query
from evaluate.measure.evaluator import System, evaluation
from evaluate.measure.result import Evaluation
from evaluate.measure.run import measure_system
from evaluate.report.dataset import dataset_page
from evaluate.report.page import Page, Request
from evaluate.retrieval.searcher import Hits
from extract.pair import Pair
from shards.format.sample import decode
from shards.loader.reader import Reader
from tests.shards import builder
from train.checkpoint.training_digests import trained_on, write_trained_on
from train.config import TrainConfig
from train.run.log import RunLog, Speed, StepFacts
from xtrove.core import write_json

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)></style>"
    "\u202eevil\u2066 \"quoted' & \x1b[31m \u200b <!-- --> ]]> {{x}} https://example.org/x.png"
)
SIZE = 1_200
SHEET = (files("evaluate.report") / "templates" / "style.css").read_text("utf-8")
_PALETTES = re.findall(r":root \{([^}]*)\}", SHEET)
LIGHT, DARK = (dict(re.findall(r"--(\w+): (#\w{6});", palette)) for palette in _PALETTES)


class Parsed(HTMLParser):
    """Elements and text of markup."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def pairs() -> list[Pair]:
    """100 pairs, some of which mean harm."""
    held = builder.default_pairs()
    held[0] = replace(
        builder.make_pair(0, query=f"{HOSTILE} with words", code=f"def f():\n    {HOSTILE}\n" * 3),
        name=HOSTILE,
        path=f"src/{HOSTILE}.py",
    )
    return held


@dataclass(frozen=True, kw_only=True)
class Made:
    """A dataset and the code of what was removed from it."""

    path: Path
    removed: dict[str, Mapping[str, object]]

    def lookup(self, ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """As the work files would answer."""
        return {id_: self.removed[id_] for id_ in ids if id_ in self.removed}

    def page(self, *, known: bool = True, seed: int = 0, samples: int = 12) -> Page:
        """The report."""
        request = Request(
            seed=seed,
            samples=samples,
            reasons={"generated": f"made by a machine {HOSTILE}"},
            removed=self.lookup if known else None,
        )
        return dataset_page(self.path, request)


def dataset(root: Path, kept: list[Pair] | None = None, copies: int = 6) -> Made:
    """A sealed dataset in which the third pair stands for `copies` and the seventh for one."""
    kept = pairs() if kept is None else kept
    near = [builder.near_copy(kept[3], 300 + n) for n in range(copies)]
    gone = [builder.near_removal(one, kept[3]) for one in near]
    other = builder.near_copy(kept[7], 400)
    gone += [
        builder.near_removal(other, kept[7]),
        builder.filtered(builder.make_pair(206), "short"),
    ]
    built = builder.build(root, kept, gone)
    removed = {one.id: decode(builder.payload(one)) for one in [*near, other]}
    return Made(path=built.path, removed=removed)


def run(root: Path, data: Path, *, steps: int = 30, validations: int = 3) -> Path:
    """The output of a run as the trainer writes it, with made numbers."""
    output = root / "model"
    log = RunLog(output / "trainer_state", tensorboard=False, every=1)
    log.open(0)
    for step in range(steps):
        log.step(_step(step, steps), Speed(
            pairs_per_second=1, tokens_per_second=1, padding=0, mfu=0, waited=0, seconds_per_step=1,
        ))  # fmt: skip
        if (step + 1) % max(1, steps // validations) == 0:
            share = step / steps
            log.validation(step, {"P@1": share, "MRR": share / 2, HOSTILE: 0.5}, 1.0)
    log.event("checkpoint", steps - 1)
    log.close()
    config = TrainConfig(name="made", output=str(output), data={"path": str(data)}, base="scratch")
    with Reader.open(data) as reader:
        facts = {"format": 1, "name": "made", "dataset": reader.digest}
    write_json(
        output / "trainer_state" / "run.json",
        {**facts, "config": config.dump(), "torch": "2", "finished": True},
    )
    write_json(
        output / "xtrove_training.json",
        {"name": "made", "base": "scratch", "data": {"dataset": HOSTILE, "samples": 12_345},
         "metrics": {"P@1": 0.625, "MRR": 0.75}, "config": {}, "progress": {"step": steps}},
    )  # fmt: skip
    return output


def _step(step: int, steps: int) -> StepFacts:
    return StepFacts(
        step=step, epoch=0, batch=step, language=("python", "go")[step % 2], pairs=32, tokens=1_000,
        padded_tokens=1_250, flops=1.0, loss=3.0 - step / steps, lr=1e-3, gradient_norm=1.0,
        seconds=0.5, waited=0.05, peak_bytes=10_000_000,
        loss_facts={"temperature": 0.05, "empty_positives": 0.25, "mean_z": 0.5, "k": 64.0},
    )  # fmt: skip


class GivenRanks:
    """A searcher that puts the answer of question n at the n-th rank it is given (0: nowhere)."""

    def __init__(self, ranks: Sequence[int]) -> None:
        self._ranks = ranks

    def search(self, queries: list[str], k: int) -> Hits:
        """Rankings in order of the documents but for the answer."""
        k = min(k, SIZE)
        ids = np.zeros((len(queries), k), dtype=np.int32)
        for row in range(len(queries)):
            others = [number for number in range(SIZE) if number != row][: k + 1]
            rank = self._ranks[row % len(self._ranks)]
            ids[row] = [*others[: rank - 1], row, *others[rank - 1 :]][:k] if rank else others[:k]
        return Hits(ids=ids, scores=np.tile(-np.arange(k, dtype=np.float32), (len(queries), 1)))


def _document(number: int) -> Document:
    return Document(
        id=f"file.py:{number}",
        text=f"def f{number}(): return {number}",
        path=f"{HOSTILE if number == 1 else 'f'}.py",
        name=f"f{number}",
        start_line=number,
        end_line=number,
        language="python" if number % 2 else "go",
        repo=f"owner/r{number % 3}",
        code_sha256=hashlib.sha256(str(number).encode()).hexdigest(),
    )


def corpus(questions: int = 40) -> Corpus:
    """Documents of two languages and three repositories; some questions mean harm."""
    documents = [_document(number) for number in range(SIZE)]
    queries = [
        Query(
            id=f"q{number}",
            text=f"question {number} " + (HOSTILE if number < 3 else "of words " * (number % 4)),
            relevant={f"file.py:{number}": 1},
            language=documents[number].language,
            repo=documents[number].repo,
        )
        for number in range(questions)
    ]
    return Corpus(name="made", documents=documents, queries=queries, facts={"kind": HOSTILE})


RANKS = {"good": [1, 1, 1, 2], "bad": [1, 3, 0, 120]}


def result(root: Path) -> Evaluation:
    """Two systems that were measured; the first was trained on ten of the answers."""
    held = corpus()
    model = root / "model"
    model.mkdir(parents=True)
    pairs = ((document.code_sha256, "owner/elsewhere") for document in held.documents[:10])
    write_trained_on(pairs, model / "trained_on.arrow")
    known = {"good": trained_on(model), "bad": None}
    systems = [
        System(
            name=name,
            mode="made",
            model="model" if known[name] else "",
            known=known[name],
            measured=measure_system([held], lambda _, ranks=ranks: GivenRanks(ranks), depth=200),
        )
        for name, ranks in RANKS.items()
    ]
    settings = {"model": "/home/me/model"}
    return evaluation("made", [held], systems, settings=settings, versions={"x": "1"})
