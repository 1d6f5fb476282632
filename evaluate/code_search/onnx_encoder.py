"""Texts to token vectors without torch: an ONNX graph of the encoder, kept in the cache.

Method: where the packages are there (`[onnx]`), a model that had to be loaded anyway is exported
once; the graph's vectors are compared with torch's on `CHECKS` before the folder gets its name. A
later question, and the few functions of a file that was edited, need `onnxruntime` and
`tokenizers` alone. A model that cannot be exported is
noted, so that it is not tried again.
Cost: 6 to 13 s once for a 22M model, its weights again on the disk; then 0.3 s a start instead of
4 s with torch and transformers, and 10 ms a question. Limits: CPU, one text at a time: more than
`FEW` are better left to torch; the newest are kept, up to `GRAPH_BYTES`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.files import read_capped
from train.model import Kind, TokenVectors, cut_bytes, marker_id
from xtrove.core import DiskCache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from train.model import Encoder

FORMAT: Final = "xtrove-question-2"
GRAPH_BYTES: Final = 4 << 30
FEW: Final = 64
CHECKS: Final = (
    "read all lines of a file",
    "  Wie wird eine Datei gelöscht? 数据 to text  ",
    "sort " * 600,
    "def read(path):\n    return path.open().readlines()\n",
)
MAX_DIFFERENCE: Final = 1e-4
_SETTINGS: Final = "question.json"
_PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")
_MAX_SETTINGS_BYTES: Final = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionGraph:
    """A graph that is ready to run."""

    session: Any
    tokenizer: Any
    markers: dict[Kind, int | None]
    lengths: dict[Kind, int]
    max_text_bytes: int
    types: bool

    @classmethod
    def open(cls, folder: Path) -> QuestionGraph | None:
        """The graph of a folder; None where there is none, it failed or nothing can run it."""
        settings = _settings(folder)
        if settings is None or settings["failed"] or find_spec("onnxruntime") is None:
            return None
        import onnxruntime  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        # Optimising a graph takes longer than running it once.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception:
            # Both raise types of their own; the model itself is still there.
            shutil.rmtree(folder, ignore_errors=True)
            return None
        tokenizer.no_padding()
        return cls(
            session=session,
            tokenizer=tokenizer,
            markers=settings["markers"],
            lengths=settings["lengths"],
            max_text_bytes=settings["max_text_bytes"],
            types=settings["types"],
        )

    def __call__(self, text: str, kind: Kind) -> NDArray[np.float32]:
        """The vectors of a text, (tokens, dim), each of length 1."""
        marker = self.markers[kind]
        self.tokenizer.enable_truncation(self.lengths[kind] - (marker is not None))
        row = list(self.tokenizer.encode(cut_bytes(text.strip(), self.max_text_bytes)).ids)
        if marker is not None:
            row.insert(1, marker)
        ids = np.array([row], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        if self.types:
            feed["token_type_ids"] = np.zeros_like(ids)
        return np.asarray(self.session.run(["output"], feed)[0][0], dtype=np.float32)

    def encode(self, texts: Sequence[str]) -> TokenVectors:
        """The vectors of some documents, at least one."""
        rows = [self(text, "document") for text in texts]
        ends = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        return TokenVectors(values=np.concatenate(rows), offsets=ends)


def wanted(folder: Path) -> bool:
    """Whether a graph can be made and has not been tried."""
    return _settings(folder) is None and all(find_spec(name) for name in _PACKAGES)


def make_graph(encoder: Encoder, folder: Path) -> None:
    """Exports and compares; what fails is noted in the folder with the reason."""
    if _settings(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)
    with DiskCache(folder.parent, GRAPH_BYTES).new_folder(folder.name) as temporary:
        failed = ""
        try:
            _fill(temporary, encoder)
        except Exception as error:
            # Exporters fail in many ways; torch is slower and right.
            failed = f"{type(error).__name__}: {error}"[:500]
            (temporary / "model.onnx").unlink(missing_ok=True)
        _write_settings(temporary, encoder, failed)


def _fill(folder: Path, encoder: Encoder) -> None:
    from train.checkpoint import export_graph

    was = encoder.base.config._attn_implementation
    try:
        export_graph(encoder, folder / "model.onnx")
    finally:
        encoder.base.set_attn_implementation(was)
    backend = encoder.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.save(str(folder / "tokenizer.json"))
    _write_settings(folder, encoder, "")
    graph = QuestionGraph.open(folder)
    if graph is None:
        raise ValueError("the graph cannot be opened")
    kinds: tuple[Kind, ...] = ("query", "document")
    for text, kind in product(CHECKS, kinds):
        expected, vectors = encoder.encode([text], kind).values, graph(text, kind)
        if expected.shape != vectors.shape:
            raise ValueError(f"{vectors.shape} instead of {expected.shape} for {text[:40]!r}")
        worst = float(np.abs(expected - vectors).max())
        if not worst < MAX_DIFFERENCE:
            raise ValueError(f"differs from torch by {worst:.2e} for {text[:40]!r}")


def _write_settings(folder: Path, encoder: Encoder, failed: str) -> None:
    from train.checkpoint import takes_types

    options = encoder.options
    settings = {
        "format": FORMAT,
        "failed": failed,
        "markers": {
            "query": marker_id(encoder.tokenizer, options.query_prefix),
            "document": marker_id(encoder.tokenizer, options.document_prefix),
        },
        "lengths": {"query": options.query_length, "document": options.document_length},
        "max_text_bytes": options.max_text_bytes,
        "types": takes_types(encoder),
    }
    (folder / _SETTINGS).write_text(json.dumps(settings, sort_keys=True), encoding="ascii")


def _settings(folder: Path) -> dict[str, Any] | None:
    data = read_capped(str(folder / _SETTINGS), _MAX_SETTINGS_BYTES)
    try:
        settings = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    fits = isinstance(settings, dict) and settings.get("format") == FORMAT
    return settings if fits else None
