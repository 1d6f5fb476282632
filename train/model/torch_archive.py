"""One matrix out of a PyTorch archive of unknown origin, for layers that come in no other form.

google/xtr-base-en has its projection as `2_Dense/pytorch_model.bin` only. `torch.load` with
`weights_only=True` reads it, after a copy that it can be trusted with: the three entries it needs,
stored, not compressed, in a new archive in memory, and a pickle that names nothing but a matrix.
Without the copy a ZIP with two directories shows torch other entries than were checked; without
the look at the names a pickle of 32 bytes makes a `bytearray` of any size.

Cost: the file, at most 16 MB, twice. Limits: one float32 matrix in the ZIP form (PyTorch 1.6 on).
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import Final

import torch

from train.errors import ModelError

MAX_BYTES: Final = 16 << 20
MAX_PICKLE_BYTES: Final = 4096
GLOBALS: Final = frozenset(
    {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage"}
)
REMEDY: Final = "convert it to safetensors on a machine where running its code does no harm"


def matrix_of(path: Path, name: str) -> torch.Tensor:
    """The matrix `name` (float32 [rows, columns]) of an archive that holds nothing else.

    Raises `ModelError` for any other file.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path}: {path.stat().st_size:,} bytes, {MAX_BYTES:,} at most")
    try:
        tensors = torch.load(_checked_copy(path), weights_only=True, map_location="cpu")
        return _only_matrix(tensors, name)
    except Exception as error:
        # A damaged or hostile file fails in many ways, all of which refuse it.
        reason = str(error).partition("\n")[0][:200]
        raise ModelError(f"{path}: no plain matrix {name} ({reason})", remedy=REMEDY) from error


def _checked_copy(path: Path) -> io.BytesIO:
    """The archive rebuilt from its entries for one tensor. Raises ValueError or KeyError."""
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as target:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        numbers = [name for name in entries if name.startswith("data/")]
        if len(numbers) != 1:
            raise ValueError(f"it holds the numbers of {len(numbers)} tensors")
        order = [name for name in entries if name == "byteorder"]
        for name in ("data.pkl", *numbers, *order):
            entry = entries[name]
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > MAX_BYTES:
                raise ValueError(f"entry {name} is compressed or too large")
            data = archive.read(entry)
            if name == "data.pkl":
                _check_pickle(data)
            target.writestr(f"archive/{name}", data)
        target.writestr("archive/version", b"3\n")
    copy.seek(0)
    return copy


def _check_pickle(pickled: bytes) -> None:
    """Raises `ModelError` unless every name that the pickle asks for is in `GLOBALS`."""
    if len(pickled) > MAX_PICKLE_BYTES:
        raise ValueError(f"a pickle of {len(pickled):,} bytes, {MAX_PICKLE_BYTES:,} at most")
    for operation, value, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and value not in GLOBALS:
            raise ValueError(f"it asks for {value}")


def _only_matrix(tensors: object, name: str) -> torch.Tensor:
    if not isinstance(tensors, dict) or list(tensors) != [name]:
        raise ValueError("it holds other values")
    matrix = tensors[name]
    if type(matrix) is not torch.Tensor or matrix.dtype != torch.float32 or matrix.ndim != 2:
        raise ValueError("the value is not a float32 matrix")
    # A view of few numbers may state any shape (stride 0): copying it would take that much memory.
    if not matrix.is_contiguous() or matrix.untyped_storage().nbytes() != 4 * matrix.numel():
        raise ValueError("the matrix is a view of other numbers")
    return matrix
