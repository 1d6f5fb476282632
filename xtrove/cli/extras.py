"""Packages of `pip install -e .[EXTRA]` that are not here: their names and what installs them.

The build runs without torch, so a command that needs more may meet an import that fails. A
missing module of any other name is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

from xtrove.core import Misuse

EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "safetensors": "train",
    "tokenizers": "train",
    "peft": "train",
    "tensorboard": "train",
    "bm25s": "train",
    "ir_measures": "train",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
}
"""Module -> the extra of pyproject.toml that brings it."""


def as_misuse(error: ModuleNotFoundError) -> Misuse | None:
    """Exit 2 with the command that installs the module; None where no extra has it."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(module)
    if extra is None:
        return None
    return Misuse(
        f"this command needs the package {module.replace('_', '-')}, which is not installed",
        remedy=f"pip install -e '.[{extra}]' -c constraints.txt   (in the checkout of xtrove)",
    )
