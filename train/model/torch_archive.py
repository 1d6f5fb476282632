"""One matrix out of a PyTorch archive, without unpickling.

google/xtr-base-en has its projection as `2_Dense/pytorch_model.bin` only. Such a file is a ZIP with
the numbers in an entry of their own and a pickle that names them. Method: the pickle's operations
are listed, never carried out; unless they are those of one contiguous float matrix and nothing
else, the file is refused. Then the numbers are read as bytes.

Each entry is read up to the size it may have, and the list of entries up to 1 MB: what unpacks
to more is refused. `torch.load(weights_only=True)` takes the place of none of it: its reader
unpacks the entry that names the byte order whole (409 kB to 0.8 GB).

Cost: the file, capped at 64 MB. Limits: one float32 matrix in the ZIP form (PyTorch 1.6 and later).
"""

from __future__ import annotations

import io
import os
import pickletools
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

MAX_BYTES = 64 << 20
MAX_PICKLE_BYTES = 4096
MAX_ORDER_BYTES = 16
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError)
MAX_READ_BYTES = 1 << 20
"""At once: `zipfile` reads the list of all entries so."""
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
        with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
            entries = {e.filename.partition("/")[2]: e for e in archive.infolist()}
            listing = entries["data.pkl"]
            key, rows, columns = _shape(_read(archive, listing, MAX_PICKLE_BYTES), name)
            numbers = entries[f"data/{key}"]
            order = entries.get("byteorder")
            if order is not None and _read(archive, order, MAX_ORDER_BYTES) != b"little":
                raise ValueError("not little-endian")
            if numbers.file_size != rows * columns * 4 or numbers.compress_type:
                raise ValueError(f"{numbers.file_size} bytes for {rows} x {columns} numbers")
            data = _read(archive, numbers, MAX_BYTES)
    except (*_FAULTS, KeyError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path}: no plain matrix {name} ({error}); {REMEDY}") from error
    return torch.from_numpy(np.frombuffer(data, dtype="<f4").reshape(rows, columns).copy())


class _Bounded(io.FileIO):
    """A file that gives no more than `MAX_READ_BYTES` at once. Raises ValueError beyond."""

    def read(self, size: int | None = -1, /) -> bytes:
        rest = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        count = rest if size is None or size < 0 else size
        if count > MAX_READ_BYTES:
            raise ValueError(f"it asks for {count:,} bytes at once")
        return super().read(count) or b""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """An entry, whatever its header says, of at most so many bytes. Raises ValueError."""
    if entry.file_size > most:
        raise ValueError(f"{entry.file_size:,} bytes in an entry, {most:,} at most")
    parts: list[bytes] = []
    with archive.open(entry) as stream:
        while data := stream.read(MAX_READ_BYTES // 2):
            parts.append(data)
            if sum(map(len, parts)) > most:
                raise ValueError(f"an entry unpacks to more than {most:,} bytes")
    return b"".join(parts)


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
