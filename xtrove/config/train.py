"""The config of a training run: YAML, `--set`, checks; read without torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from train import TrainConfig
from xtrove.config.build import checked, document


def load(path: Path, settings: Iterable[str] = (), output: str | None = None) -> TrainConfig:
    """Defaults, then the file, then `--set` and `--output`; `output:` is checkpoints/NAME."""
    data = document(path, settings)
    if isinstance(data.get("name"), str):
        data.setdefault("output", f"checkpoints/{data['name']}")
    if output is not None:
        data["output"] = output
    return checked(TrainConfig, data, name=str(path), command="xtrove train CONFIG")


def as_yaml(config: TrainConfig) -> str:
    """The config as YAML that can be fed back in."""
    return yaml.safe_dump(config.dump(), sort_keys=False, allow_unicode=True, width=100)
