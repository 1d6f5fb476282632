"""A checkpoint as ONNX, with the files ColGREP (next-plaid) reads.

Method: transformer, projection and normalisation become one graph with free batch and length
(`model.onnx`, opset 18), dynamic quantisation of its matrices to int8 makes `model_int8.onnx`; the
tokenizer, the configs and `onnx_config.json` stand beside them. Before the folder gets its name
both graphs are run with onnxruntime on queries and documents of several lengths and compared with
torch; `onnx_check.json` has the differences.

Cost: 8 to 13 seconds for models up to 22M parameters on one core, a minute and 2.4 GB of memory
for 116M (22 layers). Limits: needs `pip install -e '.[onnx]'`; models under 2 GB; one linear
projection, which is all our checkpoints have. Int8 costs accuracy: the mean cosine of MiniLM's
vectors with torch's is 0.985, with one scale a column (with one a matrix, next-plaid's way, 0.894).
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from train.checkpoint.save_load import load_model
from train.errors import ModelError, model_faults
from train.model import Encoder, Kind, pad
from xtrove.core import Misuse, new_folder, write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET = 18
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
COPIED = ("tokenizer.json", "config.json", "config_sentence_transformers.json")
MAX_DIFFERENCE = 1e-4
MIN_COSINE = 0.9
CHECKS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("query", ("read all lines of a file",)),
    ("document", ("x = 1", "def read(path):\n    return path.open().readlines()\n" * 3)),
    ("query", ("sort", "Returns the number of bytes written to the socket.", "数据 to text")),
    ("document", ("func Sum(values []int) int {\n\treturn 0\n}\n" * 400, "short")),
)


class _Graph(nn.Module):
    """What is exported: ids and mask to vectors of length 1."""

    def __init__(self, encoder: Encoder, types: bool) -> None:
        super().__init__()
        self.base = encoder.base
        self.projection = encoder.projection
        self.types = types

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        more = {"token_type_ids": token_type_ids} if self.types else {}
        hidden = self.base(input_ids=input_ids, attention_mask=attention_mask, **more)
        return functional.normalize(self.projection(hidden.last_hidden_state), dim=-1)


def export_onnx(
    model_path: Path, output: Path, *, progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Writes the folder `output` whole and returns its files; `progress` is told each step.

    `Misuse` where `output` exists or a package is missing, `ModelError` where a graph
    does not do what torch does or the model has no markers.
    """
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise Misuse(
            f"ONNX needs packages that are not installed: {', '.join(absent)}",
            remedy="pip install -e '.[train,onnx]' -c constraints.txt",
        )
    if output.exists():
        raise Misuse(f"{output} exists already", remedy="give another --output")
    tell = progress or (lambda _: None)
    tell("loading the model")
    encoder = load_model(model_path)
    if not (encoder.options.query_prefix and encoder.options.document_prefix):
        raise ModelError(f"{model_path}: has no markers, ColGREP needs both")
    with new_folder(output) as temporary, model_faults(model_path):
        tell("exporting model.onnx")
        export_graph(encoder, temporary / "model.onnx")
        tell("quantising model_int8.onnx")
        _quantise(temporary / "model.onnx", temporary / "model_int8.onnx")
        for name in COPIED:
            shutil.copyfile(Path(model_path) / name, temporary / name)
        write_json(temporary / "onnx_config.json", onnx_config(encoder))
        tell("comparing with torch")
        write_json(temporary / "onnx_check.json", _checked(encoder, temporary))
    return sorted(output.iterdir())


def onnx_config(encoder: Encoder) -> dict[str, Any]:
    """The fields next-plaid's `ColbertConfig` reads."""
    options, tokenizer = encoder.options, encoder.tokenizer
    ids = tokenizer.get_added_vocab()
    mask = tokenizer.mask_token_id
    return {
        "model_type": "ColBERT",
        "model_class": type(encoder.base).__name__,
        "uses_token_type_ids": takes_types(encoder),
        "query_prefix": options.query_prefix,
        "document_prefix": options.document_prefix,
        "query_prefix_id": ids[options.query_prefix],
        "document_prefix_id": ids[options.document_prefix],
        "query_length": options.query_length,
        "document_length": options.document_length,
        "do_query_expansion": False,
        "attend_to_expansion_tokens": False,
        "skiplist_words": [],
        "embedding_dim": options.dim,
        "mask_token_id": tokenizer.pad_token_id if mask is None else mask,
        "pad_token_id": tokenizer.pad_token_id,
        "do_lower_case": False,
    }


def takes_types(encoder: Encoder) -> bool:
    """Whether the transformer tells segments apart (BERT does): the graph then has that input."""
    return int(getattr(encoder.base.config, "type_vocab_size", 0) or 0) > 1


def export_graph(encoder: Encoder, path: Path) -> None:
    """Writes the graph of `_Graph` with free batch and length, in fp32."""
    if encoder.base.config.model_type in {"t5", "mt5", "umt5"}:
        # The graph of T5's SDPA cannot be decomposed (torch 2.13).
        encoder.base.set_attn_implementation("eager")
    types = takes_types(encoder)
    rows = encoder.tokenize(CHECKS[1][1], "document")
    ids, mask = pad(rows, max(map(len, rows)), int(encoder.tokenizer.pad_token_id))
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])]
    inputs = (ids, mask, *([torch.zeros_like(ids)] if types else []))
    with _silent(), torch.no_grad():
        torch.onnx.export(
            _Graph(encoder, types).eval(),
            inputs,
            path,
            input_names=names,
            output_names=["output"],
            dynamic_shapes=tuple({0: "batch_size", 1: "sequence_length"} for _ in names),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _quantise(source: Path, target: Path) -> None:
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        QuantType,
        quantize_dynamic,
    )

    with _silent():
        quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8, per_channel=True)


def _checked(encoder: Encoder, folder: Path) -> dict[str, float]:
    """Runs both graphs beside torch. Raises `ModelError` where they differ too much."""
    differences, cosines = [], []
    plain, small = (_session(folder / name) for name in ("model.onnx", "model_int8.onnx"))
    for kind, texts in CHECKS:
        rows = encoder.tokenize(texts, kind)
        expected = encoder.encode(texts, kind).values
        differences.append(float(np.abs(_run(plain, encoder, rows) - expected).max()))
        cosines.append((_run(small, encoder, rows) * expected).sum(axis=1))
    worst = max(differences)
    joined = np.concatenate(cosines)
    if not worst < MAX_DIFFERENCE:
        raise ModelError(f"model.onnx differs from torch by {worst:.2e}: please report this model")
    if not joined.mean() > MIN_COSINE:
        raise ModelError(f"model_int8.onnx: mean cosine {joined.mean():.3f} with torch, too coarse")
    return {
        "fp32_max_abs_difference": worst,
        "int8_mean_cosine": float(joined.mean()),
        "int8_min_cosine": float(joined.min()),
        "tokens": len(joined),
    }


def _session(path: Path) -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _run(session: Any, encoder: Encoder, rows: list[list[int]]) -> NDArray[np.float32]:
    """[sum of tokens, dim], padding excluded."""
    ids, mask = pad(rows, max(map(len, rows)), int(encoder.tokenizer.pad_token_id))
    feed = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    if takes_types(encoder):
        feed["token_type_ids"] = np.zeros_like(feed["input_ids"])
    output = session.run(["output"], feed)[0]
    return np.asarray(output[mask.numpy() == 1], dtype=np.float32)


@contextmanager
def _silent() -> Iterator[None]:
    """Without what exporter and quantiser say to their authors."""
    shown = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(shown)
