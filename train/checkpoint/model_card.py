"""The model card of a checkpoint: what it is, what it was trained on, how well it does.

Method: a README.md with the Hub's metadata, made from facts alone; the same facts stand beside it
as `xtrove_training.json`. Values are written as JSON in code marks, so that no name of a dataset or
a base can break out of its place. No time, host or local path is added here. Cost: nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from train.model import EncoderOptions

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
MAX_VALUE_CHARS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class CardFacts:
    """What the card says; values are JSON."""

    name: str
    base: str
    """The encoder it started from."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The fingerprint of the training data: dataset, manifest_digest, content_sha256, samples..."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the validation split."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The training config, as resolved."""
    progress: Mapping[str, Any] = field(default_factory=dict)
    """Where the training stood: step, epoch, samples seen."""
    license: str = "other"
    """Of the weights, as the Hub names it."""

    @property
    def base_name(self) -> str:
        """`base`; of a local path its last name only, whether it is still there or not."""
        return _published(self.base)

    def as_dict(self) -> dict[str, Any]:
        """As `xtrove_training.json` has it. Raises ValueError for what is not JSON."""
        facts = {
            "format": 1,
            "name": self.name,
            "base": self.base_name,
            "data": dict(self.data),
            "metrics": {k: v if math.isfinite(v) else None for k, v in self.metrics.items()},
            "config": _without_paths(dict(self.config)),
            "progress": dict(self.progress),
            "license": self.license,
        }
        try:
            json.dumps(facts, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the facts of the model card are not JSON: {error}") from error
        return facts


def model_card(facts: CardFacts, options: EncoderOptions) -> str:
    """The README.md of the checkpoint."""
    return "\n".join(
        [
            *_metadata(facts),
            f"# {_plain(facts.name)}",
            "",
            "A late-interaction model for code search: every token of a query and of a function "
            f"becomes a vector of {options.dim} numbers, and a function scores the sum, over the "
            "query's tokens, of the best match among its own.",
            "",
            *_table("Encoder", _encoder(facts, options)),
            *_table("Training data", facts.data),
            *_table("Validation", {k: f"{v:.4f}" for k, v in sorted(facts.metrics.items())}),
            *_table("Training", facts.progress),
            *_USE,
            *_config(facts),
        ]
    )


_USE = [
    "## Use",
    "",
    "```python",
    "from pylate import models",
    "",
    'model = models.ColBERT("PATH")',
    'queries = model.encode(["read all lines of a file"], is_query=True)',
    'documents = model.encode(["def read(path): ..."], is_query=False)',
    "```",
    "",
    '`sentence_transformers.MultiVectorEncoder("PATH")` loads it too (6.2), and '
    "`xtrove export PATH --to onnx` makes what ColGREP reads. `trained_on.arrow` holds the "
    "digests of the functions and repositories it was trained on.",
    "",
]


def _metadata(facts: CardFacts) -> list[str]:
    lines = [
        "---",
        f"license: {json.dumps(facts.license)}",
        "library_name: PyLate",
        "pipeline_tag: sentence-similarity",
        "tags: [ColBERT, PyLate, sentence-transformers, feature-extraction, code, xtr]",
    ]
    if HUB_NAME.fullmatch(facts.base_name):
        lines.append(f"base_model: {json.dumps(facts.base_name)}")
    return [*lines, "---", ""]


def _encoder(facts: CardFacts, options: EncoderOptions) -> dict[str, Any]:
    return {
        "started from": facts.base_name,
        "dimensions": options.dim,
        "query tokens": options.query_length,
        "document tokens": options.document_length,
        "markers": [options.query_prefix, options.document_prefix],
        "text of a document": options.document_template,
        "query expansion": False,
        "bytes of a text that are looked at": options.max_text_bytes,
    }


def _table(title: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    rows = [f"| {_plain(key)} | {_value(value)} |" for key, value in values.items()]
    return [f"## {title}", "", "| | |", "| --- | --- |", *rows, ""]


def _config(facts: CardFacts) -> list[str]:
    if not facts.config:
        return []
    text = json.dumps(
        _without_paths(dict(facts.config)), indent=2, sort_keys=True, ensure_ascii=False
    )
    # A longer fence than any run of marks inside.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return ["## Config", "", f"{fence}json", text, fence, ""]


def _published(text: str) -> str:
    """A name of the Hub as it is, a local path without the folders it stands in."""
    local = text.startswith(("/", "~", "./", "../", "file:")) or "\\" in text or text.count("/") > 1
    with suppress(OSError, ValueError):
        local = local or Path(text).exists()
    return PureWindowsPath(text).name or "a local folder" if local else text


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(inner) for inner in value]
    is_path = isinstance(value, str) and "/" in value and "\n" not in value
    return _published(value) if is_path and "://" not in value else value


def _plain(text: str) -> str:
    """A name in one line without the marks of Markdown tables and HTML."""
    return re.sub(r"[\s|<>`\[\]]+", " ", text).strip()[:MAX_VALUE_CHARS]


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r"[\s|`]+", " ", text).strip()[:MAX_VALUE_CHARS]
    return f"`{text}`" if text else ""
