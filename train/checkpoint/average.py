"""The mean of two checkpoints: what a model knew before its training, and what it learned.

Method: linear interpolation of every weight in float32 (Wortsman et al., "Robust fine-tuning of
zero-shot models", 2022). Both models must have the same configuration, tokenizer, markers,
lengths and shapes; the lengths of the result are theirs. What either was trained on, both were.
Cost: both models in memory, `measure_means` one more. Limits: float weights; models that did not
begin at the same weights have no mean that means anything, which cannot be seen from the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from torch import Tensor

from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import TRAINING, load_model, save_model
from train.checkpoint.training_digests import merge_trained_on
from train.errors import ModelError
from train.model import Encoder, fetch_model, model_digest, read_json
from xtrove.core import Misuse

_NAMES: Final = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
"""Keys of a transformer's config that do not decide what it computes."""


SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""What `measure_means` tries."""


def average_models(
    first: Path,
    second: Path,
    output: Path,
    *,
    weight: float = 0.5,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Writes (1 - weight) of the first model and `weight` of the second to `output`.

    `metrics` is what the card says of the mean. `ModelError` where the two cannot be averaged or
    `weight` is outside 0..1; `Misuse` where `output` exists.
    """
    if not 0 <= weight <= 1:
        raise ModelError(f"weight is {weight}: a share from 0 to 1")
    if output.exists():
        raise Misuse(f"{output} exists already", remedy="give another --output")
    encoder, other = _pair(first, second, "cpu")
    _interpolate(encoder, encoder.state_dict(), other.state_dict(), weight)
    with TemporaryDirectory() as folder:
        digests = Path(folder) / "trained_on.arrow"
        has_digests = merge_trained_on((first, second), digests)
        save_model(
            encoder,
            output,
            card=_card(first, second, output, weight, metrics or {}),
            trained_on=digests if has_digests else None,
        )


def measure_means(
    first: Path,
    second: Path,
    measure: Callable[[Encoder], Mapping[str, float]],
    *,
    device: str | torch.device = "cpu",
) -> Iterator[tuple[float, dict[str, float]]]:
    """Each of `SHARES` of the second model, and the measures of that mean.

    `ModelError` where the two cannot be averaged.
    """
    encoder, other = _pair(first, second, device)
    begin = {name: value.clone() for name, value in encoder.state_dict().items()}
    for weight in SHARES:
        _interpolate(encoder, begin, other.state_dict(), weight)
        yield weight, dict(measure(encoder))


def _pair(first: Path, second: Path, device: str | torch.device) -> tuple[Encoder, Encoder]:
    """Two encoders that have a mean; `ModelError` where they have none."""
    encoder, other = load_model(first, device), load_model(second, device)
    difference = _difference(encoder, other)
    if difference:
        raise ModelError(
            f"{first} and {second} cannot be averaged: {difference}",
            remedy="name two models of one base",
        )
    return encoder, other


def _difference(first: Encoder, other: Encoder) -> str:
    """Why two encoders have no mean; "" where they have one."""
    configs = [_config(encoder) for encoder in (first, other)]
    keys = sorted(key for key in configs[0].keys() | configs[1].keys()
                  if configs[0].get(key) != configs[1].get(key))  # fmt: skip
    if keys:
        return f"their configurations differ in {', '.join(keys[:5])}"
    options = [asdict(encoder.options) for encoder in (first, other)]
    keys = [key for key in options[0] if options[0][key] != options[1][key]]
    if keys:
        return f"their encoders differ in {', '.join(keys)}"
    if _vocabulary(first) != _vocabulary(other):
        return "their tokenizers differ"
    shapes = [
        {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
        for encoder in (first, other)
    ]
    names = sorted(name for name in shapes[0].keys() | shapes[1].keys()
                   if shapes[0].get(name) != shapes[1].get(name))  # fmt: skip
    return f"the shapes of {', '.join(names[:3])} differ" if names else ""


def _config(encoder: Encoder) -> dict[str, Any]:
    config: dict[str, Any] = encoder.base.config.to_dict()
    return {key: value for key, value in config.items() if key not in _NAMES}


def _vocabulary(encoder: Encoder) -> str:
    backend = encoder.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return str(backend.to_str())


def _interpolate(
    encoder: Encoder, first: Mapping[str, Tensor], second: Mapping[str, Tensor], weight: float
) -> None:
    """The encoder gets the mean of two states."""
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.lerp(first[name].float(), second[name].float(), weight))


def _card(
    first: Path, second: Path, output: Path, weight: float, metrics: Mapping[str, float]
) -> CardFacts:
    facts = [read_json(fetch_model(str(item)) / TRAINING, {}) for item in (first, second)]
    bases = [str(fact.get("base") or "") for fact in facts]
    licenses = {str(fact.get("license") or "other") for fact in facts}
    return CardFacts(
        name=output.name,
        base=bases[0] if bases[0] == bases[1] and bases[0] else first.name,
        data={
            f"{label}, trained on": item["data"]
            for label, item in zip(("first", "second"), facts, strict=True)
            if item.get("data")
        },
        metrics=metrics,
        progress={
            "weights": f"{1 - weight:g} of first + {weight:g} of second",
            "first": f"{first.name}, {model_digest(fetch_model(str(first)))}",
            "second": f"{second.name}, {model_digest(fetch_model(str(second)))}",
        },
        license=licenses.pop() if len(licenses) == 1 else "other",
    )
