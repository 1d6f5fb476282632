"""One matrix out of a PyTorch archive, without unpickling.

google/xtr-base-en has its projection as `2_Dense/pytorch_model.bin` only. Such a file is a ZIP with
the numbers in an entry of their own and a pickle that names them. Method: the pickle's operations
are listed, never carried out; unless they are those of one contiguous float matrix and nothing
else, the file is refused. Then the numbers are read as bytes.

Cost: the file, capped at 64 MB. Limits: one float32 matrix in the ZIP form (PyTorch 1.6 and later).
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

import numpy as np
import torch

MAX_BYTES = 64 << 20
MAX_PICKLE_BYTES = 4096
GLOBALS = frozenset(
    {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage"}
)
REMEDY = "convert it to safetensors on a machine where running its code does no harm"


def matrix_of(path: Path, name: str) -> torch.Tensor:
    """The matrix `name` (float32 [rows, columns]) of an archive that holds nothing else.

    Raises ValueError for any other file.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size:,} bytes, {MAX_BYTES:,} at most")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {e.filename.partition("/")[2]: e for e in archive.infolist()}
            listing = entries["data.pkl"]
            if listing.file_size > MAX_PICKLE_BYTES:
                raise ValueError("more than one matrix")
            key, rows, columns = _shape(archive.read(listing), name)
            numbers = entries[f"data/{key}"]
            order = entries.get("byteorder")
            if order is not None and archive.read(order)[:16] != b"little":
                raise ValueError("not little-endian")
            if numbers.file_size != rows * columns * 4 or numbers.compress_type:
                raise ValueError(f"{numbers.file_size} bytes for {rows} x {columns} numbers")
            data = archive.read(numbers)
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path}: no plain matrix {name} ({error}); {REMEDY}") from error
    return torch.from_numpy(np.frombuffer(data, dtype="<f4").reshape(rows, columns).copy())


def _shape(pickled: bytes, name: str) -> tuple[str, int, int]:
    """Entry, rows and columns as the operations tell them, if those are of one whole matrix."""
    words: list[str] = []
    numbers: list[int] = []
    for operation, value, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and value not in GLOBALS:
            raise ValueError(f"it asks for {value}")
        if operation.name in {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"}:
            raise ValueError(f"it holds {operation.name}")
        if operation.name in {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE"}:
            if value == "_metadata":
                # What follows are versions of layers.
                break
            words.append(str(value))
        elif operation.name in {"BININT", "BININT1", "BININT2"}:
            numbers.append(int(value or 0))
    # The storage's count, its offset, two sizes, two strides.
    if words[:2] != [name, "storage"] or len(words) != 4 or len(numbers) != 6:
        raise ValueError(f"it holds {words[:5]}")
    count, offset, rows, columns, *strides = numbers
    if offset or strides != [columns, 1] or count != rows * columns or not count:
        raise ValueError(f"sizes {numbers} are no whole matrix")
    return words[2], rows, columns
