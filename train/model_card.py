"""The model card of a checkpoint: what it is, what it was trained on, how well it does.

Method: a README.md with the Hub's metadata, made from facts alone; the same facts stand beside it
as `xtrove_training.json`. No time, host or local path is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from train.tokenize import EncoderOptions


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

    def as_dict(self) -> dict[str, Any]:
        """As `xtrove_training.json` has it."""
        return {
            "format": 1,
            "name": self.name,
            "base": self.base,
            "data": dict(self.data),
            "metrics": dict(self.metrics),
            "config": dict(self.config),
            "progress": dict(self.progress),
        }


def model_card(facts: CardFacts, options: EncoderOptions) -> str:
    """The README.md."""
    return f"# {facts.name}\n"
